"""What is in a file, made equal to another's."""

import os
import time
from pathlib import Path

from galaxy.server.contents import equal_contents


def test_what_is_a_hole_in_both_is_not_read(tmp_path: Path) -> None:
    """A sparse file may be far larger than any disk, and clients wait while it is compared."""
    for name in ("source", "target"):
        with (tmp_path / name).open("wb") as sink:
            sink.truncate(1 << 43)
            sink.seek(1 << 42)
            sink.write(name.encode())
    began = time.monotonic()
    with (tmp_path / "source").open("rb") as there, (tmp_path / "target").open("rb+") as here:
        assert equal_contents(there.fileno(), here.fileno())
        assert not equal_contents(there.fileno(), here.fileno())
        assert os.pread(here.fileno(), 6, 1 << 42) == b"source"
    assert time.monotonic() - began < 10


def test_a_hole_takes_the_place_of_data_as_zeros(tmp_path: Path) -> None:
    (tmp_path / "source").touch()
    os.truncate(tmp_path / "source", 5 << 20)
    (tmp_path / "target").write_bytes(b"x" * (5 << 20))
    with (tmp_path / "source").open("rb") as there, (tmp_path / "target").open("rb+") as here:
        assert equal_contents(there.fileno(), here.fileno())
    assert (tmp_path / "target").read_bytes() == bytes(5 << 20)

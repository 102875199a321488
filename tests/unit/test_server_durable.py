"""What a copy makes durable: everything that it has changed, whatever the file system."""

from pathlib import Path

import pytest

from galaxy.server import copying
from galaxy.server.copying import Copied, copy_state, freshen


def test_what_was_written_and_cannot_be_made_durable_is_told(tmp_path: Path, monkeypatch) -> None:
    def fail(_file: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(copying, "sync_file", fail)
    with pytest.raises(OSError, match="Input/output error"):
        Copied(seen={}, written=(tmp_path,), touched=()).sync()


def test_all_that_a_pass_changes_is_made_durable(bare_state: Path, target: Path) -> None:
    """Not every file system takes along with one file what was done to others: btrfs does not."""
    source = bare_state
    names = ("mode", "gone", "linked", "kept")
    for name in names:
        (source / "state" / name).write_text(name)
    copied = copy_state(source, target)
    assert copied.touched
    (source / "state/mode").chmod(0o600)
    (source / "state/gone").unlink()
    (source / "state/linked").unlink()
    (source / "state/linked").symlink_to("kept")
    (source / "state/new").mkdir()
    again = freshen(source, target, copied.seen)
    state = target / "state"
    assert (again.written, set(again.touched)) == ((), {state, state / "mode", state / "new"})

"""Files, locks, settings, the store."""

import os
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from galaxy.host.errors import HostError, InputError
from galaxy.host.files import (
    open_log,
    read_password,
    require_space,
    sha256_file,
    sha256_text,
    size,
    sweep,
    write_atomic,
)
from galaxy.host.lock import at_work, locked
from galaxy.host.process import background, run
from galaxy.host.settings import load_settings, parse_toml
from galaxy.host.store import Store, default_store

EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_a_file_is_replaced_whole(tmp_path) -> None:
    file = tmp_path / "new/folder/file"
    write_atomic(file, "one")
    write_atomic(file, b"two", mode=0o600)
    assert file.read_text() == "two"
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["file"]


KILLED = """
import os, signal, sys
from pathlib import Path
from galaxy.host.files import write_atomic
Path.replace = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
write_atomic(Path(sys.argv[1]), "half")
"""


def test_what_a_killed_writer_leaves_is_swept_away(tmp_path) -> None:
    file = tmp_path / "file"
    write_atomic(file, "whole")
    assert run([sys.executable, "-c", KILLED, file], check=False).returncode == -9
    mine = tmp_path / f".file.{os.getpid()}-abc.writing"
    mine.touch()
    assert len(list(tmp_path.iterdir())) == 3
    sweep(tmp_path)
    assert set(tmp_path.iterdir()) == {file, mine}
    assert file.read_text() == "whole"


def test_an_interruption_right_after_the_file_is_made_leaves_nothing(tmp_path, monkeypatch) -> None:
    made = os.open

    def interrupted(*words: object) -> int:
        made(*words)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(tmp_path / "file", "half")
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch) -> None:
    file = tmp_path / "file"
    write_atomic(file, "old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(file, "new")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_digests(tmp_path) -> None:
    (tmp_path / "empty").touch()
    assert sha256_file(tmp_path / "empty") == EMPTY
    assert sha256_text("") == EMPTY


def test_too_little_space_is_told_with_both_numbers(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=2_500_000_000))
    require_space(tmp_path / "not/yet", 2_000_000_000, "a build")
    with pytest.raises(HostError, match=r"a build needs 3\.0 GB under .* 2\.5 GB are free"):
        require_space(tmp_path / "not/yet", 3_000_000_000, "a build")


HOLD = """
import sys, time
from pathlib import Path
from types import SimpleNamespace
from galaxy.host.lock import locked
from galaxy.host.store import Store
sys.argv[1:] = ["build", *sys.argv[1:]]
with locked(Store(root=Path(sys.argv[2])), "dc1"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_lock_says_who_holds_it_and_goes_with_its_holder(tmp_path, capsys) -> None:
    store = default_store().ensure()
    log = tmp_path / "log"
    with background([sys.executable, "-c", HOLD, store.root], log=log) as holder:
        while "held" not in log.read_text():
            assert holder.poll() is None, log.read_text()
        with (
            pytest.raises(InputError, match=rf"galaxy build \(process {holder.pid}\)"),
            locked(store, "dc1", wait=0.1),
        ):
            pass
        assert (
            f"dc1 is in use by galaxy build (process {holder.pid}); waiting for it" in capsys.readouterr().err
        )
        assert at_work(store, "dc1") == f"galaxy build (process {holder.pid})"
        with locked(store, "dc2"):
            pass
    with locked(store, "dc1", wait=0.1):
        pass
    assert at_work(store, "dc1") == at_work(store, "never") == ""


class Colour(BaseModel, extra="forbid"):
    red: int


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("red = ", "is not valid TOML"),
        ("red = 'much'", "red: .*valid integer"),
        ("red = 1\ngreen = 2", "green: unknown key"),
        ("", "red: .*required"),
    ],
)
def test_a_toml_file_that_cannot_be_taken_names_file_key_and_reason(tmp_path, text, reason) -> None:
    file = tmp_path / "colour.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=rf"colour\.toml.*{reason}"):
        parse_toml(file, Colour)


def test_a_toml_file_of_other_bytes(tmp_path) -> None:
    (tmp_path / "x.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="is not valid TOML"):
        parse_toml(tmp_path / "x.toml", Colour)


@pytest.mark.parametrize(("name", "words"), [("absent.toml", "there is no file"), (".", "cannot read")])
def test_a_toml_file_that_cannot_be_read(tmp_path, name, words) -> None:
    with pytest.raises(InputError, match=words) as caught:
        parse_toml(tmp_path / name, Colour, "Give a colour.")
    assert caught.value.hint == "Give a colour."


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0.0 kB"), (4096, "4.1 kB"), (20_971_520, "21.0 MB"), (3_000_000_000, "3.0 GB")],
)
def test_sizes_are_told_in_a_unit_that_fits(count, words) -> None:
    assert size(count) == words


def test_a_password_from_windows_has_no_byte_order_mark(tmp_path) -> None:
    file = tmp_path / "word"
    file.write_bytes(b"\xef\xbb\xbfPassw0rd\r\n")
    assert read_password(file) == "Passw0rd"


def test_settings_come_from_the_named_file(tmp_path, monkeypatch) -> None:
    file = tmp_path / "galaxy.toml"
    file.write_text("jobs = 7\n[tarball]\nurl = 'http://localhost/'\n")
    monkeypatch.setenv("GALAXY_SETTINGS", str(file))
    settings = load_settings()
    assert (settings.jobs, settings.tarball.url) == (7, "http://localhost/")
    assert settings.apt.suites[0] == "bookworm"


@pytest.mark.parametrize(
    ("text", "key"), [("jobs = 0", "jobs"), ("job = 1", "job"), ("[apt]\nx = 1", r"apt\.x")]
)
def test_settings_that_cannot_be_taken(tmp_path, text, key) -> None:
    (tmp_path / "galaxy.toml").write_text(text)
    with pytest.raises(InputError, match=rf"galaxy\.toml: {key}: "):
        load_settings(tmp_path / "galaxy.toml")


def test_settings_that_are_named_must_be_there(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GALAXY_SETTINGS", str(tmp_path / "absent.toml"))
    with pytest.raises(InputError, match="there is no file"):
        load_settings()


def test_the_store_keeps_secrets_to_its_owner(tmp_path) -> None:
    store = Store(root=tmp_path / "store").ensure().ensure()
    modes = {path.name: path.stat().st_mode & 0o777 for path in store.root.iterdir()}
    assert modes["servers"] == modes["keys"] == modes["templates"] == 0o700
    assert modes["images"] == 0o755


def test_the_store_behind_a_link_is_where_the_kernel_lists_it(tmp_path, monkeypatch) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "place")
    monkeypatch.setenv("GALAXY_ROOT", str(tmp_path / "link"))
    assert default_store().root == tmp_path.resolve() / "place"


def test_the_store_is_where_the_environment_says(monkeypatch) -> None:
    monkeypatch.setenv("GALAXY_ROOT", "/somewhere")
    assert default_store().images == Path("/somewhere/images")
    monkeypatch.delenv("GALAXY_ROOT")
    assert default_store().root == Path("/var/lib/galaxy")


def test_a_log_is_appended_to(tmp_path: Path) -> None:
    for word in (b"one", b"two"):
        with open_log(tmp_path / "log") as log:
            log.write(word)
    assert (tmp_path / "log").read_bytes() == b"onetwo"


@pytest.mark.parametrize("kind", ["link", "dangling", "pipe", "read-pipe"])
def test_what_has_a_logs_name_is_not_followed(tmp_path: Path, kind: str) -> None:
    """Root would write where somebody else wants it to."""
    log, secret = tmp_path / "log", tmp_path / "passwd"
    with ExitStack() as stack:
        if kind.endswith("pipe"):
            os.mkfifo(log)
            if kind == "read-pipe":
                stack.callback(os.close, os.open(log, os.O_RDONLY | os.O_NONBLOCK))
        else:
            log.symlink_to(secret)
            if kind == "link":
                secret.write_text("root")
        with pytest.raises(HostError, match="is no plain file"):
            open_log(log)
    assert secret.exists() == (kind == "link")

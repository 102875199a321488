"""What is the same in two states need not be read once more when nobody can wait, as long as nobody touches it."""

import os

import pytest

from galaxy.server import copying
from galaxy.server.copying import PARTS, alike, freshen


@pytest.fixture
def states(settle, tmp_path):
    """A snapshot's state and a live one, which differ in one file; old enough for any change to show."""
    for name in ("then", "now"):
        for part in PARTS:
            (tmp_path / name / part).mkdir(parents=True)
        state = tmp_path / name / "state"
        for file in ("same", "empty", "some.tdb", "touched", "replaced", "gone"):
            (state / file).write_text("" if file == "empty" else file)
        (state / "other").write_text(name)
        (state / "link").symlink_to("same")
        os.mkfifo(state / "pipe")
    settle()
    return tmp_path / "then", tmp_path / "now"


@pytest.fixture
def read(monkeypatch):
    """The files whose contents are made equal."""
    found = []
    real = copying.equal_contents

    def equal(source, target):
        found.append(os.path.basename(os.readlink(f"/proc/self/fd/{target}")))  # noqa: PTH115, PTH119 - a descriptor's
        return real(source, target)

    monkeypatch.setattr(copying, "equal_contents", equal)
    return found


def test_what_was_alike_and_looks_so_is_not_read(states, read):
    then, now = states
    same = alike(then, now)
    assert sorted(same) == [
        f"state/{name}" for name in ("empty", "gone", "replaced", "same", "some.tdb", "touched")
    ]
    (now / "state/touched").write_text("TOUCHED")
    (now / "state/replaced").unlink()
    (now / "state/replaced").write_text("again")
    (now / "state/gone").unlink()
    (now / "state/same").chmod(0o600)
    freshen(then, now, {}, alike={key: seen for key, seen in same.items() if key != "state/empty"})
    assert sorted(read) == ["empty", "gone", "other", "replaced", "same", "some.tdb", "touched"]
    for file in (then / "state").iterdir():
        if file.is_file():
            assert (now / "state" / file.name).read_bytes() == file.read_bytes()
            assert (now / "state" / file.name).stat().st_mode == file.stat().st_mode


def test_what_has_two_names_is_read(states, read):
    """One of them may be another file's in the other state."""
    then, now = states
    (now / "state/twin").hardlink_to(now / "state/same")
    freshen(then, now, {}, alike=alike(then, now))
    assert "same" in read
    assert (now / "state/same").stat().st_nlink == 1


def test_without_a_change_only_what_may_hide_one_is_read(states, read):
    then, now = states
    freshen(then, now, {}, alike=alike(then, now))
    assert sorted(read) == ["other", "some.tdb"]
    read.clear()
    freshen(then, now, {})
    assert sorted(read) == ["empty", "gone", "other", "replaced", "same", "some.tdb", "touched"]

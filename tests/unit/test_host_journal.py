"""What is written down before it is done is undone: at the end, after an error, after a kill."""

import errno
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from galaxy.host import journal as journal_module
from galaxy.host import mounts, recovery, undo
from galaxy.host.errors import GalaxyError, InterruptedByUser
from galaxy.host.journal import journal
from galaxy.host.mounts import mount_points
from galaxy.host.process import background, process_identity, run
from galaxy.host.recovery import interrupted, recover
from galaxy.host.store import Store, default_store
from galaxy.host.undo import undoes


@pytest.fixture
def store() -> Store:
    return default_store().ensure()


@pytest.fixture
def undone(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A kind `note` whose undoing is remembered; targets that start with `stuck` cannot be undone."""
    targets: list[str] = []

    def note(target: str) -> None:
        if target.startswith("stuck"):
            raise GalaxyError(f"{target} is busy")
        targets.append(target)

    monkeypatch.setitem(undo._HANDLERS, "note", note)
    return targets


def entries(store: Store) -> list[Path]:
    return list(store.journal.iterdir())


def kept(file: Path) -> list[str]:
    return [action["target"] for action in json.loads(file.read_text())["actions"]]


def left_behind(store: Store, *targets: str, kind: str = "note", name: str = "create-1.json") -> Path:
    """The journal of a process that is gone."""
    actions = [{"kind": kind, "target": target, "module": "galaxy.host.journal"} for target in targets]
    file = store.journal / name
    file.write_text(json.dumps({"verb": "create", "subject": "dc1", "owner": "", "actions": actions}))
    return file


def test_what_stays_after_success_is_not_undone(store, undone) -> None:
    with journal(store, "build", "4.22.11") as entry:
        entry.on_failure("note", "image")
        with entry.temporarily("note", "mount"):
            assert undone == []
        assert undone == ["mount"]
    assert undone == ["mount"]
    assert entries(store) == []


def test_the_entry_is_on_disk_before_the_act(store, undone) -> None:
    with journal(store, "build", "4.22.11") as entry:
        entry.on_failure("note", "image")
        body = json.loads(entry.path.read_text())
        assert body["actions"] == [{"kind": "note", "target": "image", "module": __name__}]
        assert body["owner"] == process_identity(os.getpid())
        assert recover(store) == []


def test_a_failure_undoes_everything_newest_first(store, undone) -> None:
    with pytest.raises(ValueError, match="boom"), journal(store, "create", "dc1") as entry:
        entry.on_failure("note", "first")
        entry.on_failure("note", "second")
        raise ValueError("boom")
    assert undone == ["second", "first"]
    assert entries(store) == []


def test_what_cannot_be_undone_is_told_and_kept(store, undone) -> None:
    with pytest.raises(ValueError, match="boom") as caught, journal(store, "create", "dc1") as entry:
        entry.on_failure("note", "first")
        entry.on_failure("note", "stuck mount")
        raise ValueError("boom")
    assert undone == ["first"]
    assert "stuck mount is busy" in caught.value.__notes__[0]
    assert kept(entry.path) == ["stuck mount"]


@pytest.fixture
def full(monkeypatch):
    """A disk on which no entry can be written any more."""

    def refuse(path, _text):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    return lambda: monkeypatch.setattr(journal_module, "write_atomic", refuse)


def test_what_only_frees_space_is_done_on_a_full_disk(store, undone, full) -> None:
    full()
    with (
        journal(store, "remove", "4.22.11", freeing=True) as entry,
        entry.temporarily("note", "image"),
    ):
        assert undone == []
    assert undone == ["image"]
    with pytest.raises(OSError, match="No space left"), journal(store, "build", "4.22.11") as entry:
        entry.on_failure("note", "another")
    assert entries(store) == []


def test_undoing_needs_no_space(store, undone, full) -> None:
    with pytest.raises(ValueError, match="boom"), journal(store, "create", "dc1") as entry:
        entry.on_failure("note", "stuck mount")
        with entry.temporarily("note", "first"):
            full()
        raise ValueError("boom")
    assert undone == ["first"]
    assert kept(entry.path) == ["stuck mount", "first"]


def test_a_temporary_thing_that_cannot_be_undone_is_an_error(store, undone) -> None:
    with (
        pytest.raises(GalaxyError, match="busy"),
        journal(store, "verify", "x") as entry,
        entry.temporarily("note", "stuck"),
    ):
        pass
    assert len(entries(store)) == 1


KILLED = """
import os, signal, sys
from pathlib import Path
from galaxy.host.journal import journal
from galaxy.host.store import Store
store = Store(root=Path(sys.argv[1]))
with journal(store, "create", "dc1") as entry:
    folder = store.root / "half-made"
    entry.on_failure("tree", folder)
    (folder / "deep").mkdir(parents=True)
    entry.on_failure("tree", store.root / "never-made")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_is_undone_by_the_next_command(store) -> None:
    killed = run([sys.executable, "-c", KILLED, store.root], check=False)
    assert killed.returncode == -signal.SIGKILL, killed.output
    assert (store.root / "half-made/deep").is_dir()
    assert recover(store) == ["settled an interrupted create of dc1"]
    assert not (store.root / "half-made").exists()
    assert recover(store) == []


WAITING = """
import sys, time
from pathlib import Path
from galaxy.host.journal import journal
from galaxy.host.store import Store
with journal(Store(root=Path(sys.argv[1])), "build", "4.22.11") as entry:
    entry.on_failure("tree", Path(sys.argv[1]) / "kept")
    print("ready", flush=True)
    time.sleep(60)
"""


def test_a_command_that_still_runs_is_left_alone(store, tmp_path) -> None:
    (store.root / "kept").mkdir()
    log = tmp_path / "log"
    with background([sys.executable, "-c", WAITING, store.root], log=log) as process:
        while "ready" not in log.read_text():
            assert process.poll() is None, log.read_text()
        assert recover(store) == []
        assert (store.root / "kept").is_dir()
    assert recover(store) == ["settled an interrupted build of 4.22.11"]


def test_recovery_reports_what_stays(store, undone) -> None:
    file = left_behind(store, "a", "stuck b")
    with pytest.raises(GalaxyError, match="stuck b is busy"):
        recover(store)
    assert undone == ["a"]
    assert kept(file) == ["stuck b"]
    assert interrupted(store, "dc1") == "create", (
        "who begins something with it now would have it undone later"
    )


def test_what_a_recovery_has_failed_at_does_not_hold_up_commands_about_something_else(
    store, monkeypatch
) -> None:
    tried: list[str] = []

    def busy(target: str) -> None:
        tried.append(target)
        raise GalaxyError(f"{target} is busy")

    monkeypatch.setitem(undo._HANDLERS, "note", busy)
    left_behind(store, "a")
    for retry, times in (("dc2", 1), ("dc2", 1), ("", 1), ("dc1", 2), (None, 3)):
        with pytest.raises(GalaxyError, match="note a: a is busy"):
            recover(store, retry)
        assert len(tried) == times, retry
    monkeypatch.setitem(undo._HANDLERS, "note", lambda _: None)
    assert recover(store, "dc1") == ["settled an interrupted create of dc1"]
    assert entries(store) == []


def test_a_recovery_that_is_interrupted_while_it_waits_says_what_is_half_made(
    store, monkeypatch, undone
) -> None:
    def wait(*_: object, **__: object) -> None:
        raise InterruptedByUser("SIGINT")

    monkeypatch.setattr(recovery, "locked", wait)
    left_behind(store, "a", name="create-1.json")
    left_behind(store, "b", name="create-2.json")
    with pytest.raises(InterruptedByUser) as told:
        recover(store)
    assert told.value.hint.startswith("create of dc1, create of dc1: still half made")
    assert undone == []


def test_an_interrupted_recovery_says_what_is_still_half_made(store, monkeypatch) -> None:
    def interrupt(_target: str) -> None:
        raise InterruptedByUser("SIGTERM")

    monkeypatch.setitem(undo._HANDLERS, "note", interrupt)
    file = left_behind(store, "a")
    with pytest.raises(InterruptedByUser) as told:
        recover(store)
    assert told.value.hint == "create of dc1: still half made. To settle that: galaxy recover"
    assert kept(file) == ["a"]


@pytest.mark.parametrize(
    "body", ["", "{", "[]", '{"verb": "x"}', '{"verb":"x","subject":"y","owner":"","actions":[1]}']
)
def test_a_broken_entry_is_told_and_does_not_stop_the_others(store, undone, body) -> None:
    (store.journal / "broken-1.json").write_text(body)
    left_behind(store, "a", name="create-2.json")
    with pytest.raises(GalaxyError, match=r"broken-1\.json"):
        recover(store)
    assert undone == ["a"]


def test_an_unknown_kind_is_told(store) -> None:
    left_behind(store, "a", kind="from a newer galaxy")
    with pytest.raises(GalaxyError, match="from a newer galaxy"):
        recover(store)


def test_the_module_that_undoes_is_loaded_when_it_is_needed(store, monkeypatch, tmp_path) -> None:
    (tmp_path / "late_module.py").write_text(
        "from galaxy.host.undo import undoes\nundone = []\nundoes('late')(undone.append)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    file = left_behind(store, "a", kind="late")
    file.write_text(file.read_text().replace("galaxy.host.journal", "late_module"))
    recover(store)
    assert sys.modules.pop("late_module").undone == ["a"]
    del undo._HANDLERS["late"]


def test_an_error_inside_a_temporary_block_is_the_one_that_is_told(store, undone) -> None:
    with pytest.raises(ValueError, match="boom") as caught, journal(store, "verify", "x") as entry:  # noqa: SIM117
        with entry.temporarily("note", "stuck"):
            raise ValueError("boom")
    assert "stuck is busy" in caught.value.__notes__[0]
    assert len(entries(store)) == 1


def test_a_tree_is_removed_whatever_it_is(store, tmp_path) -> None:
    (tmp_path / "target").mkdir()
    link, file, folder = tmp_path / "link", tmp_path / "file", tmp_path / "folder"
    link.symlink_to(tmp_path / "target")
    file.touch()
    (folder / "sub").mkdir(parents=True)
    with pytest.raises(ValueError, match="x"), journal(store, "create", "dc1") as entry:
        for path in (link, file, folder):
            entry.on_failure("tree", path)
        raise ValueError("x")
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "store0") == ["target"]


def test_a_tree_with_a_mount_below_is_kept(store, monkeypatch, tmp_path) -> None:
    (tmp_path / "root/proc").mkdir(parents=True)
    monkeypatch.setattr(mounts, "mount_points", lambda: [str(tmp_path / "root/proc")])
    with pytest.raises(GalaxyError, match="still holds a mount"):
        mounts._remove_tree(str(tmp_path / "root"))
    assert (tmp_path / "root/proc").is_dir()


def test_mounts_are_undone_deepest_first(monkeypatch, fake_bin) -> None:
    points = iter([["/", "/m", "/m/proc", "/m/dev", "/m/dev/pts", "/mx"]])
    monkeypatch.setattr(mounts, "mount_points", lambda: next(points))
    fake_bin("umount")
    mounts._unmount("/m")
    calls = [call[-1] for call in fake_bin.calls("umount")]
    assert calls[0] == "/m/dev/pts"
    assert calls[-1] == "/m"
    assert set(calls) == {"/m", "/m/proc", "/m/dev", "/m/dev/pts"}


def test_mounts_below_a_folder_that_is_reached_over_a_link_are_found(monkeypatch, fake_bin, tmp_path) -> None:
    (tmp_path / "real/root").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    point = tmp_path.resolve() / "real/root/proc"
    monkeypatch.setattr(mounts, "mount_points", lambda: [str(point)])
    with pytest.raises(GalaxyError, match="still holds a mount"):
        mounts._remove_tree(str(tmp_path / "link/root"))
    fake_bin("umount")
    mounts._unmount(str(tmp_path / "link/root"))
    assert fake_bin.calls("umount") == [[str(point)]]


def test_mount_points_know_root() -> None:
    assert "/" in mount_points()


def test_identities() -> None:
    mine = process_identity(os.getpid())
    assert mine.startswith(f"{os.getpid()}:")
    assert process_identity(os.getpid()) == mine
    assert process_identity(2**22 + 1) == ""


def test_a_kind_must_be_known_before_the_act(store) -> None:
    with pytest.raises(KeyError), journal(store, "create", "dc1") as entry:
        entry.on_failure("no such kind", "x")


def test_registering(monkeypatch) -> None:
    monkeypatch.setattr(undo, "_HANDLERS", {})

    @undoes("thing")
    def handler(_target: str) -> None:
        """Nothing."""

    assert {"thing": handler} == undo._HANDLERS


def test_who_begins_learns_of_what_was_interrupted(store, undone) -> None:
    with journal(store, "start", "dc1"):
        assert interrupted(store, "dc1") == "", "its command lives"
    left_behind(store, "one")
    assert (interrupted(store, "dc1"), interrupted(store, "dc2")) == ("create", "")
    recover(store)
    assert interrupted(store, "dc1") == ""
    assert undone == ["one"]


def test_what_is_being_settled_interrupts_nobody(store, monkeypatch) -> None:
    seen: list[str] = []
    monkeypatch.setitem(undo._HANDLERS, "note", lambda _: seen.append(interrupted(store, "dc1")))
    left_behind(store, "one")
    recover(store)
    assert seen == [""]


def test_mount_points_are_named_as_files_are(monkeypatch) -> None:
    line = b"36 35 98:0 / /srv/gr\xc3\xb6\xc3\x9fe/a\\040b\\134c rw - ext4 /dev/x rw\n"
    monkeypatch.setattr(Path, "read_bytes", lambda _: line)
    assert mount_points() == ["/srv/gr\u00f6\u00dfe/a b\\c"]


def test_a_wish_to_end_while_something_is_undone_leaves_nothing_half_made(store, monkeypatch) -> None:
    undone: list[str] = []
    wishes = [InterruptedByUser("SIGINT")]

    def note(target: str) -> None:
        if wishes:
            raise wishes.pop()
        undone.append(target)

    monkeypatch.setitem(undo._HANDLERS, "note", note)
    with pytest.raises(InterruptedByUser), journal(store, "start", "dc1") as entry:
        entry.on_failure("note", "record")
        entry.on_failure("note", "container")
        raise GalaxyError("it did not start")
    assert undone == ["container", "record"]
    assert entries(store) == []

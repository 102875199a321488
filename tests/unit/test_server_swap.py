"""What lies elsewhere cannot be exchanged by renaming: it is refused before anything stops."""

import errno
import os
import sys

import pytest

from galaxy.host import files, mounts
from galaxy.host.errors import HostError, ServerError
from galaxy.host.journal import journal
from galaxy.host.store import Store
from galaxy.server import lifecycle, snapshot
from galaxy.server.config import Server
from galaxy.server.copying import PARTS
from galaxy.server.swap import require_movable, require_own_parts


@pytest.fixture
def server(tmp_path, config_with):
    """A server whose store is reached over a link; mountinfo knows it by the other path."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "galaxy").symlink_to(tmp_path / "disk")
    found = Server(store=Store(root=tmp_path / "galaxy").ensure(), config=config_with())
    for name in (*PARTS, "snapshots", "log"):
        (found.folder / name).mkdir(parents=True)
    found.write()
    return found


def fail(why):
    raise ServerError(why)


def mount(server, monkeypatch, name):
    """As after `mount --bind` of something on the same disk: no device tells."""
    monkeypatch.setattr(mounts, "mount_points", lambda: ["/", str(server.folder.resolve() / name)])


@pytest.mark.parametrize("name", [*PARTS, "snapshots"])
def test_a_link_is_refused(server, tmp_path, name):
    require_movable(server)
    (server.folder / name).rmdir()
    require_movable(server)
    (server.folder / name).symlink_to(tmp_path)
    with pytest.raises(HostError, match=f"{name} is a link"):
        require_movable(server)


@pytest.mark.parametrize("name", [*PARTS, "snapshots", "state/shares/team"])
def test_a_mount_of_the_same_disk_is_refused(server, monkeypatch, name):
    mount(server, monkeypatch, name)
    with pytest.raises(HostError, match=f"{name} is a mount") as told:
        require_movable(server)
    assert "GALAXY_ROOT" in told.value.hint


def test_another_file_system_is_refused_that_no_mount_shows(server, monkeypatch):
    """A subvolume of Btrfs."""
    real = type(server.folder).stat

    def stat(path, **how):
        found = real(path, **how)
        if path != server.snapshots:
            return found
        return os.stat_result([*found[:2], found.st_dev + 1, *found[3:]])

    monkeypatch.setattr(type(server.folder), "stat", stat)
    with pytest.raises(HostError, match="snapshots is a mount"):
        require_movable(server)
    require_own_parts(server)


def test_other_folders_may_lie_elsewhere(server, monkeypatch):
    mount(server, monkeypatch, "log")
    require_movable(server)


def test_a_snapshot_that_is_to_be_put_back_has_to_lie_beside_the_state(server, monkeypatch):
    """One that somebody takes to have it need not."""
    mount(server, monkeypatch, "snapshots")
    monkeypatch.setattr(snapshot, "require_data", lambda *_: None)
    monkeypatch.setattr(snapshot, "need_space", lambda *_: fail("it is about to be copied"))
    with pytest.raises(ServerError, match="about to be copied"):
        snapshot.snapshot(server)
    with (
        pytest.raises(HostError, match="snapshots is a mount"),
        lifecycle.held(server),
        journal(server.store, "upgrade", "dc1") as entry,
    ):
        snapshot.prepare(entry, server, "before 4.22.11")


@pytest.mark.parametrize("name", ["", "server.toml", "etc", "state/private", "state/private/hklm.ldb"])
def test_what_nobody_may_change_is_refused(server, monkeypatch, name):
    """As chattr(1) makes it; the file systems of tests need not know that."""
    (server.state / "private").mkdir()
    (server.state / "private/hklm.ldb").touch()
    (server.state / "private/link").symlink_to("nowhere")
    os.mkfifo(server.state / "private/pipe")
    immutable = (server.folder / name).stat().st_ino
    monkeypatch.setattr(
        files.fcntl,
        "ioctl",
        lambda handle, *_: (0x80010 if os.fstat(handle).st_ino == immutable else 0x80000).to_bytes(
            8, sys.byteorder
        ),
    )
    with pytest.raises(HostError, match=f"{name} is immutable") as told:
        require_movable(server)
    assert "chattr -i" in told.value.hint


def test_file_systems_that_know_of_no_such_thing_forbid_nothing(server, monkeypatch):
    def unknown(*_):
        raise OSError(errno.ENOTTY, "not there")

    monkeypatch.setattr(files.fcntl, "ioctl", unknown)
    require_movable(server)

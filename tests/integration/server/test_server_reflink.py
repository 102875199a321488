"""On a file system that can share blocks, copies of a server cost neither its size nor its time."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from galaxy.host.process import run
from galaxy.host.store import Store
from galaxy.server import lifecycle
from galaxy.server.config import PrivateNetwork, Server
from galaxy.server.contents import shares_blocks
from galaxy.server.copying import space_of
from galaxy.server.create import CreateRequest, create
from galaxy.server.execute import exec_
from galaxy.server.restore import restore
from galaxy.server.snapshot import snapshot

_DISK = 1_500_000_000
# As a part of what is copied: the records of shared extents take some, and a live server writes meanwhile.
_SHARE = 0.2


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A btrfs of its own."""
    with tempfile.TemporaryDirectory(prefix="galaxy-btrfs-", dir="/var/tmp") as name:
        file, point = Path(name) / "disk.img", Path(name) / "disk"
        with file.open("wb") as sink:
            sink.truncate(_DISK)
        point.mkdir()
        run(["mkfs.btrfs", "-q", file])
        run(["mount", "-o", "loop", file, point])
        try:
            yield point
        finally:
            run(["umount", point])


@pytest.fixture
def server(disk, image, settings) -> Iterator[Server]:
    own = Store(root=disk / "store")
    own.root.mkdir(mode=0o700)
    own.images.symlink_to(image.path.parent)
    own.mounts.symlink_to(image.path.parent.parent / own.mounts.name)
    own.ensure()
    wanted = CreateRequest(
        name="dc1", image=image.id, realm="BTRFS.EXAMPLE.ORG", address="10.219.9.2", network=PrivateNetwork()
    )
    made = create(own, settings, wanted)
    try:
        lifecycle.start(made, settings)
        yield made
    finally:
        lifecycle.remove(made, settings, force=True)


def used(disk: Path) -> int:
    """The bytes that its files take, shared ones once."""
    run(["sync", "--file-system", disk])
    told = run(["btrfs", "filesystem", "usage", "--raw", disk]).stdout
    return next(int(line.split()[1]) for line in told.splitlines() if line.strip().startswith("Used:"))


def users(server: Server) -> set[str]:
    return set(exec_(server, ("samba-tool", "user", "list"), check=True).stdout.split())


def test_snapshots_of_a_live_server_share_its_blocks_and_are_whole(server, disk, settings) -> None:
    assert shares_blocks(disk), "the kernel's btrfs shares no blocks here, and nothing would be tried"
    exec_(server, ("samba-tool", "user", "create", "before", "Nobody-has-this-1"), check=True)
    size, empty = space_of(server.folder), used(disk)
    kept = [snapshot(server, f"number {number}") for number in range(3)]
    taken = used(disk) - empty
    assert taken < 3 * size * _SHARE, f"three snapshots of {size} bytes take {taken}"
    exec_(server, ("samba-tool", "user", "create", "after", "Nobody-has-this-1"), check=True)
    done = restore(server, kept[0], settings)
    assert done.ready is not None
    assert "before" in users(server)
    assert "after" not in users(server)
    said = exec_(server, ("samba-tool", "dbcheck", "--cross-ncs"), timeout=300).output
    assert "(0 errors)" in said, said

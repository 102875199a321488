"""A server's folder on a small file system of its own, for a block: it can be full, read-only or broken off."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import GalaxyError
from galaxy.host.files import FULL
from galaxy.host.process import find_tool, run
from galaxy.server import lifecycle, running
from galaxy.server.copying import copy_state
from scenarios.world import World

# Room for a server that has just been made (45 MB), its logs, and an upgrade's copies.
_SIZE = 300_000_000
_PIECE = 64 * 1024 * 1024
_FILLER = "filler"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallDisk:
    """An ext4 in a file; `point` is where the server's folder is."""

    file: Path
    point: Path

    def fill(self) -> None:
        """Leave no byte."""
        fill(self.point / _FILLER, leave=0)

    def free(self) -> None:
        """Give the space back."""
        (self.point / _FILLER).unlink()

    def remount(self, options: str) -> None:
        """Change how it is mounted: mount(8), ext4(5)."""
        run(["mount", "-o", f"remount,{options}", self.point])

    def mount(self) -> None:
        """Mount it, after a repair of what its journal does not mend."""
        done = run([find_tool("e2fsck", "e2fsprogs"), "-f", "-y", self.file], check=False)
        assert done.returncode < 4, f"e2fsck: {done.output}"  # 1 and 2: mended (e2fsck(8))
        run(["mount", "-o", "loop", self.file, self.point])

    def unmount(self) -> None:
        """Take it away."""
        run(["umount", self.point])


@contextmanager
def on_small_disk(world: World) -> Iterator[SmallDisk]:
    """The first server, stopped at both ends, lives on such a disk in the block; what it writes there is kept."""
    folder = world.dc.folder
    with tempfile.TemporaryDirectory(prefix="galaxy-disk-", dir="/var/tmp") as name:
        disk = SmallDisk(file=Path(name) / "disk.img", point=folder)
        with disk.file.open("wb") as sink:
            sink.truncate(_SIZE)
        run([find_tool("mkfs.ext4", "e2fsprogs"), "-q", "-F", "-m", "0", disk.file])
        below = Path(name) / "below"
        below.mkdir()
        with world.lab.entry.temporarily("mount", below), world.lab.entry.temporarily("mount", folder):
            run(["mount", "--bind", folder, below])
            disk.mount()
            _move(below, folder)
            try:
                yield disk
            except BaseException:
                with suppress(GalaxyError, OSError):  # what went wrong first is the one to tell
                    _end(world)
                shutil.copytree(
                    folder / "log", below / "log", symlinks=True, dirs_exist_ok=True
                )  # for people
                raise
            _end(world)
            _move(folder, below)


def fill(filler: Path, *, leave: int) -> None:
    """Let a file take all space of its file system but `leave` bytes."""
    with filler.open("wb") as sink:
        at, piece = 0, _PIECE
        while piece >= 512:
            piece = min(piece, max(0, shutil.disk_usage(filler.parent).free - leave) // 512 * 512)
            if piece == 0:
                break
            try:
                os.posix_fallocate(sink.fileno(), at, piece)
                at += piece
            except OSError as error:
                if error.errno not in FULL:
                    raise
                piece //= 2


def _move(source: Path, target: Path) -> None:
    """Make all of a server's folder equal to another's."""
    copied = copy_state(source, target)
    assert copied.seen, f"{source} has no state"
    for path in source.iterdir():
        if path.is_file():
            shutil.copy2(path, target)
        elif path.name in {"log", "bundle", "etc-host"}:
            shutil.copytree(path, target / path.name, symlinks=True, dirs_exist_ok=True)


def _end(world: World) -> None:
    """Nothing may run from a disk that goes away."""
    if running.alive(world.dc):
        with suppress(GalaxyError):
            lifecycle.kill(world.dc)
    lifecycle.clear(world.dc)

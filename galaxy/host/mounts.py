"""What is mounted; and how mounts and folders are undone, the folders never through a mount."""

import os
import re
import shutil
from pathlib import Path

from galaxy.host.errors import GalaxyError, HostError
from galaxy.host.process import run
from galaxy.host.undo import undoes

# How the kernel writes spaces and backslashes in mountinfo.
_ESCAPED = re.compile(rb"\\([0-7]{3})")


@undoes("tree")
def _remove_tree(target: str) -> None:
    """Remove a folder or file, but never through a mount that is still below it."""
    path = Path(target)
    if mounts_at(path):
        raise GalaxyError(f"{path} still holds a mount", "Unmount it first.")
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def require_no_mount(path: Path, purpose: str) -> None:
    """HostError when something is mounted at or below a folder that is to be removed: it would be emptied."""
    if found := mounts_at(path):
        raise HostError(
            f"{purpose}: {found[0]} is a mount, and what it holds would be lost", "Unmount it first."
        )


@undoes("mount")
def _unmount(target: str) -> None:
    """Unmount everything at and below a mount point, deepest first."""
    for point in sorted(mounts_at(Path(target)), key=len, reverse=True):
        run(["umount", point])


def as_mounted(path: Path) -> Path:
    """A path as mountinfo names it: without links among its folders. A link in its place is not followed."""
    return path.parent.resolve() / path.name


def mounts_at(path: Path) -> list[str]:
    """The mount points at and below a path."""
    place = as_mounted(path)
    return [point for point in mount_points() if Path(point).is_relative_to(place)]


def mount_points() -> list[str]:
    """The mount points of this mount namespace, in the order of mounting (proc(5), mountinfo)."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [os.fsdecode(_ESCAPED.sub(_byte, line.split(b" ")[4])) for line in lines]


def _byte(octal: re.Match[bytes]) -> bytes:
    return bytes([int(octal[1], 8)])

"""What is mounted; and how mounts and folders are undone, the folders never through a mount."""

import os
import re
import shutil
from pathlib import Path

from galaxy.host.errors import GalaxyError
from galaxy.host.process import run
from galaxy.host.undo import undoes

# How the kernel writes spaces and backslashes in mountinfo.
_ESCAPED = re.compile(rb"\\([0-7]{3})")


@undoes("tree")
def _remove_tree(target: str) -> None:
    """Remove a folder or file, but never through a mount that is still below it."""
    path = Path(target)
    if any(Path(point).is_relative_to(path) for point in mount_points()):
        raise GalaxyError(f"{path} still holds a mount", "Unmount it first.")
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@undoes("mount")
def _unmount(target: str) -> None:
    """Unmount everything at and below a mount point, deepest first."""
    below = [point for point in mount_points() if Path(point).is_relative_to(target)]
    for point in sorted(below, key=len, reverse=True):
        run(["umount", point])


def mount_points() -> list[str]:
    """The mount points of this mount namespace, in the order of mounting (proc(5), mountinfo)."""
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [os.fsdecode(_ESCAPED.sub(_byte, line.split(b" ")[4])) for line in lines]


def _byte(octal: re.Match[bytes]) -> bytes:
    return bytes([int(octal[1], 8)])

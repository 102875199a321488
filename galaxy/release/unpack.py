"""Tar archives: unpacked by name and content only, nothing of who packed them."""

import tarfile
from pathlib import Path

from galaxy.host.errors import BuildError, CommandError, HostError
from galaxy.host.files import MORE_SPACE, says_full
from galaxy.host.process import find_tool, run

_TIMEOUT = 300.0


def unpack_tar(archive: Path, into: Path, strip: int = 1) -> None:
    """Unpack a tar in any compression into a folder that doesn't exist yet, without its first `strip` path parts.

    GNU tar itself refuses names and links that leave the folder. BuildError when the archive can't be read.
    """
    find_tool("tar", "tar")
    find_tool("xz", "xz-utils")
    into.mkdir(parents=True)
    options = ["--no-same-owner", "--no-same-permissions", f"--strip-components={strip}"]
    try:
        run(["tar", "--extract", "--file", archive, "--directory", into, *options], timeout=_TIMEOUT)
    except CommandError as error:
        require_room(error, f"{archive.name} was unpacked")
        raise BuildError(
            f"{archive.name} can't be unpacked: {error.message}", "Fetch it again; it may be truncated."
        ) from None


def require_room(error: CommandError, what: str) -> None:
    """HostError when a program failed because the disk is full; it is not the source's fault then."""
    if says_full(error.output):
        raise HostError(f"no space was left while {what}", MORE_SPACE) from None


def newest_time(archive: Path) -> int:
    """The latest modification time of an archive's members, in seconds since 1970."""
    with tarfile.open(archive) as source:
        return int(max((member.mtime for member in source), default=0))

"""Tar archives: unpacked by name and content only, nothing outside the target, nothing of who packed them."""

import tarfile
from pathlib import Path

from galaxy.host.errors import BuildError


def unpack_tar(archive: Path, into: Path, strip: int = 1) -> None:
    """Unpack a tar in any compression into a folder that doesn't exist yet, without its first `strip` path parts.

    Absolute names, `..`, devices and links that leave the tree are refused (PEP 706, the `data` filter).
    """
    into.mkdir(parents=True)
    try:
        with tarfile.open(archive) as source:
            for member in source:
                parts = Path(member.name).parts[strip:]
                if parts:
                    source.extract(_renamed(member, parts, strip), into, filter="data", numeric_owner=True)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise BuildError(
            f"{archive.name} can't be unpacked: {error}", "Fetch it again; it may be truncated."
        ) from None


def _renamed(member: tarfile.TarInfo, parts: tuple[str, ...], strip: int) -> tarfile.TarInfo:
    """The member under its shorter name; hard links name other members, so their target is shortened too."""
    linkname = "/".join(Path(member.linkname).parts[strip:]) if member.islnk() else member.linkname
    return member.replace(name="/".join(parts), linkname=linkname, deep=False)


def newest_time(archive: Path) -> int:
    """The latest modification time of an archive's members, in seconds since 1970."""
    with tarfile.open(archive) as source:
        return int(max((member.mtime for member in source), default=0))

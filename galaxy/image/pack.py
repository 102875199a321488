"""Sealing: a staged tree becomes one squashfs file, the same bytes for the same tree."""

from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import CommandError, HostError
from galaxy.host.process import find_tool, run


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """How a squashfs is compressed: mksquashfs's options."""

    name: str
    options: tuple[str, ...]


# Smallest: xz with the filter for x86 code, in blocks of 1 MB. For images that are built from source.
SMALL = Compression(name="xz", options=("-comp", "xz", "-Xbcj", "x86", "-b", "1M"))
# Fast to make and to read; a quarter larger. For images of distribution packages, made in passing.
FAST = Compression(name="zstd", options=("-comp", "zstd", "-Xcompression-level", "9", "-b", "256K"))
# Nothing of the moment or of this machine: times, owners, attributes, order.
_REPRODUCIBLE = (
    "-all-time",
    "0",
    "-mkfs-time",
    "0",
    "-all-root",
    "-no-xattrs",
    "-no-exports",
    "-reproducible",
)


def pack(stage: Path, target: Path, compression: Compression, jobs: int) -> None:
    """Write the squashfs. HostError when the tool is missing or the disk is full."""
    tool = find_tool("mksquashfs", "squashfs-tools")
    argv = [tool, str(stage), str(target), *compression.options, *_REPRODUCIBLE]
    try:
        run([*argv, "-noappend", "-no-progress", "-quiet", "-processors", str(jobs)], timeout=900)
    except CommandError as error:
        raise HostError(f"the image cannot be written: {error.message}", "Look at the free space.") from None

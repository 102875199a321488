"""Where an image's bytes are, by part."""

import lzma
from dataclasses import dataclass
from pathlib import Path

from galaxy.image.catalogue import Image
from galaxy.image.parts import PARTS

# As in the squashfs: blocks of 1 MB with the filter for x86 code; the fastest preset ranks parts as the best does.
_BLOCK = 1 << 20
_SAMPLES = 6
_FILTERS = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": _BLOCK}]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSize:
    """A part of an image: how many files, their bytes unpacked, and about how many of the image's bytes."""

    part: str
    files: int
    raw: int
    packed: int


def part_sizes(image: Image, root: Path) -> tuple[PartSize, ...]:
    """The parts, largest first. `root` is the image's mounted root.

    A squashfs packs small files together, so a part's share is measured by compressing the part by itself and
    scaled so that the shares add up to the image's size.
    """
    groups: dict[str, list[Path]] = {part: [] for part in PARTS}
    for row in image.manifest.files:
        if row.kind == "file":
            groups[row.part].append(root / row.path)
    measured = {part: _packed(paths) for part, paths in groups.items() if paths}
    scale = image.manifest.image_size / max(1, sum(measured.values()))
    sizes = [
        PartSize(
            part=part,
            files=len(groups[part]),
            raw=sum(path.stat().st_size for path in groups[part]),
            packed=round(count * scale),
        )
        for part, count in measured.items()
    ]
    return tuple(sorted(sizes, key=lambda size: -size.packed))


def _packed(paths: list[Path]) -> float:
    """What a part's bytes come to, from at most `_SAMPLES` of its blocks, evenly spread."""
    body = b"".join(path.read_bytes() for path in paths)
    starts = range(0, len(body), _BLOCK)
    taken = [body[start : start + _BLOCK] for start in starts[:: -(-len(starts) // _SAMPLES) or 1]]
    packed = sum(len(lzma.compress(block, lzma.FORMAT_RAW, filters=_FILTERS)) for block in taken)
    return packed * len(body) / max(1, sum(map(len, taken)))

"""Where an image's bytes are."""

from collections.abc import Iterator

from benchmarks.figure import Figure
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.image.mount import mounted_root
from galaxy.image.sizes import part_sizes

_GOAL_MB = 20.0


def figures(store: Store, image: Image) -> Iterator[Figure]:
    """The sealed size, then each part's share of it, as `galaxy image show --sizes` has it.

    The goal is for images built from source: one of packages is compressed to be made fast, not small.
    """
    goal = None if image.packaged else _GOAL_MB
    yield _megabytes(f"image {image.ref}", image.manifest.image_size, goal)
    for one in part_sizes(image, mounted_root(store, image)):
        yield _megabytes(f"  {one.part} ({one.raw / 1e6:.1f} MB unpacked)", one.packed, None)


def _megabytes(name: str, count: int, goal: float | None) -> Figure:
    return Figure(name=name, value=count / 1e6, unit="MB", goal=goal)

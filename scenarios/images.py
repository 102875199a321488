"""The images of a run, for all its workers at once."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from galaxy.gate.run import RunInfo
from galaxy.host.errors import GalaxyError
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue
from galaxy.image.mount import mounted_root
from galaxy.image.resident import resident


@contextmanager
def images_at_hand(store: Store, run: RunInfo, folder: Path) -> Iterator[None]:
    """Mount them before the workers have mount namespaces of their own, and keep their files in memory for the block.

    A worker that mounts an image itself has it to itself: the next one unpacks the same files again.
    """
    catalogue = Catalogue(store=store)
    roots = []
    for image in run.images:
        with suppress(GalaxyError):  # the first step of a cell says what is wrong with it
            roots.append(mounted_root(store, catalogue.resolve(image.id)))
    with resident(roots, folder / "resident.log"):
        yield

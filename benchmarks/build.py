"""Source to image, with an empty compiler cache and then a full one; the cold build takes a good half hour."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figure import Figure, seconds
from galaxy.build import BuildRequest
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue
from galaxy.image.make import make_image
from galaxy.image.remove import remove_image


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTimes:
    """Seconds from a fetched source and a made build root to a checked image."""

    cold: float
    warm: float

    def figure(self) -> Figure:
        """The rebuild as a share of the first build."""
        return Figure(
            name="rebuild with warm ccache vs cold", value=self.warm, bare=self.cold, unit="s", goal=0.25
        )


@contextmanager
def lent_store(store: Store) -> Iterator[Store]:
    """An empty store, removed after the block, that shares what was fetched and the build roots with `store`."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="galaxy-bench-") as folder:
        own = Store(root=Path(folder)).ensure()
        for shared in (store.apt, store.sources, store.roots):
            shared.mkdir(exist_ok=True)
            (own.root / shared.name).symlink_to(shared)
        yield own


def measure(store: Store, settings: Settings, version: str) -> BuildTimes:
    """Two builds of the same plan."""
    request = BuildRequest(version=version)
    with lent_store(store) as own:
        cold = seconds(lambda: make_image(own, settings, request))
        for image in Catalogue(store=own).images():
            remove_image(own, image.id)
        return BuildTimes(cold=cold, warm=seconds(lambda: make_image(own, settings, request)))

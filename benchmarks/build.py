"""Source to image with a warm compiler cache against a cold one; takes the better part of an hour."""

import tempfile
from pathlib import Path

from benchmarks.figure import Figure, figure, seconds
from galaxy.build import BuildRequest
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue
from galaxy.image.make import make_image
from galaxy.image.remove import remove_image


def measure(store: Store, settings: Settings, version: str) -> Figure:
    """Seconds of two builds of the same plan in a store of its own, which shares what was fetched."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="galaxy-bench-") as folder:
        own = Store(root=Path(folder)).ensure()
        for shared in (store.apt, store.sources, store.roots):
            (own.root / shared.name).symlink_to(shared)
        cold = seconds(lambda: make_image(own, settings, BuildRequest(version=version)))
        for image in Catalogue(store=own).images():
            remove_image(own, image.id)
        warm = seconds(lambda: make_image(own, settings, BuildRequest(version=version)))
    return figure("rebuild with warm ccache vs cold", "s", 0.25, [warm], [cold])

"""Source to image, with an empty compiler cache and then a full one; the cold build takes a good half hour.

`python -m benchmarks.build VERSION` runs it alone, and compares the image, made in another place, with the store's.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.command import command
from benchmarks.figure import HEADERS, Figure, Spent, in_both, spent
from benchmarks.repro import compare
from galaxy.build import BuildRequest
from galaxy.cli.render import table
from galaxy.host.settings import Settings, load_settings
from galaxy.host.store import Store, default_store
from galaxy.image.catalogue import Catalogue
from galaxy.image.make import make_image
from galaxy.image.manifest import Manifest
from galaxy.image.remove import remove_image


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTimes:
    """From a fetched source and a made build root to a checked image; the first build's manifest."""

    cold: Spent
    warm: Spent
    manifest: Manifest

    def figures(self) -> tuple[Figure, ...]:
        """The rebuild as a share of the first build."""
        return in_both("rebuild with warm ccache vs cold", self.warm, self.cold, 0.25)


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
    """Two builds of the same plan; the second is the store's own if it has no image of these inputs yet."""
    request = BuildRequest(version=version)
    with lent_store(store) as own:
        cold = spent(lambda: make_image(own, settings, request))
        (first,) = Catalogue(store=own).images()
        if Catalogue(store=store).find_input(first.manifest.provenance.input_id) is None:
            # What a compiler cache holds has names of its content, so that two can be one.
            shutil.copytree(own.ccache, store.ccache, dirs_exist_ok=True)
            warm = spent(lambda: make_image(store, settings, request))
        else:
            remove_image(own, first.id)
            warm = spent(lambda: make_image(own, settings, request))
        return BuildTimes(cold=cold, warm=warm, manifest=first.manifest)


def main() -> None:
    """Build one version twice; print the figures, and what differs from the store's image of the same inputs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    options = parser.parse_args()
    with command():
        store = default_store().ensure()
        times = measure(store, load_settings(), options.version)
        table(HEADERS, [one.row() for one in times.figures()])
        other = Catalogue(store=store).find_input(times.manifest.provenance.input_id)
        if other is None:
            print("the store has no image of the same inputs to compare with")
            return
        found = compare(other.manifest, times.manifest)
        print(
            f"{len(found)} differences from image {other.id[:12]}, made of the same inputs in another place"
        )
        for one in found:
            print(f"  {one.where}: {one.one} / {one.other} ({one.guess})")


if __name__ == "__main__":
    main()

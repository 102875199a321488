"""All figures in one run, as root: `python -m benchmarks.run [--image REF] [--build VERSION]`."""

import argparse
import sys
from collections.abc import Iterator

from benchmarks import build, overhead, sizes, start, version
from galaxy.cli.process import interruptible
from galaxy.host.settings import load_settings
from galaxy.host.store import default_store
from galaxy.image.catalogue import Catalogue


def main() -> None:
    """Print each figure as soon as it is there."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--image", metavar="REF", help="the image to measure; by default the first in the store"
    )
    parser.add_argument("--build", metavar="VERSION", help="measure two builds of it too; takes long")
    options = parser.parse_args()
    with interruptible():
        for line in _lines(options):
            print(line, flush=True)


def _lines(options: argparse.Namespace) -> Iterator[str]:
    store, settings = default_store().ensure(), load_settings()
    catalogue = Catalogue(store=store)
    images = [catalogue.resolve(options.image)] if options.image else list(catalogue.images())
    if not images:
        sys.exit("the store has no images; make one: galaxy build VERSION")
    yield version.measure().line()
    for figure in start.measure(store, settings, images[0]):
        yield figure.line()
    yield from sizes.lines(store, images[0])
    yield overhead.line(store)
    if options.build:
        yield build.measure(store, settings, options.build).line()


if __name__ == "__main__":
    main()

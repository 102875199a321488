"""All figures in one run, as root: `python -m benchmarks.run`. Builds are made only when asked for: they take long."""

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks import build, debian, outage, overhead, sizes, snapshot, start, version
from benchmarks.command import command
from benchmarks.figure import HEADERS, Figure
from galaxy.cli.render import print_json, ready_store, table
from galaxy.host.errors import InputError
from galaxy.host.progress import step
from galaxy.host.settings import load_settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue, Image

# An outage varies more than a start.
_SWITCHES = 10


def main() -> None:
    """Print one table, or its rows as JSON."""
    options = _options()
    with command():
        figures = tuple(_figures(ready_store("Measuring"), options))
        if options.json:
            print_json([one.plain() for one in figures])
        else:
            table(HEADERS, [one.row() for one in figures])


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument(
        "--image", metavar="REF", help="what to measure (default: the newest release in the store)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="starts on each side (default: %(default)s)")
    parser.add_argument(
        "--outage", metavar="REF", help="switch the image to this one under clients, against a bare restart"
    )
    parser.add_argument(
        "--copies", type=int, metavar="N", help="copy a live domain, as it is made and with N users more"
    )
    parser.add_argument(
        "--backend-store", choices=("tdb", "mdb"), default="tdb", help="with --copies (default: %(default)s)"
    )
    parser.add_argument("--run", type=Path, metavar="DIR", help="a verify run's folder (default: the newest)")
    parser.add_argument("--build", metavar="VERSION", help="time a build with an empty and a full ccache too")
    parser.add_argument(
        "--debian",
        action="store_true",
        help="with --build: hold it against Debian's own build of that source",
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def _figures(store: Store, options: argparse.Namespace) -> Iterator[Figure]:
    settings, image = load_settings(), _image(store, options.image)
    with step("calling galaxy and python"):
        yield version.measure()
    with step(f"starting {image.ref} confined and bare, {options.rounds} times each"):
        yield from start.measure(store, settings, image, options.rounds)
    if options.outage:
        new, rounds = _image(store, options.outage), max(options.rounds, _SWITCHES)
        with step(f"switching {image.ref} to {new.ref} and restarting it bare, {rounds} times each"):
            yield from outage.measure(store, settings, image, new, rounds)
    if options.copies is not None:
        for objects in sorted({0, options.copies}):
            with step(f"copying a live {image.ref} with {objects} users more"):
                yield from snapshot.measure(
                    store, settings, image, objects, options.backend_store, options.rounds
                )
    if options.build:
        times = build.measure(store, settings, options.build)
        yield from times.figures()
        if options.debian:
            yield from debian.against(store, settings, options.build, times.cold)
    yield from overhead.figures(store, options.run)
    yield from sizes.figures(store, image)


def _image(store: Store, ref: str | None) -> Image:
    catalogue = Catalogue(store=store)
    if ref:
        return catalogue.resolve(ref)
    if not catalogue.images():
        raise InputError("the store has no images to measure", "Make one: galaxy build VERSION.")
    return catalogue.resolve(catalogue.images()[-1].ref)


if __name__ == "__main__":
    main()

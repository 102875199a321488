"""Do the same inputs give the same bytes? Two images compared by manifest: `python -m benchmarks.repro ONE OTHER`.

ONE and OTHER are references in the store, or manifest.json files, as `export` and other hosts' stores have them.
Ends with 0 when the images are one and the same, with 1 and a list of what differs otherwise.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.command import command
from galaxy.cli.render import print_json, table
from galaxy.host.store import default_store
from galaxy.image.catalogue import Catalogue
from galaxy.image.manifest import FileRow, Manifest, read_manifest

# Where a difference comes from, by what the path ends with or is; the first that fits. The last is for all others.
_SUSPECTS = (
    (
        ("libexec/galaxy/init", "bin/python3"),
        "Galaxy's own program: another gcc (of packaged images the host's)",
    ),
    ((".pyc",), "a compiled Python module: another interpreter, path or hash seed"),
    (("ld.so.cache",), "the loader's index: another library, or another ldconfig"),
    (
        (".so", ".so.0", ".so.1", ".so.2"),
        "a library: a time, path or kernel name that its compilation took in",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that two images don't share: where, what in each, and where it probably comes from."""

    where: str
    one: str
    other: str
    guess: str


def compare(one: Manifest, other: Manifest) -> tuple[Difference, ...]:
    """Everything that differs, but for the moment of making; nothing when the images have the same id.

    Inputs come first: while they differ, different bytes are no surprise.
    """
    found = [*_inputs(one, other), *_files(one, other)]
    if not found and one.image_sha256 != other.image_sha256:
        found.append(
            Difference(
                where="image.squashfs",
                one=one.image_sha256[:12],
                other=other.image_sha256[:12],
                guess="the same files, sealed otherwise: another mksquashfs",
            )
        )
    return tuple(found)


def _inputs(one: Manifest, other: Manifest) -> Iterator[Difference]:
    """Differences of origin: these decide the bytes."""
    if one.sealer != other.sealer:
        guess = "sealed by another revision of Galaxy"
        yield Difference(where="sealer", one=str(one.sealer), other=str(other.sealer), guess=guess)
    if one.compression != other.compression:
        yield Difference(
            where="compression", one=one.compression, other=other.compression, guess="another kind"
        )
    ours, theirs = (dict(item.provenance) for item in (one, other))
    for name in ours:
        if ours[name] != theirs[name]:
            shown = [_shown(side[name], beside[name]) for side, beside in ((ours, theirs), (theirs, ours))]
            yield Difference(where=f"input {name}", one=shown[0], other=shown[1], guess="another input")


def _shown(value: object, beside: object) -> str:
    """A value; of a list what the other has not."""
    if isinstance(value, tuple) and isinstance(beside, tuple):
        return ", ".join(str(item) for item in value if item not in beside) or "-"
    return str(value)


def _files(one: Manifest, other: Manifest) -> Iterator[Difference]:
    ours, theirs = ({row.path: row for row in item.files} for item in (one, other))
    for path in sorted(ours.keys() | theirs.keys()):
        mine, yours = ours.get(path), theirs.get(path)
        if mine != yours:
            yield Difference(
                where=path, one=_told(mine, yours), other=_told(yours, mine), guess=_guess(mine, yours)
            )


def _told(row: FileRow | None, beside: FileRow | None) -> str:
    """The fields of a row that the other one has otherwise."""
    if row is None:
        return "not there"
    if beside is None:
        return row.kind
    own, rest = row.model_dump(), beside.model_dump()
    return ", ".join(f"{name} {str(own[name])[:40]}" for name in own if own[name] != rest[name])


def _guess(mine: FileRow | None, yours: FileRow | None) -> str:
    if mine is None or yours is None:
        return "the closure found other files: another version of Galaxy, or of a package"
    if (mine.kind, mine.mode, mine.sha256, mine.target) == (
        yours.kind,
        yours.mode,
        yours.sha256,
        yours.target,
    ):
        return "the same bytes, but the manifest, whose digest is sealed inside, gives another reason"
    return next(
        (guess for ends, guess in _SUSPECTS if mine.path.endswith(ends)), "a file that was made, not copied"
    )


def _manifest(ref: str) -> Manifest:
    if ref.endswith(".json"):
        return read_manifest(Path(ref))
    return Catalogue(store=default_store()).resolve(ref).manifest


def main() -> None:
    """Compare two images and list what differs."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.repro", description=__doc__)
    parser.add_argument("one")
    parser.add_argument("other")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with command():
        found = compare(_manifest(options.one), _manifest(options.other))
    if options.json:
        print_json([asdict(item) for item in found])
    elif found:
        table(("WHERE", "ONE", "OTHER", "PROBABLY"), [(d.where, d.one, d.other, d.guess) for d in found])
    else:
        print("the same image")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

"""Images between hosts: one file with the squashfs, its manifest and the digests of both.

The file is a plain tar of three members in this order: `galaxy-image.json` (format, digests), `manifest.json`,
`image.squashfs`. Nothing in it is believed before it was checked, and nothing is entered before all is.
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from galaxy.host.errors import InputError, PolicyError
from galaxy.host.files import require_space, sha256_file
from galaxy.host.journal import Entry, journal
from galaxy.host.store import Store
from galaxy.image.catalogue import MANIFEST, SHORT, SQUASHFS, Image
from galaxy.image.enter import enter_image
from galaxy.image.manifest import read_manifest
from galaxy.image.mount import verify_digest
from galaxy.image.sealed import require_sealed

LABEL = "galaxy-image.json"
_BLOCK = 1 << 20
# A manifest of a few thousand rows has about 1 MB; what is larger is no manifest.
_LARGEST_TEXT = 64_000_000
_AGAIN = "Export the image again and copy the file anew."


class Label(BaseModel):
    """The first member: what is in the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = 1
    image_sha256: str = Field(pattern="^[0-9a-f]{64}$")
    image_size: int = Field(ge=0)
    manifest_sha256: str = Field(pattern="^[0-9a-f]{64}$")


def export_image(store: Store, image: Image, target: Path) -> Path:
    """Write an image to one file; returns it. `target` is a file that does not exist, or a folder.

    InputError when the file exists; PolicyError when the image is not what its id says.
    """
    path = target / f"galaxy-{image.ref}-{image.id[:SHORT]}.tar" if target.is_dir() else target
    if path.exists() or not path.parent.is_dir():
        problem = f"{path} exists already" if path.exists() else f"there is no folder {path.parent}"
        raise InputError(problem, "Name another file.")
    verify_digest(image)
    require_sealed(image.manifest, image.squashfs)
    require_space(path.parent, image.manifest.image_size, "exporting the image")
    part = path.with_name(f".{path.name}.part")
    with journal(store, "export", image.ref) as entry:
        entry.on_failure("tree", part.absolute())
        _write(image, part)
        part.rename(path)
    return path


def _write(image: Image, path: Path) -> None:
    manifest = (image.path / MANIFEST).read_bytes()
    label = Label(
        image_sha256=image.id,
        image_size=image.squashfs.stat().st_size,
        manifest_sha256=hashlib.sha256(manifest).hexdigest(),
    )
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, body in ((LABEL, label.model_dump_json().encode()), (MANIFEST, manifest)):
            archive.addfile(_member(name, len(body)), io.BytesIO(body))
        with image.squashfs.open("rb") as source:
            archive.addfile(_member(SQUASHFS, label.image_size), source)


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    return member


def import_image(store: Store, path: Path) -> Image:
    """Take an image from a file. One that is there already stays as it is, unless it is damaged: then it is replaced.

    InputError for a file that is no export or not all there, PolicyError for one that was changed.
    """
    if not path.is_file():
        why = "is no file" if path.exists() else "is not there"
        raise InputError(f"{path} {why}", "Name a file that galaxy image export wrote.")
    store.images.mkdir(parents=True, exist_ok=True)
    require_space(store.images, path.stat().st_size, "importing the image")
    with journal(store, "import", path.name) as entry, _opened(path) as archive:
        return _import(store, entry, archive, path)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r:") as archive:
            yield archive
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{path} is no exported image, or not all there: {error}", _AGAIN) from None


def _import(store: Store, entry: Entry, archive: tarfile.TarFile, path: Path) -> Image:
    label = _label(archive, path)
    if label.image_size > path.stat().st_size:
        raise InputError(f"{path} says that it holds more than it has", _AGAIN)
    incoming = store.images / f".importing-{entry.path.stem}"
    with entry.temporarily("tree", incoming):
        folder = incoming / label.image_sha256
        folder.mkdir(parents=True)
        _take(archive, MANIFEST, folder, label.manifest_sha256, _LARGEST_TEXT)
        _take(archive, SQUASHFS, folder, label.image_sha256, label.image_size)
        _check(folder, label, path)
        return enter_image(store, folder, label.image_sha256, incoming / "damaged")


def _label(archive: tarfile.TarFile, path: Path) -> Label:
    first = archive.next()
    if first is None or first.name != LABEL or not first.isreg() or first.size > _LARGEST_TEXT:
        raise InputError(f"{path} is no exported image", "Name a file that galaxy image export wrote.")
    source = archive.extractfile(first)
    assert source is not None
    try:
        return Label.model_validate(json.loads(source.read()))
    except (ValidationError, ValueError) as error:
        raise InputError(f"{path} has a label that cannot be read: {error}", _AGAIN) from None


def _take(archive: tarfile.TarFile, name: str, folder: Path, digest: str, limit: int) -> None:
    """Write the next member to a folder. PolicyError when its digest is not the label's."""
    member = archive.next()
    # No sparse member, of which there may be any number of octets in a small file.
    plain = member is not None and member.type == tarfile.REGTYPE
    if member is None or member.name != name or not plain or member.size > limit:
        raise InputError(f"the file has no {name} where it should be", _AGAIN)
    source = archive.extractfile(member)
    assert source is not None
    with (folder / name).open("wb") as sink:
        while block := source.read(_BLOCK):
            sink.write(block)
        if sink.tell() != member.size:
            raise InputError(f"the file ends in the middle of {name}", _AGAIN)
    if sha256_file(folder / name) != digest:
        raise PolicyError(f"{name} was changed after the export: its digest differs", _AGAIN)


def _check(folder: Path, label: Label, path: Path) -> None:
    """The manifest must be this image's, and the one that is sealed inside."""
    manifest = read_manifest(folder / MANIFEST)
    if manifest.image_sha256 != label.image_sha256:
        raise PolicyError(f"the manifest in {path} is another image's", _AGAIN)
    require_sealed(manifest, folder / SQUASHFS)

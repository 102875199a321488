"""The manifest: what an image is made of, where that came from, and why each file is in it.

The manifest stands beside the squashfs. A digest of its rows and of its origin is sealed inside
(`seal.json`), so that neither can be changed without the image's id telling.
"""

import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from galaxy.host.errors import InputError, PolicyError
from galaxy.host.files import sha256_text
from galaxy.host.settings import first_problem

# Raise it when the same tree is sealed into another image because Galaxy itself changed.
SEALER_REVISION = 3
LICENCE = "GPL-3.0-or-later"
OFFER = (
    "Samba is free software under the GNU GPL, version 3 or later. The corresponding source is the release's "
    "source with the digest, patches and recipe given here, and the source packages of the listed "
    "distribution packages."
)


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SourceFile(_Row):
    """A file of the source, or a patch, by name and SHA-256."""

    name: str
    sha256: str


class Provenance(_Row):
    """Where an image comes from: enough to make it again, and to hand out the corresponding source.

    `packages` are `name=version` of the build root, or of the installed tree of a packaged image;
    `recipe` is the recipe's row as JSON; `source` the SHA-256 over the source, "" for packages.
    """

    version: str
    packaged: bool
    origin: str
    suite: str
    input_id: str
    package_version: str = ""
    source: str = ""
    source_files: tuple[SourceFile, ...] = ()
    patches: tuple[SourceFile, ...] = ()
    recipe: str = ""
    packages: tuple[str, ...] = ()


class FileRow(_Row):
    """One path of the image. `size` and `sha256` are a file's, `target` a link's; folders have a mode."""

    path: str
    kind: Literal["file", "link", "folder"]
    mode: str
    size: int = 0
    sha256: str = ""
    target: str = ""
    reason: str
    part: str


class Manifest(_Row):
    """manifest.json. `image_sha256` is the image's id, `made` in UTC, `left_out` paths with the reason."""

    format: Literal[1] = 1
    sealer: int
    provenance: Provenance
    made: str
    galaxy: str
    licence: str = LICENCE
    corresponding_source: str = OFFER
    compression: str
    image_sha256: str
    image_size: int
    left_out: dict[str, str]
    files: tuple[FileRow, ...]

    @property
    def raw_size(self) -> int:
        """Bytes of all files, unpacked."""
        return sum(row.size for row in self.files)


class Seal(_Row):
    """What is inside the image itself: who it is, and the digest of the manifest's rows."""

    version: str
    packaged: bool
    origin: str
    contents: str


def seal_of(provenance: Provenance, files: tuple[FileRow, ...]) -> Seal:
    """The seal for an image with these files (the seal itself has no row)."""
    body = json.dumps(
        {
            "provenance": provenance.model_dump(mode="json"),
            "files": [row.model_dump(mode="json") for row in files],
        },
        sort_keys=True,
    )
    return Seal(
        version=provenance.version,
        packaged=provenance.packaged,
        origin=provenance.origin,
        contents=sha256_text(body),
    )


def read_manifest(path: Path) -> Manifest:
    """Read a manifest. InputError names the file and the key that cannot be taken."""
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}", "Import or build the image again."
        ) from None
    except ValidationError as error:
        why = f"{path} is corrupt: {first_problem(error)}"
        raise InputError(why, "Import or build the image again.") from None


def check_seal(manifest: Manifest, seal: bytes) -> None:
    """PolicyError when the manifest is not the one that `seal` (the image's seal.json) was made for."""
    try:
        found = Seal.model_validate_json(seal)
    except ValidationError:
        found = None
    if found != seal_of(manifest.provenance, manifest.files):
        raise PolicyError(
            f"the manifest of image {manifest.image_sha256[:12]} was changed after the image was sealed",
            "Remove the image, then import or build it again.",
        )

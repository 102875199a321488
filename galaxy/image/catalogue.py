"""The images of a store: listed, found by reference, entered and removed."""

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from galaxy.host.errors import GalaxyError, InputError, PolicyError
from galaxy.host.store import Store
from galaxy.image.manifest import SEALER_REVISION, Manifest, read_manifest
from galaxy.release.version import Version

SQUASHFS = "image.squashfs"
MANIFEST = "manifest.json"
# Digits of an id that people see; a prefix of at least this many always means an id, not a version.
SHORT = 12
_LEAST_PREFIX = 4
# Ends the reference of an image that was made of binary packages.
_PACKAGES = "+packages"


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A sealed image in the store. `id` is the SHA-256 of its squashfs; `path` its folder."""

    id: str
    version: str
    packaged: bool
    manifest: Manifest
    path: Path

    @property
    def ref(self) -> str:
        """What a user types: "4.22.11", or "4.22.11+packages"."""
        return reference(self.version, packaged=self.packaged)

    @property
    def squashfs(self) -> Path:
        """The sealed file."""
        return self.path / SQUASHFS


def reference(version: str, *, packaged: bool) -> str:
    """The reference by version, of an image built from source or made of packages."""
    return f"{version}{_PACKAGES}" if packaged else version


def load_image(folder: Path) -> Image:
    """Read an image's folder. InputError for a corrupt manifest, PolicyError for another image's."""
    manifest = read_manifest(folder / MANIFEST)
    if manifest.image_sha256 != folder.name:
        raise PolicyError(
            f"{folder / MANIFEST} belongs to image {manifest.image_sha256[:SHORT]}",
            "Remove the folder, then import or build the image again.",
        )
    Version.parse(manifest.provenance.version)
    return Image(
        id=manifest.image_sha256,
        version=manifest.provenance.version,
        packaged=manifest.provenance.packaged,
        manifest=manifest,
        path=folder,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A folder among the images that cannot be taken for one, and why."""

    path: Path
    error: GalaxyError


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """The images of one store."""

    store: Store

    def images(self) -> tuple[Image, ...]:
        """All images that can be read, by version, then newest first."""
        found = [item for item in self._items() if isinstance(item, Image)]
        found.sort(key=lambda image: image.manifest.made, reverse=True)
        return tuple(sorted(found, key=lambda image: (Version.parse(image.version), image.packaged)))

    def damaged(self) -> tuple[Damaged, ...]:
        """What stands among the images with a manifest that cannot be read or is another's."""
        return tuple(item for item in self._items() if isinstance(item, Damaged))

    def _items(self) -> list[Image | Damaged]:
        folders = sorted(self.store.images.iterdir()) if self.store.images.is_dir() else []
        return [_load(folder) for folder in folders if not folder.name.startswith(".")]

    def find_input(self, input_id: str) -> Image | None:
        """The image that was made from this plan already, by today's way of sealing."""
        hits = [image for image in self.images() if image.manifest.provenance.input_id == input_id]
        return next((image for image in hits if image.manifest.sealer == SEALER_REVISION), None)

    def resolve(self, ref: str) -> Image:
        """The image that a reference means: an id or its beginning, `version` or `version+packages`.

        A bare version prefers the image built from source, and of several the newest. InputError lists
        what there is.
        """
        images = self.images()
        if not ref:
            raise InputError("no image is named", _offer(list(images), "VERSION"))
        for wanted in (ref, f"{ref}{_PACKAGES}"):
            named = [image for image in images if image.ref == wanted]
            if named:
                return named[0]
        hits = [image for image in images if len(ref) >= _LEAST_PREFIX and image.id.startswith(ref)]
        if len(hits) == 1:
            return hits[0]
        for item in self.damaged():
            if len(ref) >= _LEAST_PREFIX and item.path.name.startswith(ref):
                raise item.error
        problem = f"several images begin with {ref}" if hits else f"there is no image {ref}"
        if len(ref) < _LEAST_PREFIX and any(image.id.startswith(ref) for image in images):
            problem = f"{ref} is too short for the beginning of an id, which has {_LEAST_PREFIX} characters at least"
        raise InputError(problem, _offer(hits or list(images), ref))

    def users(self, image_id: str) -> tuple[str, ...]:
        """Names of the servers that run from an image, and of those that may: theirs can't be read."""
        files = sorted(self.store.servers.glob("*/server.toml"))
        return tuple(file.parent.name for file in files if _image_of(file) in {image_id, None})

    def keepers(self, image_id: str) -> tuple[tuple[str, str], ...]:
        """Names of servers and ids of their snapshots that can only be restored with an image."""
        files = sorted(self.store.servers.glob("*/snapshots/[!.]*/server.toml"))
        return tuple(
            (file.parents[2].name, file.parent.name) for file in files if _image_of(file) == image_id
        )


def _load(folder: Path) -> Image | Damaged:
    try:
        return _loaded(folder, _stamp(folder / MANIFEST))
    except GalaxyError as error:
        return Damaged(path=folder, error=error)


@lru_cache(maxsize=256)
def _loaded(folder: Path, _is: tuple[int, int, int] | None) -> Image:
    """A manifest names thousands of files: a good one is read once in a process, until it is another."""
    return load_image(folder)


def _stamp(file: Path) -> tuple[int, int, int] | None:
    """What changes when a file becomes another; None when there is none, which its reader tells."""
    try:
        status = file.stat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_ino, status.st_size)


def _image_of(server_file: Path) -> str | None:
    try:
        return str(tomllib.loads(server_file.read_text(encoding="utf-8"))["image_id"])
    except FileNotFoundError:
        return ""  # removed just now
    except (OSError, ValueError, KeyError):
        return None


def _offer(images: list[Image], ref: str) -> str:
    if not images:
        return f"The store has no images yet; make one: {_build(ref, quick=True)}"
    listed = ", ".join(f"{image.ref} ({image.id[:SHORT]})" for image in images)
    return f"Name one of: {listed}. Or make it: {_build(ref, quick=ref.endswith(_PACKAGES))}"


def _build(ref: str, *, quick: bool) -> str:
    """The command that makes such an image; with VERSION where the ref names none."""
    try:
        name = str(Version.parse(ref.removesuffix(_PACKAGES)))
    except InputError:
        name = "VERSION"
    return f"galaxy build {name}{' --packages' if quick else ''}"

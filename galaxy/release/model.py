"""What a source offers, what will be fetched for it, and what has been fetched."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from galaxy.host.files import sha256_text
from galaxy.host.journal import Entry
from galaxy.release.version import Version

Origin = Literal["apt", "tarball", "directory"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A Samba version that can be had, and from where.

    `location` is the mirror's suite, a URL or a path; `source` and `packages` say whether it is offered to compile
    and as a distribution's binary packages; `deliverable` is false when the source is listed but gone; `note` is
    what an operator should know.
    """

    version: Version
    origin: Origin
    suite: str = ""
    package_version: str = ""
    location: str = ""
    note: str = ""
    source: bool = True
    packages: bool = False
    deliverable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFile:
    """One file of a source: its name, digest, size in bytes and where it comes from."""

    name: str
    sha256: str
    size: int = 0
    uri: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One patch that was applied, with its digest and, when it is not the source's own, who gave it."""

    name: str
    sha256: str
    donor: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Donor:
    """A packaging archive of another release, out of which one patch is taken."""

    package_version: str
    archive: SourceFile
    patch: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSpec:
    """What will be fetched and unpacked, known by digest before anything is unpacked."""

    release: Release
    files: tuple[SourceFile, ...]
    donor: Donor | None = None
    note: str = ""

    @property
    def digest(self) -> str:
        """The SHA-256 over the digests of everything that goes into the tree; names of hosts don't matter."""
        inputs = sorted(file.sha256 for file in self.files)
        given = [self.donor.archive.sha256, self.donor.patch] if self.donor else []
        return sha256_text(json.dumps([inputs, given]))


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """An unpacked source, patched and ready to configure; `epoch` is its SOURCE_DATE_EPOCH in seconds."""

    path: Path
    digest: str
    files: tuple[SourceFile, ...]
    patches: tuple[Patch, ...]
    epoch: int


class Source(Protocol):
    """Where releases come from; one module each: apt, tarball, directory."""

    name: Origin

    def releases(self) -> tuple[Release, ...]:
        """Everything that it offers, newest first. HostError when it can't be asked."""

    def describe(self, release: Release) -> SourceSpec:
        """What fetching that release means. BuildError when the release is known but can't be delivered."""

    def fetch(self, spec: SourceSpec, entry: Entry, into: Path) -> SourceTree:
        """Fetch, verify and unpack into the folder `into`, which must not exist yet."""

"""Upstream's tarballs: from the configured site, a URL or a file; never without a digest or a signature."""

import re
import shutil
from pathlib import Path
from urllib.parse import urljoin

import urllib3

from galaxy.host.errors import BuildError, HostError, InputError
from galaxy.host.files import FULL, MORE_SPACE, sha256_file, sha256_text
from galaxy.host.journal import Entry
from galaxy.host.lock import locked
from galaxy.host.settings import TarballSettings
from galaxy.host.store import Store
from galaxy.release.download import download
from galaxy.release.http import plain_reason, pool_for
from galaxy.release.memory import recall, remember
from galaxy.release.model import Origin, Release, SourceFile, SourceSpec, SourceTree
from galaxy.release.signature import verify_tarball
from galaxy.release.stated import require_version
from galaxy.release.unpack import newest_time, unpack_tar
from galaxy.release.version import Version

_NAME = re.compile(r"samba-(\d+\.\d+\.\d+(?:rc\d+|pre\d+)?)\.(tar(?:\.gz|\.xz|\.bz2)?)")
_LISTING_TIMEOUT = 8.0
# Until another command has fetched the same tarball, in seconds.
_PATIENCE = 3600.0


class TarballSource:
    """Tarballs; `location` (file or URL), `sha256` and `signature` (file or URL) are a command's options."""

    name: Origin = "tarball"

    def __init__(
        self,
        store: Store,
        settings: TarballSettings,
        *,
        location: str | None = None,
        sha256: str | None = None,
        signature: str | None = None,
    ) -> None:
        self.store = store
        self.settings = settings
        self.location = location
        self.sha256 = _checked_digest(sha256)
        self.signature = signature

    def releases(self) -> tuple[Release, ...]:
        """The version of the named tarball, or everything that the configured site lists."""
        if self.location:
            return (Release(version=_version_in(self.location), origin="tarball", location=self.location),)
        return self._listed()

    def named(self, version: Version) -> Release:
        """A version by upstream's naming, without asking the site whether it has it."""
        location = self.location or urljoin(self.settings.url, f"samba-{version}.tar.gz")
        return Release(version=version, origin="tarball", location=location)

    def describe(self, release: Release) -> SourceSpec:
        """Fetch and verify it unless that was done before: a signature vouches for no digest known beforehand."""
        archive = self._verified(release)
        digest = archive.parent.name
        file = SourceFile(name=archive.name, sha256=digest, size=archive.stat().st_size, uri=release.location)
        return SourceSpec(release=release, files=(file,))

    def fetch(self, spec: SourceSpec, entry: Entry, into: Path) -> SourceTree:
        """Unpack the verified archive, whose digest is checked again."""
        file = spec.files[0]
        archive = self.store.sources / file.sha256 / file.name
        if not archive.exists() or sha256_file(archive) != file.sha256:
            raise BuildError(
                f"{archive} is not what was verified before", f"Remove {archive.parent} and try again."
            )
        into.parent.mkdir(parents=True, exist_ok=True)
        entry.on_failure("tree", into)
        unpack_tar(archive, into)
        require_version(into, spec.release)
        return SourceTree(
            path=into, digest=spec.digest, files=spec.files, patches=(), epoch=newest_time(archive)
        )

    def _verified(self, release: Release) -> Path:
        signature = self._signature(release)
        if self.sha256 is None and signature is None:
            raise InputError(
                f"{release.location} has neither digest nor signature, so nothing vouches for it",
                "Give --sha256, or --signature with tarball.keyring set.",
            )
        if signature is not None and self.settings.keyring is None:
            raise InputError(
                "no key ring says whose signatures count",
                "Set tarball.keyring in the settings, or give --sha256 alone.",
            )
        with locked(self.store, self._place(release).name.lstrip("."), wait=_PATIENCE):
            return self._known(release, signature) or self._obtain(release, signature)

    def _place(self, release: Release) -> Path:
        """Where it arrives; an interrupted download goes on there."""
        return self.store.sources / f".tarball-{sha256_text(release.location)[:16]}"

    def _signature(self, release: Release) -> str | None:
        """The given signature, or upstream's place for it: beside the tarball, named for the uncompressed tar."""
        if self.signature or self.sha256 or self.location:
            return self.signature
        return re.sub(r"\.tar(\.\w+)?$", ".tar.asc", release.location)

    def _obtain(self, release: Release, signature: str | None) -> Path:
        folder = self._place(release)
        folder.mkdir(parents=True, exist_ok=True)
        archive = _brought(release.location, folder)
        digest = sha256_file(archive)
        try:
            self._vouch(archive, digest, signature)
        except BuildError:
            shutil.rmtree(folder)
            raise
        target = self.store.sources / digest / archive.name
        target.parent.mkdir(parents=True, exist_ok=True)
        archive.replace(target)
        shutil.rmtree(folder)
        self._remember(release, signature, digest)
        return target

    def _vouch(self, archive: Path, digest: str, signature: str | None) -> None:
        """BuildError unless the given digest and the given signature both fit."""
        if self.sha256 is not None and digest != self.sha256:
            raise BuildError(
                f"{archive.name} has the SHA-256 {digest}, not the one given",
                "Check the digest and the file.",
            )
        if signature is not None and self.settings.keyring is not None:
            verify_tarball(archive, _brought(signature, archive.parent), self.settings.keyring)

    def _known(self, release: Release, signature: str | None) -> Path | None:
        digest = str(recall(self._memory).get(self._key(release, signature), ""))
        path = self.store.sources / digest / Path(release.location).name
        return path if digest and path.is_file() else None

    def _remember(self, release: Release, signature: str | None, digest: str) -> None:
        known = {**recall(self._memory), self._key(release, signature): digest}
        remember(self._memory, known)

    @property
    def _memory(self) -> Path:
        return self.store.sources / "tarballs.json"

    def _key(self, release: Release, signature: str | None) -> str:
        """What was verified with what; a file on disk counts only as it is now."""
        ring = self.settings.keyring
        vouched = (
            f"{self.sha256} {_content(signature)} {sha256_file(ring) if ring and ring.is_file() else ''}"
        )
        path = Path(release.location)
        state = f"{path.stat().st_mtime_ns} {path.stat().st_size}" if path.is_file() else ""
        return sha256_text(f"{release.location} {state} {vouched}")

    def _listed(self) -> tuple[Release, ...]:
        try:
            answer = pool_for(self.settings.url).request(
                "GET", self.settings.url, timeout=_LISTING_TIMEOUT, retries=urllib3.Retry(0, redirect=3)
            )
        except urllib3.exceptions.HTTPError as error:
            raise HostError(
                f"{self.settings.url} can't be reached: {plain_reason(error)}",
                "Check the network, or set tarball.url.",
            ) from None
        names = {match[1]: match[0] for match in _NAME.finditer(answer.data.decode(errors="replace"))}
        found = [
            Release(
                version=Version.parse(version), origin="tarball", location=urljoin(self.settings.url, name)
            )
            for version, name in names.items()
        ]
        return tuple(sorted(found, key=lambda release: release.version, reverse=True))


def _brought(location: str, folder: Path) -> Path:
    """A local copy of a file or URL. InputError when a file can't be read."""
    target = folder / location.rsplit("/", 1)[-1]
    if location.startswith(("http://", "https://")):
        download(location, target)
        return target
    try:
        shutil.copyfile(location, target)
    except OSError as error:
        if error.errno in FULL:
            raise HostError(f"no space was left while {location} was copied", MORE_SPACE) from None
        raise InputError(
            f"cannot read {location}: {error.strerror}", "Name a file or an http(s) address."
        ) from None
    return target


def _content(signature: str | None) -> str:
    """What stands for a signature: the digest of a file, which may have been replaced; else its address."""
    file = Path(signature) if signature else None
    return sha256_file(file) if file and file.is_file() else str(signature)


def _version_in(location: str) -> Version:
    match = _NAME.search(location)
    if match is None:
        raise InputError(
            f"{location} is not named like a Samba release", "Name it as upstream does: samba-4.22.11.tar.gz"
        )
    return Version.parse(match[1])


def _checked_digest(text: str | None) -> str | None:
    if text is not None and not re.fullmatch(r"[0-9a-fA-F]{64}", text):
        raise InputError(f"{text!r} is not a SHA-256", "Give 64 hexadecimal digits.")
    return text.lower() if text else None

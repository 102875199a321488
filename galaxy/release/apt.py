"""Samba's Debian source packages, through a private apt state."""

import shutil
from pathlib import Path

from galaxy.host.errors import BuildError, CommandError, HostError, InputError
from galaxy.host.files import sha256_file
from galaxy.host.journal import Entry
from galaxy.host.process import find_tool, run
from galaxy.host.progress import say
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release.aptindex import SambaIndex, SourceOffer, samba_index
from galaxy.release.aptstate import FRESH_FOR, AptState
from galaxy.release.model import Donor, Origin, Patch, Release, SourceSpec, SourceTree
from galaxy.release.pool import cached_file, fetch_file, gone_files
from galaxy.release.stated import require_version
from galaxy.release.unpack import newest_time, require_room, unpack_tar
from galaxy.release.version import Version, debian_key, upstream_version

# Debian's +dfsg tarballs lack a table from RFC 3454 that Heimdal's build reads; this patch of theirs puts it back.
HEIMDAL_PATCH = "heimdal-rfc3454.txt"
_UNPACK_TIMEOUT = 300.0
_MINUTE, _DAY = 60.0, 86400.0


def apt_state(store: Store, settings: Settings) -> AptState:
    """The store's private apt for the configured suites; links resolved, for several stores may share one."""
    return AptState(folder=store.apt.resolve(), suites=settings.apt.suites, store=store)


class AptSource:
    """The apt source: what the configured suites offer, as source and as binary packages."""

    name: Origin = "apt"

    def __init__(self, state: AptState) -> None:
        self.state = state

    def releases(self) -> tuple[Release, ...]:
        """All offers, newest first, with a note on what the archives list but no longer deliver."""
        self.state.ensure()
        index = samba_index(self.state)
        files = [file for offer in index.sources for file in offer.files]
        gone = gone_files(self.state, files)
        return tuple(self._release(offer_key, index, gone) for offer_key in _keys(index))

    def find(self, version: Version, *, packaged: bool) -> Release | None:
        """The newest packaging of a version; of sources, one that its archive still has whole, if there is any.

        The indexes may be a day old, for updates that close holes are in the next ones; an hour when a packaging is
        gone from the pool; a minute when they do not name the version.
        """
        self._keep_fresh(_DAY)
        release = self._known(version, packaged=packaged)
        if release is None:
            self.state.ensure(fresh_for=_MINUTE)
        elif _is_torn(release):
            self._keep_fresh(FRESH_FOR)
        else:
            return release
        return self._known(version, packaged=packaged)

    def _keep_fresh(self, seconds: float) -> None:
        """Update indexes that are older; when no mirror answers, they go on to be used."""
        try:
            self.state.ensure(fresh_for=seconds)
        except HostError as error:
            if not self.state.has_indexes:
                raise
            say(f"going on with the package lists of {self.state.age() / _DAY:.1f} days ago: {error.message}")

    def describe(self, release: Release) -> SourceSpec:
        """The package's own files; or its orig tarball and one patch of a neighbour when the packaging is gone."""
        index = samba_index(self.state)
        offer = self._offer(index, release)
        gone = gone_files(self.state, offer.files)
        orig = offer.file(".orig.tar")
        if orig is None or _is_lost(offer, gone):
            raise BuildError(
                f"Samba {release.version} is in the index of {release.suite} but gone from the archive's pool",
                "Choose another version (galaxy releases says which can be delivered), or build it with --packages.",
            )
        if not any(file.sha256 in gone for file in offer.files):
            return SourceSpec(release=release, files=offer.files)
        donor = self._donor(index, release)
        note = f"packaging gone from the pool; its tarball with {HEIMDAL_PATCH} of {donor.package_version}"
        return SourceSpec(release=release, files=(orig,), donor=donor, note=note)

    def fetch(self, spec: SourceSpec, entry: Entry, into: Path) -> SourceTree:
        """Fetch, check and unpack; with Debian's patches where its packaging is there."""
        for file in spec.files:
            fetch_file(self.state, file, entry)
        into.parent.mkdir(parents=True, exist_ok=True)
        entry.on_failure("tree", into)
        patches = (
            self._with_donor(spec, entry, into) if spec.donor else self._with_packaging(spec, entry, into)
        )
        require_version(into, spec.release)
        return SourceTree(
            path=into,
            digest=spec.digest,
            files=spec.files + ((spec.donor.archive,) if spec.donor else ()),
            patches=patches,
            epoch=self._epoch(spec),
        )

    def _known(self, version: Version, *, packaged: bool) -> Release | None:
        index = samba_index(self.state)
        keys = [key for key in _keys(index) if Version.parse(upstream_version(key[1])) == version]
        files = [
            file
            for offer in index.sources
            if not packaged and (offer.suite, offer.package_version) in keys
            for file in offer.files
        ]
        gone = gone_files(self.state, files)
        found = [self._release(key, index, gone) for key in keys]
        fitting = [release for release in found if (release.packages if packaged else release.source)]
        return min(fitting, key=_is_torn, default=None)  # of equals the newest packaging is first

    def _release(self, key: tuple[str, str], index: SambaIndex, gone: frozenset[str]) -> Release:
        suite, package_version = key
        offer = next((one for one in index.sources if (one.suite, one.package_version) == key), None)
        return Release(
            version=Version.parse(upstream_version(package_version)),
            origin="apt",
            suite=suite,
            package_version=package_version,
            location=suite,
            note=_note(offer, gone),
            deliverable=offer is None or not _is_lost(offer, gone),
            source=offer is not None,
            packages=any((one.suite, one.package_version) == key for one in index.binaries),
        )

    def _offer(self, index: SambaIndex, release: Release) -> SourceOffer:
        key = (release.suite, release.package_version)
        for offer in index.sources:
            if (offer.suite, offer.package_version) == key:
                return offer
        raise InputError(
            f"{release.suite} has no source of Samba {release.version}",
            "Build it with --packages, or choose another.",
        )

    def _donor(self, index: SambaIndex, release: Release) -> Donor:
        """The nearest release whose packaging can still be had."""

        def distance(offer: SourceOffer) -> tuple[int, int]:
            return Version.parse(upstream_version(offer.package_version)).distance(release.version)

        for offer in sorted(index.sources, key=distance):
            archive = offer.file(".debian.tar")
            if archive and archive.sha256 not in gone_files(self.state, [archive]):
                return Donor(package_version=offer.package_version, archive=archive, patch=HEIMDAL_PATCH)
        raise BuildError(
            f"no packaging is left in the pools that could complete the source of Samba {release.version}",
            "Build from upstream's tarball instead: galaxy build VERSION --from tarball --path FILE.",
        )

    def _with_packaging(self, spec: SourceSpec, entry: Entry, into: Path) -> tuple[Patch, ...]:
        find_tool("dpkg-source", "dpkg-dev")
        folder = into.with_name(into.name + ".files")
        with entry.temporarily("tree", folder):
            folder.mkdir(parents=True)
            for file in spec.files:
                shutil.copy2(fetch_file(self.state, file, entry), folder / file.name)
            dsc = next(file.name for file in spec.files if file.name.endswith(".dsc"))
            # --no-check: the .dsc's own signature; apt's signed index has vouched for its digest.
            command: list[str | Path] = ["dpkg-source", "--no-check", "--no-copy", "-x", folder / dsc, into]
            try:
                run(command, timeout=_UNPACK_TIMEOUT)
            except CommandError as error:
                require_room(error, f"{dsc} was unpacked")
                raise BuildError(
                    f"dpkg-source could not unpack {dsc}: {error.message}", "Try another version."
                ) from None
        return _series(into)

    def _epoch(self, spec: SourceSpec) -> int:
        """The newest member of the orig tarball: a property of the release, whoever unpacks it."""
        orig = next(file for file in spec.files if ".orig.tar" in file.name)
        return newest_time(cached_file(self.state.store, orig))

    def _with_donor(self, spec: SourceSpec, entry: Entry, into: Path) -> tuple[Patch, ...]:
        assert spec.donor is not None
        unpack_tar(fetch_file(self.state, spec.files[0], entry), into)
        packaging = into.with_name(into.name + ".donor")
        with entry.temporarily("tree", packaging):
            unpack_tar(fetch_file(self.state, spec.donor.archive, entry), packaging, strip=1)
            file = packaging / "patches" / spec.donor.patch
            apply_patch(file, into, spec)
            donor = spec.donor.package_version
            return (Patch(name=f"{file.name} (of samba {donor})", sha256=sha256_file(file), donor=donor),)


def apply_patch(file: Path, tree: Path, spec: SourceSpec) -> None:
    """Apply a patch exactly (no fuzz). BuildError with patch's own words when it doesn't fit this source."""
    find_tool("patch", "patch")
    donor = spec.donor.package_version if spec.donor else "the source"
    if not file.exists():
        raise BuildError(
            f"the packaging of {donor} has no {file.name}", "Build from upstream's tarball instead."
        )
    try:
        run(["patch", "-p1", "--fuzz=0", "--batch", "--no-backup-if-mismatch", "-d", tree, "-i", file])
    except CommandError as error:
        lines = [line for line in error.output.splitlines() if "FAILED" in line or "can't find" in line]
        raise BuildError(
            f"{file.name} of {donor} does not fit Samba {spec.release.version}: {'; '.join(lines) or error.message}",
            "Build from upstream's tarball instead: galaxy build VERSION --from tarball --path FILE.",
        ) from None


def _is_torn(release: Release) -> bool:
    """Whether something of its source is gone from the pool: only then has a source a note."""
    return release.source and bool(release.note)


def _is_lost(offer: SourceOffer, gone: frozenset[str]) -> bool:
    """Without the original tarball there is nothing to compile."""
    orig = offer.file(".orig.tar")
    return orig is None or orig.sha256 in gone


def _note(offer: SourceOffer | None, gone: frozenset[str]) -> str:
    if offer is None:
        return "binary packages only"
    if _is_lost(offer, gone):
        return "source in the index but gone from the pool"
    if any(file.sha256 in gone for file in offer.files):
        return "source packaging gone from the pool; built from its tarball and a neighbour's Heimdal patch"
    return ""


def _keys(index: SambaIndex) -> list[tuple[str, str]]:
    """(suite, package version) of everything offered, newest Samba and newest packaging first."""
    keys = {(offer.suite, offer.package_version) for offer in index.sources}
    keys |= {(offer.suite, offer.package_version) for offer in index.binaries}
    return sorted(sorted(keys), key=lambda key: debian_key(key[1]), reverse=True)


def _series(tree: Path) -> tuple[Patch, ...]:
    """The patches that dpkg-source has applied, in their order."""
    folder = tree / "debian" / "patches"
    series = folder / "series"
    lines = series.read_text(encoding="utf-8").splitlines() if series.exists() else []
    names = [line.split("#")[0].strip() for line in lines]
    return tuple(Patch(name=name, sha256=sha256_file(folder / name)) for name in names if name)

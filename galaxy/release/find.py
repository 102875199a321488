"""Pick a release by version and origin, and say what is near when there is none."""

from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import InputError
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release.apt import AptSource, apt_state
from galaxy.release.directory import DirectorySource
from galaxy.release.model import Release, Source
from galaxy.release.tarball import TarballSource
from galaxy.release.version import Version

ORIGINS = ("apt", "tarball", "directory")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which release somebody wants: a version, and where from when not from the default (apt, or what `path` is)."""

    version: str
    origin: str | None = None
    path: str | None = None
    packaged: bool = False
    sha256: str | None = None
    signature: str | None = None


def sources(store: Store, settings: Settings) -> tuple[Source, ...]:
    """The sources that can list releases."""
    return (AptSource(apt_state(store, settings)), TarballSource(store, settings.tarball))


def source_of(store: Store, settings: Settings, wanted: Wanted) -> Source:
    """The source that a request means. InputError when its parts don't fit together."""
    origin = wanted.origin or _origin_of(wanted.path)
    if origin not in ORIGINS:
        raise InputError(f"there is no source {origin!r}", f"Choose one of: {', '.join(ORIGINS)}.")
    if wanted.packaged and origin != "apt":
        raise InputError("binary packages come from apt only", "Leave out --from and --path, or --packages.")
    if origin == "apt":
        if wanted.path or wanted.sha256 or wanted.signature:
            raise InputError("--path, --sha256 and --signature are for a tarball", "Add: --from tarball")
        return AptSource(apt_state(store, settings))
    if origin == "directory":
        if wanted.path is None:
            raise InputError("a source directory must be named", "Add: --path FOLDER")
        return DirectorySource(Path(wanted.path))
    return TarballSource(
        store, settings.tarball, location=wanted.path, sha256=wanted.sha256, signature=wanted.signature
    )


def find_release(store: Store, settings: Settings, wanted: Wanted) -> Release:
    """The release that is wanted. InputError names the nearest that can be had when it is unknown."""
    version = Version.parse(wanted.version)
    source = source_of(store, settings, wanted)
    release: Release | None
    if isinstance(source, AptSource):
        release = source.find(version, packaged=wanted.packaged)
    elif isinstance(source, TarballSource) and wanted.path is None:
        release = source.named(version)
    else:
        release = next((one for one in source.releases() if one.version == version), None)
    if release is None:
        raise _unknown(version, source.releases(), packaged=wanted.packaged)
    return release


def _origin_of(path: str | None) -> str:
    if path is None:
        return "apt"
    return "directory" if Path(path).is_dir() else "tarball"


def _unknown(version: Version, offered: tuple[Release, ...], *, packaged: bool) -> InputError:
    fitting = {
        one.version for one in offered if (one.packages if packaged else one.source and one.deliverable)
    }
    near = sorted(sorted(fitting, key=version.distance)[:3])
    if not near:
        return InputError(f"no source offers Samba {version}", "Run: galaxy releases")
    names = ", ".join(str(one) for one in near)
    what = "packages of Samba" if packaged else "Samba"
    return InputError(
        f"no configured source offers {what} {version}", f"Nearest are {names}; all: galaxy releases"
    )

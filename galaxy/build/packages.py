"""A tree from a distribution's binary packages: chosen by apt's resolver in the private state, unpacked, not run.

No maintainer script runs: what they would set up (alternatives, users, services) no image takes over, and a root
without dpkg's bookkeeping is made in a few seconds.
"""

import json
import os
import shutil
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import unquote

from galaxy.host.errors import BuildError, CommandError, HostError
from galaxy.host.files import require_space, sha256_file, sha256_text, write_atomic
from galaxy.host.journal import Entry
from galaxy.host.lock import locked
from galaxy.host.process import find_tool, run
from galaxy.host.progress import bar, step
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release import Release
from galaxy.release.apt import apt_state
from galaxy.release.aptstate import FRESH_FOR, AptState, set_options
from galaxy.release.memory import recall, remember

# What a domain controller's image takes files from, by what it is needed for.
SAMBA = (
    "samba",
    "samba-ad-dc",
    "samba-ad-provision",
    "samba-dsdb-modules",
    "samba-vfs-modules",
    "python3-samba",
    "winbind",
    "smbclient",
    "ldb-tools",
    "tdb-tools",
    "lmdb-utils",
    "patch",
)
PYTHON = ("python3-cryptography", "python3-dnspython", "python3-markdown")
# A shell, the loader's cache and the few files that every root has.
BASE = ("base-files", "base-passwd", "coreutils", "dash", "libc-bin")
_FIXED_LINKS = ("bin", "sbin", "lib", "lib64")
# Programs that Debian names through alternatives.
_ALTERNATIVES = {"usr/bin/tdbbackup": "tdbbackup.tdbtools"}
_DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}
_NEED = 1_500_000_000
_RESOLVE_TIMEOUT = 120.0
_DOWNLOAD_TIMEOUT = 900.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """One binary package file as the signed index names it."""

    file: str
    sha256: str
    size: int

    @property
    def pinned(self) -> str:
        """`name=version`."""
        name, version, _ = self.file.split("_", 2)
        return f"{name}={unquote(version)}"


def resolve_packages(store: Store, settings: Settings, release: Release) -> tuple[str, ...]:
    """Samba's packages of exactly that version and all that they need, as `name=version`, sorted."""
    state = apt_state(store, settings)
    archives = _resolved(state, release)
    if state.age() > FRESH_FOR and not all(_cached(state, archive).exists() for archive in archives):
        state.ensure()
        archives = _resolved(state, release)
    if not any(archive.pinned == f"samba={release.package_version}" for archive in archives):
        raise BuildError(
            f"{release.suite} has another packaging of Samba {release.version} by now",
            "Run the same command again.",
        )
    return tuple(sorted(archive.pinned for archive in archives))


@contextmanager
def unpacked(
    store: Store, settings: Settings, packages: tuple[str, ...], release: Release, entry: Entry
) -> Iterator[Path]:
    """A root with those packages unpacked, for the block."""
    state = apt_state(store, settings)
    archives = _resolved(state, release)
    if tuple(sorted(archive.pinned for archive in archives)) != packages:
        raise BuildError("the archives changed while the build was planned", "Run the same command again.")
    require_space(store.builds, _NEED, f"unpacking the packages of Samba {release.version}")
    root = store.builds / f".packages-{entry.path.stem}"
    with entry.temporarily("tree", root):
        _download(state, release, archives)
        _unpack(state, archives, root)
        _furnish(root)
        yield root


def suites_for(suite: str, configured: tuple[str, ...]) -> tuple[str, ...]:
    """A suite with those that it builds on: bookworm-backports needs bookworm, and its security updates."""
    base = suite.split("-", maxsplit=1)[0]
    wanted = dict.fromkeys((base, f"{base}-security", suite))
    return tuple(one for one in wanted if one in configured or one in (base, suite))


def _resolved(state: AptState, release: Release) -> tuple[Archive, ...]:
    """The resolver's answer, remembered for the same indexes and the same question."""
    memory = state.folder / "resolved.json"
    digest = state.index_digest()
    known = recall(memory, digest)
    asked = [release.suite, preferring(release.suite), release.package_version, SAMBA, PYTHON, BASE]
    key = sha256_text(json.dumps(asked))
    if key not in known:
        known[key] = [asdict(archive) for archive in _ask(state, release)]
        remember(memory, known, digest)
    return tuple(Archive(**row) for row in known[key])


def _ask(state: AptState, release: Release) -> list[Archive]:
    with step(f"choosing the packages of Samba {release.version} from {release.suite}"):
        try:
            # Archives that are cached are not printed, so the answer is asked for with an empty cache.
            nowhere = f"Dir::Cache::archives={state.folder / 'cache' / 'none'}"
            done = state.run(
                _install(state, release, "--print-uris", "-o", nowhere), timeout=_RESOLVE_TIMEOUT
            )
        except CommandError as error:
            raise BuildError(
                f"apt can't put together Samba {release.package_version} from {release.suite}: {_reason(error)}",
                "Choose another version: galaxy releases.",
            ) from None
    rows = [line.rsplit(" ", 3) for line in done.stdout.splitlines() if line.startswith("'")]
    return [
        Archive(file=file, size=int(size), sha256=digest.removeprefix("SHA256:"))
        for _, file, size, digest in rows
    ]


def _install(state: AptState, release: Release, *options: str) -> list[str]:
    """The apt-get command: Samba's own packages pinned to one version, their dependencies the newest."""
    name = f"packages-{release.suite}"
    sources = state.sources_file(name, suites_for(release.suite, state.suites))
    plain = release.package_version.split(":", 1)[-1]
    pin = state.folder / "etc" / f"{name}.pref"
    write_atomic(pin, f"Package: src:samba\nPin: version *{plain}\nPin-Priority: 1001\n")
    places = set_options(
        f"Dir::Etc::sourcelist={sources}", f"Dir::Etc::preferences={pin}", "Acquire::ForceHash=SHA256"
    )
    known = state.run(["apt-cache", *places, "pkgnames", "samba"]).stdout.split()
    wanted = [one for one in SAMBA if not one.startswith("samba-") or one in known]
    of_suite = preferring(release.suite)
    return ["apt-get", "install", "-y", "-q", *places, *of_suite, *options, *wanted, *PYTHON, *BASE]


def preferring(suite: str) -> tuple[str, ...]:
    """How dependencies, too, come from backports: apt takes none of those by itself, and what Samba needs may be there.

    Not for other suites: what is preferred comes before security updates.
    """
    return ("--target-release", suite) if suite.endswith("-backports") else ()


def _cached(state: AptState, archive: Archive) -> Path:
    return state.folder / "cache" / "archives" / archive.file


def _download(state: AptState, release: Release, archives: tuple[Archive, ...]) -> None:
    missing = sum(archive.size for archive in archives if not _cached(state, archive).exists())
    with locked(state.store, "apt", wait=_DOWNLOAD_TIMEOUT):
        if missing:
            with step(f"downloading {missing / 1e6:.0f} MB of packages"):
                _fetch(state, release)
    for archive in archives:
        file = _cached(state, archive)
        if not file.exists() or sha256_file(file) != archive.sha256:
            file.unlink(missing_ok=True)
            raise BuildError(
                f"{archive.file} does not have the digest of the signed index", "Run the command again."
            )


def _fetch(state: AptState, release: Release) -> None:
    try:
        state.run(_install(state, release, "--download-only"), timeout=_DOWNLOAD_TIMEOUT)
    except CommandError as error:
        (state.folder / "updated").unlink(missing_ok=True)
        raise HostError(
            f"the mirror did not deliver all packages: {_reason(error)}",
            "Run the command again: it asks the mirror for its present state.",
        ) from None


def _reason(error: CommandError) -> str:
    lines = [
        line for line in error.output.splitlines() if line.startswith(("E:", "Err:")) or "Depends:" in line
    ]
    return "; ".join(line.removeprefix("E:").strip() for line in lines[:3]) or error.message


def _unpack(state: AptState, archives: tuple[Archive, ...], root: Path) -> None:
    find_tool("dpkg-deb", "dpkg")
    root.mkdir(parents=True)
    for name in _FIXED_LINKS:
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    with bar("unpacking packages") as advance, ThreadPoolExecutor(max_workers=os.cpu_count()) as workers:
        commands = [
            ["dpkg-deb", "--extract", str(_cached(state, archive)), str(root)] for archive in archives
        ]
        for done, _ in enumerate(workers.map(run, commands), start=1):
            advance(done, len(commands))


def _furnish(root: Path) -> None:
    """What maintainer scripts and a kernel would have added, as far as programs in the root need it."""
    for name in ("passwd", "group"):
        shutil.copyfile(root / f"usr/share/base-passwd/{name}.master", root / "etc" / name)
    for name, (major, minor) in _DEVICES.items():
        (root / "dev").mkdir(exist_ok=True)
        os.mknod(root / "dev" / name, 0o666 | stat.S_IFCHR, os.makedev(major, minor))
        (root / "dev" / name).chmod(0o666)
    for link, target in _ALTERNATIVES.items():
        if (root / link).with_name(target).exists() and not (root / link).exists():
            (root / link).symlink_to(target)
    (root / "tmp").mkdir(exist_ok=True)
    (root / "tmp").chmod(0o1777)
    run(["chroot", root, "/sbin/ldconfig"])

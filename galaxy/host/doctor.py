"""Can this host build, run and verify? Every line says what was found, what is needed and what to do."""

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from galaxy.host.errors import GalaxyError
from galaxy.host.files import size
from galaxy.host.process import BASE_ENV, run
from galaxy.host.settings import load_settings, settings_file
from galaxy.host.store import Store

# Bytes: a first verify run keeps two images, their roots and templates; a build keeps its objects too.
SPACE_NEEDED = 3_000_000_000
SPACE_TO_BUILD = 8_000_000_000
MEMORY_NEEDED = 1_500_000_000
CAP_SYS_ADMIN = 21
CAP_SYS_RESOURCE = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line: `remedy` is empty when all is well; without what is `necessary` Galaxy does not work here."""

    name: str
    found: str
    needed: str
    remedy: str = ""
    necessary: bool = True

    @property
    def ok(self) -> bool:
        """Whether nothing has to be done about it."""
        return not self.remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """A row of debian-packages.txt; `program` is '' where no program shows that the package is there."""

    name: str
    program: str
    purpose: str


def packages() -> tuple[Package, ...]:
    """The Debian packages that Galaxy needs: the list that the launchers install from."""
    text = (files("galaxy.host") / "debian-packages.txt").read_text(encoding="utf-8")
    rows = [line.split(maxsplit=2) for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(
        Package(name=name, program="" if program == "-" else program, purpose=purpose)
        for name, program, purpose in rows
    )


def examine(store: Store) -> Iterator[Finding]:
    """Look at everything that needs no root, one finding at a time; `kernel.probe` tries the rest."""
    yield _root()
    yield _python()
    yield _settings()
    yield from _programs()
    yield _sources()
    yield _memory()
    yield _space(store)
    yield _sys_admin()
    yield _sys_resource()


def attempt(
    name: str, needed: str, remedy: str, probe: Callable[[], str], *, necessary: bool = True
) -> Finding:
    """A finding from trying: the probe returns what it found, or its error is what was found."""
    try:
        return Finding(name=name, found=probe(), needed=needed, necessary=necessary)
    except (GalaxyError, OSError) as error:
        reason = error.message if isinstance(error, GalaxyError) else str(error)
        return Finding(
            name=name, found=" ".join(reason.split()), needed=needed, remedy=remedy, necessary=necessary
        )


def _root() -> Finding:
    root = os.geteuid() == 0
    return Finding(
        name="root",
        found="root" if root else f"user {os.geteuid()}",
        needed="root",
        remedy="" if root else "Run it again with sudo: what needs root could not be tried.",
    )


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    remedy = "" if sys.version_info >= (3, 11) else "Use Debian 12 or newer."
    return Finding(name="python", found=version, needed="3.11", remedy=remedy)


def _settings() -> Finding:
    def read() -> str:
        load_settings()
        file = settings_file()
        return str(file) if file else "the defaults"

    return attempt("settings", "what the administrator has set", "Mend the settings file.", read)


def _programs() -> Iterator[Finding]:
    for package in packages():
        if package.program:
            path = shutil.which(package.program, path=BASE_ENV["PATH"])
            remedy = "" if path else f"apt-get install {package.name}"
            yield Finding(
                name=package.program, found=path or "missing", needed=package.purpose, remedy=remedy
            )


def _sources() -> Finding:
    def suites() -> str:
        lines = run(
            ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)", "Created-By: Packages"]
        ).stdout
        found = sorted(set(filter(str.strip, lines.splitlines())))
        if not found:
            raise GalaxyError("apt has no sources")
        return f"{len(found)}, the first: {found[0]}"

    remedy = "Give apt a Debian mirror in /etc/apt/sources.list.d/ and run apt-get update."
    return attempt("apt sources", "a Debian mirror, for Samba's packages and build roots", remedy, suites)


def _memory() -> Finding:
    fields = dict(
        line.split(":", 1) for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    )
    free = int(fields["MemAvailable"].split()[0]) * 1024
    return Finding(
        name="memory",
        found=f"{size(free)} available",
        needed=size(MEMORY_NEEDED),
        remedy="" if free >= MEMORY_NEEDED else "Give the machine more memory, or stop something.",
        necessary=False,
    )


def _space(store: Store) -> Finding:
    place = next(parent for parent in (store.root, *store.root.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    return Finding(
        name="disk space",
        found=f"{size(free)} free under {place}",
        needed=f"{size(SPACE_NEEDED)}; {size(SPACE_TO_BUILD)} to build from source",
        remedy=""
        if free >= SPACE_NEEDED
        else "Free some space, or point GALAXY_ROOT to a larger file system.",
    )


def _has_capability(number: int) -> bool:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    effective = next(line.split()[1] for line in lines if line.startswith("CapEff:"))
    return bool(int(effective, 16) >> number & 1)


def _sys_admin() -> Finding:
    has = _has_capability(CAP_SYS_ADMIN)
    return Finding(
        name="CAP_SYS_ADMIN",
        found="yes" if has else "no",
        needed="mounts, namespaces and the security.NTACL attribute",
        remedy="" if has else "Run as root; in a container, give it CAP_SYS_ADMIN.",
    )


def _sys_resource() -> Finding:
    found = "yes" if _has_capability(CAP_SYS_RESOURCE) else "no; servers run without it"
    return Finding(
        name="CAP_SYS_RESOURCE", found=found, needed="nothing; used where it is there", necessary=False
    )

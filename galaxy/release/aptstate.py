"""A private apt: its own source lists, package lists and cache, the host's mirrors, keyrings and proxies.

The host's own apt state is only read. Everything apt says to be true (which files, which digests) rests on its
own chain: keyring, InRelease, index, file.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from galaxy.host.errors import CommandError, HostError
from galaxy.host.files import require_space, sha256_text, write_atomic
from galaxy.host.lock import locked
from galaxy.host.process import Completed, find_tool, run
from galaxy.host.progress import step
from galaxy.host.store import Store
from galaxy.release.mirrors import APT_ETC, Mirrors, host_mirrors

HELPER = "/usr/lib/apt/apt-helper"
FRESH_FOR = 3600.0
_UPDATE_TIMEOUT = 300.0
# Addresses of mirrors and proxies may have passwords in them.
_MODE = 0o600
# Bytes: the lists of all suites, and room to replace them.
_INDEXES = 400_000_000
# Added to what the host sets: a mirror that has stopped answering must be noticed within a minute, not within ten.
_OWN_OPTIONS = """\
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
APT::Install-Recommends "false";
APT::Sandbox::Seccomp "false";
Dpkg::Use-Pty "false";
"""


def set_options(*settings: str) -> list[str]:
    """The words that set these (`Name=value`) for one command of apt's."""
    return [word for setting in settings for word in ("-o", setting)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AptState:
    """apt with a state of its own under `folder`, for the given suites."""

    folder: Path
    suites: tuple[str, ...]
    store: Store
    host_etc: Path = APT_ETC

    @property
    def lists(self) -> Path:
        """The downloaded indexes."""
        return self.folder / "lists"

    @property
    def config(self) -> Path:
        """The configuration that APT_CONFIG points to."""
        return self.folder / "apt.conf"

    @property
    def mirrors(self) -> Mirrors:
        """The host's mirrors, as they are now."""
        return host_mirrors(self.host_etc)

    def run(self, argv: Sequence[str | Path], *, timeout: float = 120.0, check: bool = True) -> Completed:
        """Run an apt program in this state."""
        return run(argv, env={"APT_CONFIG": str(self.config)}, timeout=timeout, check=check)

    def sources_file(self, name: str, suites: tuple[str, ...], kinds: tuple[str, ...] = ("deb",)) -> Path:
        """A sources.list for some of the suites, for commands that must not see the others."""
        path = self.folder / "etc" / f"{name}.list"
        write_atomic(path, self.mirrors.lines(kinds, suites), _MODE)
        return path

    def age(self) -> float:
        """Seconds since the last update that went well; infinite when there was none for these suites and mirrors."""
        stamp = self.folder / "updated"
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != self._identity():
            return float("inf")
        return max(0.0, time.time() - stamp.stat().st_mtime)

    @property
    def has_indexes(self) -> bool:
        """Whether there are indexes of these suites and mirrors, however old."""
        return isfinite(self.age())

    def ensure(self, fresh_for: float = FRESH_FOR) -> None:
        """Update the indexes when they are older than `fresh_for` seconds. HostError when no mirror answers."""
        if self.age() <= fresh_for and self._is_here():
            return
        with locked(self.store, "apt", wait=_UPDATE_TIMEOUT):
            if self.age() > fresh_for:
                self._update()
            elif not self._is_here():
                self.write_config()

    def _is_here(self) -> bool:
        """Whether the configuration is of this folder: the store may have been moved since it was written."""
        try:
            return f'Dir::State "{self.folder}";' in self.config.read_text(encoding="utf-8")
        except FileNotFoundError:
            return False

    def index_digest(self) -> str:
        """What the indexes say, as one digest: changes when an archive does."""
        releases = sorted([*self.lists.glob("*InRelease"), *self.lists.glob("*_Release")])
        seen = [f"{path.name} {path.stat().st_mtime_ns} {path.stat().st_size}" for path in releases]
        return sha256_text("\n".join([self._identity(), *seen]))

    def indexes(self, kind: str) -> list[tuple[str, str, Path]]:
        """(suite, repository URI, file) of each index of a kind: `Sources` or `Packages`."""
        layout = "$(RELEASE)|$(REPO_URI)|$(FILENAME)"
        done = self.run(["apt-get", "indextargets", "--format", layout, f"Created-By: {kind}"])
        rows = [line.split("|", 2) for line in done.stdout.splitlines() if line.count("|") == 2]
        return [(suite, uri, Path(file)) for suite, uri, file in rows]

    def read(self, index: Path) -> str:
        """The text of an index, whatever it is compressed with."""
        return self.run([HELPER, "cat-file", index]).stdout

    def _identity(self) -> str:
        return self.mirrors.lines(("deb", "deb-src"), self.suites)

    def _update(self) -> None:
        find_tool("apt-get", "apt")
        # apt would say of a full disk only that an index cannot be read.
        require_space(self.folder, _INDEXES, "reading the mirrors' indexes")
        self.write_config()
        with step("asking the mirrors which versions there are"):
            try:
                self.run(["apt-get", "update", "--error-on=any"], timeout=_UPDATE_TIMEOUT)
            except CommandError as error:
                raise HostError(
                    f"apt could not read the indexes of the mirrors: {_first_error(error.output)}",
                    "Check the network, the proxy and /etc/apt; then try again.",
                ) from None
        write_atomic(self.folder / "updated", self._identity(), _MODE)

    def write_config(self) -> None:
        """Write the private configuration anew from the host's."""
        for name in (
            "lists/partial",
            "cache/archives/partial",
            "cache/none/partial",
            "etc/parts",
            "etc/preferences.d",
        ):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        write_atomic(self.folder / "status", "")
        self.sources_file("all", self.suites, ("deb", "deb-src"))
        places = {
            "Dir::Etc::sourcelist": self.folder / "etc" / "all.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::parts": self.folder / "etc" / "parts",
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": self.folder / "etc" / "preferences.d",
            "Dir::State": self.folder,
            "Dir::State::lists": self.lists,
            "Dir::State::status": self.folder / "status",
            "Dir::Cache": self.folder / "cache",
        }
        own = "".join(f'{key} "{value}";\n' for key, value in places.items())
        fetching = self._host_options() + _OWN_OPTIONS
        write_atomic(self.folder / "fetch.conf", fetching, _MODE)
        write_atomic(self.config, fetching + own, _MODE)

    def _host_options(self) -> str:
        """How the host's apt fetches (proxies, certificates, credentials' place), without its hooks and extras."""
        dump = run(["apt-config", "dump", "--no-empty"], timeout=20).stdout.splitlines()
        kept = [line for line in dump if line.startswith("Acquire::") and "::IndexTargets" not in line]
        return "".join(line + "\n" for line in kept)


def _first_error(output: str) -> str:
    lines = [line[2:].strip() for line in output.splitlines() if line.startswith("E:")]
    return lines[0] if lines else (output.strip().splitlines() or ["no reason given"])[-1]

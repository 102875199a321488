"""Build roots: clean Debian suites with what a recipe needs, made once by mmdebstrap and never written to again."""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import BuildError, CommandError
from galaxy.host.files import require_space, sha256_text, sync_file_system, write_atomic
from galaxy.host.journal import journal
from galaxy.host.lock import locked
from galaxy.host.process import find_tool, run, stream
from galaxy.host.progress import step
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release.apt import apt_state
from galaxy.release.aptstate import AptState

_REVISION = 1
_NEED = 2_000_000_000
_TIMEOUT = 1200.0
# What mmdebstrap starts would outlive it: as processes of one namespace they end with it, however it ends.
_TOGETHER = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")
_WITHOUT = ("doc", "man", "locale", "info", "lintian", "bug")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRoot:
    """A root file system: `packages` are all its packages as `name=version`, sorted."""

    path: Path
    suite: str
    packages: tuple[str, ...]


def architecture() -> str:
    """The host's Debian architecture, which is also every root's."""
    find_tool("dpkg", "dpkg")
    return run(["dpkg", "--print-architecture"]).stdout.strip()


def base_suites(suite: str, configured: tuple[str, ...]) -> tuple[str, ...]:
    """A suite with its security updates, when the configured suites have them."""
    security = f"{suite}-security"
    return (suite, security) if security in configured else (suite,)


def ensure_root(store: Store, settings: Settings, suite: str, dependencies: tuple[str, ...]) -> BuildRoot:
    """The root for a suite and its packages, made when it isn't there. BuildError with mmdebstrap's own reason."""
    request = [_REVISION, suite, architecture(), sorted(dependencies)]
    folder = store.roots / f"{suite}-{sha256_text(json.dumps(request))[:16]}"
    with locked(store, f"root-{folder.name}", wait=_TIMEOUT):
        if not (folder / "packages.json").exists():
            with journal(store, "build", f"root {folder.name}") as entry:
                entry.on_failure("tree", folder)
                make_root(apt_state(store, settings), folder, suite, dependencies)
    return BuildRoot(path=folder / "root", suite=suite, packages=packages_of(folder))


def packages_of(folder: Path) -> tuple[str, ...]:
    """What a root's folder says is installed in it, as `name=version`."""
    return tuple(json.loads((folder / "packages.json").read_text(encoding="utf-8")))


def make_root(state: AptState, folder: Path, suite: str, dependencies: tuple[str, ...]) -> None:
    """Fill a root's folder; what was in it goes. BuildError with mmdebstrap's own reason."""
    find_tool("mmdebstrap", "mmdebstrap")
    require_space(folder.parent, _NEED, f"a build root of {suite}")
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    state.write_config()
    sources = state.sources_file(f"root-{suite}", base_suites(suite, state.suites))
    argv = [
        *_TOGETHER,
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        f"--include={','.join(sorted(dependencies))}",
        f"--aptopt={state.folder / 'fetch.conf'}",
        "--dpkgopt=force-unsafe-io",
        *[f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in _WITHOUT],
        suite,
        str(folder / "root"),
        str(sources),
    ]
    title = f"making a build root of {suite} with {len(dependencies)} packages and what they need"
    with step(title), _reason(folder.name):
        stream(argv, log=folder / "mmdebstrap.log", timeout=_TIMEOUT)
    for private in ("apt.conf.d/99mmdebstrap", "sources.list.d/0000" + sources.name):
        (folder / "root/etc/apt" / private).unlink(missing_ok=True)  # a mirror's password may be in them
    sync_file_system(folder)  # before what says that it is whole
    write_atomic(folder / "packages.json", json.dumps(installed_packages(folder / "root"), indent=1))


@contextmanager
def _reason(name: str) -> Iterator[None]:
    try:
        yield
    except CommandError as error:
        lines = [line for line in error.output.splitlines() if line.startswith(("E:", "W: Failed", "Err:"))]
        raise BuildError(
            f"mmdebstrap could not make {name}: {'; '.join(lines[:3]) or error.message}",
            "Check that the host's mirror has that suite; then try again.",
        ) from None


def installed_packages(root: Path) -> list[str]:
    """Every package of a root as `name=version`, sorted."""
    layout = "${binary:Package}=${Version}\\n"
    done = run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", layout])
    return sorted(done.stdout.split())

"""Debian's own package of the same source, built by its own rules: what Galaxy's source-to-image is held against.

A clean root of the suite with the package's full build dependencies, no network, no tests, no compiler cache, as
many jobs as Galaxy takes. Only the build is timed on both sides: roots and sources are there before. Takes an hour
or more: `python -m benchmarks.debian VERSION` runs it alone.
"""

import argparse
import json
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

from benchmarks.build import lent_store
from benchmarks.command import command
from benchmarks.figure import Figure, Spent, in_both, spent
from galaxy.build import BuildRequest
from galaxy.build.plan import BuildPlan, plan_build
from galaxy.build.root import base_suites
from galaxy.build.sandbox import SOURCE_INSIDE, enter, layered
from galaxy.host.errors import InputError
from galaxy.host.files import require_space, sha256_text
from galaxy.host.journal import Entry, journal
from galaxy.host.process import find_tool, stream
from galaxy.host.progress import say, step
from galaxy.host.settings import Settings, load_settings
from galaxy.host.store import Store, default_store
from galaxy.release import source_of
from galaxy.release.apt import apt_state
from galaxy.release.pool import fetch_file

_ROOT_TIMEOUT = 1800.0
_BUILD_TIMEOUT = 6 * 3600.0
_NEED = 8_000_000_000
# Run by mmdebstrap in its own apt's configuration, with the new root as $1.
_SATISFY = 'APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" apt-get --yes -oDPkg::Chroot-Directory="$1" satisfy {wanted}'


def against(store: Store, settings: Settings, version: str, cold: Spent) -> tuple[Figure, ...]:
    """Galaxy's cold build against Debian's of the same source."""
    bare = measure(store, settings, version)
    return in_both("source to image vs dpkg-buildpackage nocheck", cold, bare, 0.5)


def measure(store: Store, settings: Settings, version: str) -> Spent:
    """What dpkg-buildpackage takes. InputError when the release has no Debian packaging of its own."""
    plan = plan_build(store, settings, BuildRequest(version=version, origin="apt"))
    lower = _root(store, settings, plan)
    with lent_store(store) as own, journal(own, "benchmark", "dpkg-buildpackage") as entry:
        require_space(own.root, _NEED, "building Debian's packages")
        work = own.builds / "debian"
        _unpacked(store, settings, plan, entry, work)
        (work / "ccache").mkdir()
        with layered(lower, work, entry) as root, step(f"dpkg-buildpackage of Samba {version}"):
            (root / "build/ccache").mkdir()
            return spent(lambda: _build(root, work, plan.jobs, store.builds / f"debian-{version}.log"))


def _unpacked(store: Store, settings: Settings, plan: BuildPlan, entry: Entry, work: Path) -> None:
    assert plan.source is not None
    with step(f"unpacking Samba {plan.version}"):
        source = source_of(store, settings, plan.wanted)
        source.fetch(plan.source, entry, work / "upper" / SOURCE_INSIDE.lstrip("/"))


def _build(root: Path, work: Path, jobs: int, log: Path) -> None:
    log.unlink(missing_ok=True)
    say(f"its output goes to {log}")
    argv = ["dpkg-buildpackage", "--build=binary", "--unsigned-source", "--unsigned-changes"]
    stream(enter(root, work / "ccache", argv), log=log, timeout=_BUILD_TIMEOUT, env=_environment(jobs))


def _environment(jobs: int) -> Mapping[str, str]:
    return {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/build",
        "DEB_BUILD_OPTIONS": f"nocheck parallel={jobs}",
        "LC_ALL": "C.UTF-8",
    }


def _root(store: Store, settings: Settings, plan: BuildPlan) -> Path:
    """A clean root of the package's suite with all that its .dsc wants; kept for the next time."""
    wanted = _build_depends(store, settings, plan)
    suite = plan.release.suite
    folder = store.roots / f"debian-{suite}-{sha256_text(json.dumps([suite, wanted]))[:16]}"
    if (folder / "done").exists():
        return folder / "root"
    with journal(store, "benchmark", f"root {folder.name}") as entry:
        entry.on_failure("tree", folder)
        if folder.exists():
            shutil.rmtree(folder)
        folder.mkdir(parents=True)
        with step(f"making a root of {suite} with all build dependencies of Samba {plan.version}"):
            _debootstrap(store, settings, suite, wanted, folder)
        (folder / "done").touch()
    return folder / "root"


def _debootstrap(store: Store, settings: Settings, suite: str, wanted: str, folder: Path) -> None:
    state = apt_state(store, settings)
    state.write_config()
    base = suite.split("-", maxsplit=1)[0]
    suites = tuple(dict.fromkeys((*base_suites(base, state.suites), suite)))
    sources = state.sources_file(f"root-debian-{suite}", suites)
    argv: list[str | Path] = [
        find_tool("mmdebstrap", "mmdebstrap"),
        "--mode=root",
        "--variant=buildd",
        f"--aptopt={state.folder / 'fetch.conf'}",
        "--dpkgopt=force-unsafe-io",
        f"--customize-hook={_SATISFY.format(wanted=shlex.quote(wanted))}",
        base,
        folder / "root",
        sources,
    ]
    stream(argv, log=folder / "mmdebstrap.log", timeout=_ROOT_TIMEOUT)


def _build_depends(store: Store, settings: Settings, plan: BuildPlan) -> str:
    """All build dependencies that the source's .dsc names, as one relation that apt can satisfy."""
    assert plan.source is not None
    dsc = next((file for file in plan.source.files if file.name.endswith(".dsc")), None)
    if dsc is None:
        raise InputError(
            f"Samba {plan.version} has no Debian packaging any more",
            "Compare another version: galaxy releases.",
        )
    with journal(store, "benchmark", "fetch") as entry:
        path = fetch_file(apt_state(store, settings), dsc, entry)
    found = fields(path.read_text(encoding="utf-8"))
    names = ("Build-Depends", "Build-Depends-Arch", "Build-Depends-Indep")
    return ", ".join(found[name].strip(" ,") for name in names if name in found)


def fields(text: str) -> dict[str, str]:
    """The fields of a control paragraph (deb-src-control(5)), continuation lines joined."""
    found: dict[str, str] = {}
    name = ""
    for line in text.splitlines():
        if line.startswith(" ") and name:
            found[name] += " " + line.strip()
        elif ": " in line or line.endswith(":"):
            name, _, value = line.partition(":")
            found[name] = value.strip()
    return found


def main() -> None:
    """Build Debian's packages of one version and print what that took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("version")
    options = parser.parse_args()
    with command():
        took = measure(default_store().ensure(), load_settings(), options.version)
        print(f"{took.wall:.0f} s, processor time {took.cpu:.0f} s")


if __name__ == "__main__":
    main()

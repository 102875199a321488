"""Build roots age: what is in one is sealed into images, so whoever builds learns when its suite has newer packages."""

import re
import shutil
from pathlib import Path

from galaxy.build.root import BuildRoot, base_suites, make_root
from galaxy.host.errors import CommandError, InputError
from galaxy.host.journal import journal
from galaxy.host.lock import locked
from galaxy.host.progress import say
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.host.wording import first_of
from galaxy.release.apt import apt_state
from galaxy.release.aptstate import AptState, set_options
from galaxy.release.memory import recall, remember

_RENEW_SECONDS = 1800.0
# apt-get -s: `Inst NAME [OLD] (NEW SUITE [ARCH])`; without OLD it is a package that would come along.
_NEWER = re.compile(r"^Inst (\S+) \[\S+\] \((\S+)", re.MULTILINE)
_SHOWN = 4


def tell_age(store: Store, settings: Settings, root: BuildRoot, renew: str) -> None:
    """Say when the indexes at hand have newer packages than a root; `renew` is what one does about it."""
    state = apt_state(store, settings)
    if not state.has_indexes:
        return
    newer = _newer(state, root)
    if newer:
        say(
            f"the build root of {root.suite} lacks {len(newer)} newer packages: "
            f"{first_of(newer, _SHOWN)}; {renew}"
        )


def renew_root(store: Store, settings: Settings, root: BuildRoot, dependencies: tuple[str, ...]) -> None:
    """Make a root anew from the mirrors' present packages; InputError while a build uses it.

    Images that are built from it then have other inputs.
    """
    folder = root.path.parent
    fresh, old = (folder.with_name(f".{folder.name}.{what}") for what in ("new", "old"))
    state = apt_state(store, settings)
    state.ensure(fresh_for=0)
    with (
        locked(store, f"root-{folder.name}", wait=_RENEW_SECONDS),
        journal(store, "renew", folder.name) as entry,
    ):
        entry.on_failure("tree", fresh)
        make_root(state, fresh, root.suite, dependencies)
        _require_idle(root)
        with entry.temporarily("tree", old):
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
            fresh.rename(folder)


def _newer(state: AptState, root: BuildRoot) -> list[str]:
    """Packages of a root that the indexes have newer, as name=version; remembered while these are the same."""
    memory = state.folder / "newer.json"
    digest = state.index_digest()
    known = recall(memory, digest)
    key = f"{root.path.parent.name} {(root.path.parent / 'packages.json').stat().st_mtime_ns}"
    if key not in known:
        known[key] = _ask(state, root)
        remember(memory, known, digest)
    return [str(name) for name in known[key]]


def _ask(state: AptState, root: BuildRoot) -> list[str]:
    sources = state.sources_file(f"root-{root.suite}", base_suites(root.suite, state.suites))
    options = set_options(
        f"Dir::State::status={root.path}/var/lib/dpkg/status", f"Dir::Etc::sourcelist={sources}"
    )
    try:
        done = state.run(["apt-get", "--simulate", "-q", *options, "dist-upgrade"])
    except CommandError:
        return []  # the suite has left the mirrors
    return sorted(f"{name}={version}" for name, version in _NEWER.findall(done.stdout))


def _require_idle(root: BuildRoot) -> None:
    """InputError while an overlay lies over the root: a build would lose its ground."""
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
    if f"lowerdir={root.path}," in mounts:
        raise InputError(f"a build is at work in {root.path}", "Wait until it has ended, then try again.")

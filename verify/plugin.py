"""The pytest plugin of the checks: options, places, order, outcomes, results. `-p verify.plugin` loads it."""

import gc
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from galaxy.host.errors import GalaxyError
from verify import hooks
from verify.bench import end_bench
from verify.check import TIERS, Blocked, CheckInfo, check_of
from verify.clients.reach import silence
from verify.expected import EXPECTED, KNOWN_FOLDER, load_expected
from verify.fixtures import TARGET, bench, dns, kerberos, ldap, place, shell, target
from verify.listing import all_checks
from verify.place import NOWHERE_ELSE, Place
from verify.progress import Progress
from verify.record import IDENTITY, Identity, Recorder, hide, judge
from verify.target import Target, load_target

# Fixtures of a plugin are what its module holds.
__all__ = ["bench", "dns", "kerberos", "ldap", "place", "shell", "target"]
# Why the --target cannot be checked: nothing answers, or it is another one; "" when it can.
_TROUBLE = pytest.StashKey[str]()


def pytest_addhooks(pluginmanager: pytest.PytestPluginManager) -> None:
    """Let other plugins say which server an item looks at."""
    pluginmanager.add_hookspecs(hooks)


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a verify run; and the first that is called, when most is still to be loaded."""
    # What is loaded and collected stays: looking for garbage in it would take a tenth of the start.
    gc.disable()
    group = parser.getgroup("galaxy", "Galaxy checks")
    group.addoption("--target", type=Path, metavar="FILE.toml", help="the domain controller to check")
    group.addoption("--tier", choices=TIERS, default="full", help="how much to check (default: %(default)s)")
    group.addoption("--results", type=Path, metavar="DIR", help="write results.jsonl into this folder")
    group.addoption(
        "--known",
        type=Path,
        default=KNOWN_FOLDER,
        metavar="DIR",
        help="known failures (default: those of the suite)",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Read what the run needs once; a wrong file ends it before anything starts."""
    worker = hasattr(config, "workerinput")  # whose controller has looked at the ids, which takes a while
    try:
        ids = None if worker else {info.id for info in all_checks()}
        config.stash[EXPECTED] = load_expected(config.option.known, ids)
        if config.option.target is not None:
            _set_target(config, load_target(config.option.target))
    except GalaxyError as error:
        raise pytest.UsageError(str(error)) from None
    if not worker:
        config.pluginmanager.register(Progress(Recorder(config.option.results)), "galaxy-progress")


def _set_target(config: pytest.Config, loaded: Target) -> None:
    hide(config, loaded.password)
    config.stash[TARGET] = loaded


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A file of checks may not skip: xdist hands on only that one has failed."""
    report = yield
    if report.skipped:
        report.outcome = "failed"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Give every check its identity, leave out what the tier has not, and put the items into their order."""
    _refuse_shared_ids(items)
    kept: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        info = check_of(item)
        (kept if info is None or info.within(config.option.tier) else left_out).append(item)
        if info is not None:
            item.stash[IDENTITY] = Identity(id=info.id, area=info.area, place=_place_of(item))
            item.extra_keyword_matches.add(info.id)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    items[:] = _in_order(kept)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage from here on, and not in what has been collected; a controller of xdist collects nothing."""
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def _refuse_shared_ids(items: list[pytest.Item]) -> None:
    seen: dict[tuple[str, Place], str] = {}
    for item in items:
        info = check_of(item)
        if info is None:
            continue
        other = seen.setdefault((info.id, _place_of(item)), item.nodeid)
        if other != item.nodeid:
            raise pytest.UsageError(f"{other} and {item.nodeid} are both the check {info.id}")


def _place_of(item: pytest.Item) -> Place:
    """The place that the item was parametrised with, or the implicit one."""
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("place") if callspec is not None else None
    return found if isinstance(found, Place) else NOWHERE_ELSE


def _in_order(items: list[pytest.Item]) -> list[pytest.Item]:
    """Cells as they first appear, then their places in order, checks that must be last at their end."""
    cells: dict[str, int] = {}

    def key(item: pytest.Item) -> tuple[int, int, bool]:
        identity = item.stash.get(IDENTITY, None)
        if identity is None:
            return (-1, 0, False)
        info: CheckInfo | None = check_of(item)
        cell = cells.setdefault(identity.place.cell, len(cells))
        return (cell, identity.place.order, info is not None and info.last)

    return sorted(items, key=key)


@pytest.hookimpl(trylast=True)
def pytest_galaxy_target(item: pytest.Item) -> Target | None:
    """The server of `--target`, when no other plugin knows one; Blocked when it isn't what its file says."""
    found = item.config.stash.get(TARGET, None)
    if found is not None:
        _require_answer(item.config, found)
    return found


def _mismatch(asked: Target) -> str:
    from verify.clients.stated import mismatch  # noqa: PLC0415 - as in verify.bench

    return mismatch(asked)


def _require_answer(config: pytest.Config, asked: Target) -> None:
    """Ask once: every check of a dead address would else fail in its own way, after its own timeout."""
    if _TROUBLE not in config.stash:
        config.stash[_TROUBLE] = silence(asked.address) or _mismatch(asked)
    if why := config.stash[_TROUBLE]:
        raise Blocked(why)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Judge what is ours, in the process that ran it."""
    report = yield
    if IDENTITY in item.stash:
        judge(item, call, report, item.config.stash[EXPECTED])
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Let go of a place's sessions and objects before anything else happens to its server."""
    try:
        return (yield)
    finally:
        here = item.stash.get(IDENTITY, None)
        there = nextitem.stash.get(IDENTITY, None) if nextitem is not None else None
        if here is not None and (there is None or there.place != here.place or check_of(nextitem) is None):
            end_bench(item.config)


def pytest_sessionstart() -> None:
    """End on SIGTERM as on Ctrl-C, so that nothing stays in the directory that was checked."""
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what is under way now is the cleaning up
    raise KeyboardInterrupt


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Let go of what an interrupted item held."""
    end_bench(session.config)


def pytest_unconfigure() -> None:
    """Leave the process as it was: a run that was refused has collected nothing."""
    gc.enable()

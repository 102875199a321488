"""The pytest plugin of the scenarios: cells become items. Load it with `-p verify.plugin -p scenarios.plugin`.

Each step of a cell is an item, and every check is one at every checkpoint of every cell. The items of a
cell stay in one xdist group, in the order of the cell.
"""

import json
import os
from collections.abc import Generator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from galaxy import __version__
from galaxy.gate.results import Outcome
from galaxy.gate.resume import cells_left
from galaxy.gate.run import PLAN_FILE, ImageUnderTest, RunInfo
from galaxy.gate.suite import suite_digest
from galaxy.gate.weights import Weights
from galaxy.host.errors import GalaxyError
from galaxy.host.files import write_atomic
from galaxy.host.store import default_store
from galaxy.image.catalogue import Catalogue
from scenarios.engine import Cell
from scenarios.follow import Follower
from scenarios.images import images_at_hand
from scenarios.matrix import cells_of, expand, part_of
from scenarios.process import end_with_parent, memory_for_servers
from scenarios.worker import WORKER, Worker, limited
from verify.check import check_of
from verify.place import Place
from verify.record import IDENTITY, declare, measured, properties_of
from verify.target import Target

CELLS = pytest.StashKey[tuple[Cell, ...]]()
RUN = pytest.StashKey[RunInfo]()
# Where each check is put: the parameters of all of them.
PLACES = pytest.StashKey[list[Any]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of a run with cells; `--results` of verify.plugin is the run's folder."""
    group = parser.getgroup("galaxy")
    group.addoption("--matrix", metavar="NAME", default="all", help="quick, all, or a TOML file of cells")
    group.addoption("--image", metavar="REF", action="append", default=[], help="only cells of these images")
    group.addoption("--shard", metavar="K/N", default="", help="only this part of the cells")
    group.addoption("--resume", action="store_true", help="go on with the run in --results DIR")


def pytest_configure(config: pytest.Config) -> None:
    """Say what will be run (in run.json) and who follows it; a worker reads what the controller said."""
    folder = config.option.results
    if folder is None:
        raise pytest.UsageError("--results DIR is missing")
    end_with_parent()
    if _is_worker(config):
        config.stash[CELLS] = cells_of(cells_left(folder, RunInfo.read(folder)))
        return
    run = _planned(config)
    if not config.option.resume:
        run.write(folder)
    cells = cells_of(cells_left(folder, run))
    config.stash[CELLS] = cells
    workers = config.getoption("numprocesses", None) or 1
    config.pluginmanager.register(Follower(folder, run, cells, workers), "galaxy-follower")


@pytest.hookimpl(tryfirst=True)  # xdist has one of its own
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """With `-n auto`: no more workers than cells, what keeps the cores busy, and cells' servers that fit into memory.

    A checkpoint keeps a core busy by itself, nearly; a cell with several DCs waits for them half of its time.
    """
    cells = cells_of(cells_left(config.option.results, _planned(config)))
    most = max((cell.scenario.servers for cell in cells), default=1)
    cores = len(os.sched_getaffinity(0))
    return max(1, min(len(cells), cores + (cores + 1) // 2, memory_for_servers() // most))


def _planned(config: pytest.Config) -> RunInfo:
    """The run that was asked for, worked out once; UsageError when it cannot be."""
    if RUN not in config.stash:
        try:
            resumed = config.option.resume
            config.stash[RUN] = RunInfo.read(config.option.results) if resumed else _plan(config)
        except GalaxyError as error:
            raise pytest.UsageError(str(error)) from None
    return config.stash[RUN]


def _plan(config: pytest.Config) -> RunInfo:
    catalogue = Catalogue(store=default_store())
    images = [catalogue.resolve(ref) for ref in config.option.image] or list(catalogue.images())
    found = expand(config.option.matrix, [image.ref for image in images])
    used = {ref for cell in found for ref in cell.refs}
    shard, mine = part_of(found, config.option.shard) if config.option.shard else (None, found)
    weights = Weights.read(default_store())
    mine = tuple(sorted(mine, key=lambda cell: -weights.seconds(cell.name, cell.weight)))
    return RunInfo(
        started=datetime.now(UTC),
        galaxy=__version__,
        suite=suite_digest(),
        matrix=config.option.matrix,
        selection=config.option.keyword,
        images=tuple(ImageUnderTest(ref=image.ref, id=image.id) for image in images if image.ref in used),
        cells={cell.name: cell.refs for cell in mine},
        checked={cell.name: cell.checked for cell in mine},
        shard=shard,
    )


def pytest_sessionstart(session: pytest.Session) -> None:
    """Move into the lab, before anything can open a socket or start a thread; who has workers cares for the images."""
    config = session.config
    if _has_workers(config):
        stack = ExitStack()
        config.add_cleanup(stack.close)
        stack.enter_context(images_at_hand(default_store(), _planned(config), config.option.results))
    else:
        config.stash[WORKER] = Worker.begin(config.option.results)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Take down what this process has made."""
    worker = session.config.stash.get(WORKER, None)
    if worker is not None:
        worker.end()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Put every check at every checkpoint of every cell."""
    if check_of(metafunc) is not None:
        metafunc.parametrize("place", _places(metafunc.config), indirect=True)


def _places(config: pytest.Config) -> list[Any]:
    """The places of all cells, worked out once."""
    if PLACES not in config.stash:
        config.stash[PLACES] = [
            pytest.param(place, id=str(place), marks=pytest.mark.xdist_group(_group(cell.name)))
            for cell in config.stash[CELLS]
            for place in cell.check_places()
        ]
    return config.stash[PLACES]


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the steps that the selected checks need, in their places.

    Runs after `-k` has chosen among the checks: a step is never chosen, it is needed or not.
    """
    checks = [item for item in items if IDENTITY in item.stash]
    cells = session.config.stash[CELLS]
    rank = {cell.name: number for number, cell in enumerate(cells)}
    steps = [step for cell in cells for step in _steps(session, cell, checks)]

    def key(item: pytest.Item) -> tuple[int, int]:
        place = item.stash[IDENTITY].place
        return rank[place.cell], place.order

    items[:] = sorted([*steps, *checks], key=key)


def _steps(session: pytest.Session, cell: Cell, checks: list[pytest.Item]) -> list["StepItem"]:
    """The steps up to the last checkpoint at which something is checked; if that is the cell's last, all."""
    places = [item.stash[IDENTITY].place for item in checks]
    orders = [place.order for place in places if place.cell == cell.name]
    if not orders:
        return []
    last = max(place.order for place in cell.check_places())
    needed = len(cell.steps) if max(orders) == last else max(orders) // 2 + 1
    return [StepItem.of(session, cell, index) for index in range(needed)]


def _group(cell: str) -> str:
    """A cell's name as xdist can have it: it looks for the `@` before a group only after the last bracket."""
    return cell.replace("[", ":").replace("]", "")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave the list of all items for whoever must say later what never ran; all workers write the same."""
    config = session.config
    if not _has_workers(config):
        plan = {item.nodeid: _told(item) for item in session.items}
        write_atomic(config.option.results / PLAN_FILE, json.dumps(plan))


def _told(item: pytest.Item) -> dict[str, str]:
    identity = item.stash[IDENTITY]
    place = identity.place
    return {"id": identity.id, "area": identity.area, "cell": place.cell, "checkpoint": place.checkpoint}


def pytest_galaxy_target(item: pytest.Item, place: Place) -> Target | None:
    """The cell's server, as it is at this checkpoint."""
    config = item.config
    cell = next((cell for cell in config.stash[CELLS] if cell.name == place.cell), None)
    return config.stash[WORKER].walker.target(cell, place) if cell is not None else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """End the preparation of an item when it hangs."""
    with limited(f"the preparation of {item.name}"):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """End an item that hangs."""
    with limited(item.name):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, None, None]:
    """End what is to be undone after an item when it hangs."""
    with limited(f"the end of {item.name}"):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep the servers' logs when a check has failed."""
    report = yield
    if properties_of(report).get("outcome") == Outcome.FAILED:
        item.config.stash[WORKER].walker.note_failure()
    return report


class StepItem(pytest.Item):
    """One step of a cell."""

    cell: Cell
    index: int

    @classmethod
    def of(cls, session: pytest.Session, cell: Cell, index: int) -> "StepItem":
        """The item of a cell's step."""
        step = cell.steps[index]
        # xdist appends groups to node ids before this item exists.
        nodeid = f"scenarios::{cell.name}::{step.name}@{_group(cell.name)}"
        item: StepItem = cls.from_parent(session, name=step.name, nodeid=nodeid)
        item.cell, item.index = cell, index
        declare(item, f"step.{step.name}", cell.step_place(index))
        return item

    def runtest(self) -> None:
        """Do the step."""
        measured(self, self.config.stash[WORKER].walker.step(self.cell, self.index))


def _is_worker(config: pytest.Config) -> bool:
    return hasattr(config, "workerinput")


def _has_workers(config: pytest.Config) -> bool:
    """Whether this process only hands out work."""
    return not _is_worker(config) and bool(config.getoption("numprocesses", None))

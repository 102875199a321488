"""What the controller of a run does besides handing out items: tell how it goes, and keep what would be lost."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from galaxy.gate.policy import STEP_AREA
from galaxy.gate.results import ItemResult, Outcome
from galaxy.gate.run import PLAN_FILE, RunInfo
from galaxy.gate.timing import Pace, Session, Timing
from galaxy.gate.weights import Weights
from galaxy.host.errors import GalaxyError
from galaxy.host.recovery import recover
from galaxy.host.store import default_store
from scenarios.engine import Cell
from scenarios.outline import outline, spell
from verify.record import Recorder, properties_of

# After so many seconds without a line, a run tells how far it is.
_SILENCE = 15.0
# Cells' names are put below each other up to so many letters.
_WIDEST = 40


@dataclass(slots=True)
class _Pace:
    """One worker's time: in items, and when its last one ended (seconds since the run's start)."""

    busy: float = 0.0
    until: float = 0.0


@dataclass(slots=True)
class _Spot:
    """A checkpoint of a cell: how many items it shall have, and how those that ended did."""

    planned: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    seconds: float = 0.0


class Follower:
    """Prints what is to come, a line for each step, finished checkpoint and cell, and each failure at once."""

    def __init__(self, folder: Path, run: RunInfo, cells: Sequence[Cell], workers: int) -> None:
        self._folder = folder
        self._run = run
        self._cells = tuple(cells)
        self._workers = min(workers, max(len(cells), 1))
        weights = Weights.read(default_store())
        self._expected = {cell.name: weights.seconds(cell.name, cell.weight) for cell in cells}
        self._left: dict[str, int] = {}
        self._began = time.time()
        self._width = min(_WIDEST, max((len(cell.name) for cell in cells), default=0))
        self._recorder = Recorder(None)
        self._plan: dict[str, dict[str, str]] = {}
        self._spots: dict[tuple[str, str], _Spot] = {}
        self._done = 0
        self._paces: dict[str, _Pace] = {}
        self._ended: set[str] = set()
        self._cell_seconds: dict[str, float] = defaultdict(float)
        self._told = time.monotonic()
        self._first_item = 0.0

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Tell what is to come, before the first worker is started."""
        parts = [
            *([f"shard {self._run.shard}"] if self._run.shard is not None else []),
            *([f"only -k {self._run.selection!r}"] if self._run.selection else []),
        ]
        if len(self._cells) < len(self._run.cells):
            parts.append(f"{len(self._run.cells) - len(self._cells)} are done already")
        expected = {} if self._run.selection else self._expected
        for line in outline(self._cells, expected, self._workers, ", ".join(parts)):
            _tell(line)

    def pytest_xdist_node_collection_finished(self, ids: Sequence[str]) -> None:
        """Learn what is to come from the first worker's list."""
        if not self._plan and ids:
            self.learn(json.loads((self._folder / PLAN_FILE).read_text(encoding="utf-8")))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """The same, without workers."""
        if session.items:
            self.learn(json.loads((self._folder / PLAN_FILE).read_text(encoding="utf-8")))

    def learn(self, plan: dict[str, dict[str, str]]) -> None:
        """Take the plan: what each node id is in the results."""
        self._plan = plan
        for told in plan.values():
            if told["area"] != STEP_AREA:
                self._spots.setdefault((told["cell"], told["checkpoint"]), _Spot()).planned += 1
        self._left = dict(Counter(told["cell"] for told in plan.values()))
        _tell(f"{len(plan)} items in {len(self._left)} cell{'s' if len(self._left) != 1 else ''}")

    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died: undo what it left, and say which item that was."""
        try:
            for line in recover(default_store()):
                _tell(line)
        except GalaxyError as error:  # it may be about something else, or another command is at it
            _tell(f"warning: {error}")
        told = self._plan.get(crashitem)
        if told is not None:
            report.user_properties += [
                *((f"galaxy.{name}", told[name]) for name in ("id", "cell", "checkpoint")),
                ("galaxy.outcome", Outcome.FAILED.value),
                ("galaxy.message", "the process that ran it died"),
                ("galaxy.figures", "{}"),
            ]

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count an item when it has ended, and tell of it if it matters."""
        if not self._first_item:
            self._first_item = report.start - self._began
        if report.failed and properties_of(report).get("outcome") != Outcome.BLOCKED:
            try:
                self._keep(report)
            except OSError as error:
                _tell(f"what {report.nodeid} said could not be kept: {error}")
        result = self._recorder.add(report)
        if result is None or report.nodeid in self._ended:
            return
        self._ended.add(report.nodeid)
        self._done += 1
        self._clock(report, result)
        if result.outcome is Outcome.FAILED:
            self._line(result.cell, f"FAILED {result.id} at {result.checkpoint}: {_first(result.message)}")
        if result.area == STEP_AREA:
            self._step(result)
        else:
            self._check(result)
        self._cell(result)

    def pytest_unconfigure(self) -> None:
        """Leave the workers' times for the summary, after those of the sessions before."""
        session = Session(
            seconds=time.time() - self._began,
            first_item_s=self._first_item,
            workers=self._workers,
            paces={name: Pace(busy=pace.busy, until=pace.until) for name, pace in self._paces.items()},
        )
        Timing(sessions=(*Timing.read(self._folder).sessions, session)).write(self._folder)

    def _step(self, result: ItemResult) -> None:
        if result.outcome is Outcome.PASSED:
            told = "".join(f", {_figure(name, value)}" for name, value in result.figures.items())
            self._line(result.cell, f"{result.id.partition('.')[2]}: {result.seconds:.1f} s{told}")

    def _check(self, result: ItemResult) -> None:
        spot = self._spots.get((result.cell, result.checkpoint))
        if spot is None:
            return
        spot.outcomes[result.outcome] += 1
        spot.seconds += result.seconds
        ended = spot.outcomes.total()
        if ended < spot.planned:
            if time.monotonic() - self._told > _SILENCE:
                self._line(result.cell, f"checks at {result.checkpoint}: {ended} of {spot.planned}")
        else:
            counts = ", ".join(
                f"{spot.outcomes[word]} {word.value}" for word in Outcome if spot.outcomes[word]
            )
            self._line(result.cell, f"checks at {result.checkpoint}: {counts}, {spot.seconds:.1f} s")

    def _cell(self, result: ItemResult) -> None:
        """Count down a cell, and tell when it has ended and how much is left."""
        self._cell_seconds[result.cell] += result.seconds
        self._left[result.cell] = self._left.get(result.cell, 0) - 1
        if self._left[result.cell] != 0:
            return
        ended = [cell for cell, left in self._left.items() if left <= 0]
        text = f"ended after {self._cell_seconds[result.cell]:.0f} s; {len(ended)} of {len(self._left)} cells"
        self._line(result.cell, f"{text}{self._remaining(ended)}")

    def _remaining(self, ended: Sequence[str]) -> str:
        """How long the rest will take if it keeps to what was expected as well as what has ended did."""
        rest = sum(self._expected[cell] for cell in self._left if cell not in ended)
        usual = sum(self._expected[cell] for cell in ended)
        if self._run.selection or not rest or not usual:
            return ""
        pace = sum(self._cell_seconds[cell] for cell in ended) / usual
        begun = sum(seconds for cell, seconds in self._cell_seconds.items() if cell not in ended)
        return f", about {spell(max(rest * pace - begun, 0.0) / self._workers)} left"

    def _line(self, cell: str, text: str) -> None:
        total = len(self._plan)
        self._told = time.monotonic()
        _tell(f"[{self._done:>{len(str(total))}}/{total}] {cell:{self._width}}  {text}")

    def _clock(self, report: pytest.TestReport, result: ItemResult) -> None:
        node: Any = getattr(report, "node", None)
        pace = self._paces.setdefault(node.gateway.id if node is not None else "main", _Pace())
        pace.busy += result.seconds
        pace.until = time.time() - self._began

    def _keep(self, report: pytest.TestReport) -> None:
        """Keep the traceback and the captured output of what failed."""
        told: Mapping[str, str] = self._plan.get(report.nodeid, {})
        place = self._folder / "failures" / told.get("cell", "run") / told.get("checkpoint", "")
        place.mkdir(parents=True, exist_ok=True)
        parts = [report.longreprtext, *(f"--- {name}\n{text}" for name, text in report.sections)]
        with (place / f"{told.get('id', report.nodeid.rpartition('::')[2])}.txt").open(
            "a", encoding="utf-8"
        ) as sink:
            sink.write("\n".join(parts) + "\n")


def _tell(line: str) -> None:
    print(line, flush=True)


def _first(message: str) -> str:
    return message.partition("\n")[0][:200]


def _figure(name: str, value: float) -> str:
    """`ready_s`, 0.51 -> `ready 0.51 s`."""
    what, _, unit = name.rpartition("_")
    return f"{what.replace('_', ' ')} {value:.3g} {unit}"

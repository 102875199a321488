"""What the controller of a run does besides handing out items: tell how it goes, and keep what would be lost."""

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from galaxy.gate.policy import STEP_AREA
from galaxy.gate.results import ItemResult, Outcome
from galaxy.gate.run import PLAN_FILE, TIMING_FILE, RunInfo
from galaxy.host.journal import recover
from galaxy.host.store import default_store
from verify.record import Recorder, properties_of

# After so many seconds without a line, a run tells how far it is.
_SILENCE = 5.0


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
    """Prints a line for each step and each finished checkpoint, and each failure at once."""

    def __init__(self, folder: Path, run: RunInfo) -> None:
        self._folder = folder
        self._began = run.started.timestamp()
        self._width = max(len(cell) for cell in run.cells)
        self._recorder = Recorder(None)
        self._plan: dict[str, dict[str, str]] = {}
        self._spots: dict[tuple[str, str], _Spot] = {}
        self._done = 0
        self._paces: dict[str, _Pace] = {}
        self._ended: set[str] = set()
        self._told = time.monotonic()
        self._first_item = 0.0

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
        cells = len({told["cell"] for told in plan.values()})
        _tell(f"{len(plan)} items in {cells} cell{'s' if cells != 1 else ''}")

    def pytest_handlecrashitem(self, crashitem: str, report: pytest.TestReport) -> None:
        """A worker died: undo what it left, and say which item that was."""
        for line in recover(default_store()):
            _tell(line)
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
            self._keep(report)
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

    def pytest_unconfigure(self) -> None:
        """Leave the workers' times for the summary."""
        paces = {name: {"busy": pace.busy, "until": pace.until} for name, pace in self._paces.items()}
        told = {"first_item_s": self._first_item, "workers": paces}
        (self._folder / TIMING_FILE).write_text(json.dumps(told), encoding="utf-8")

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

"""A run in numbers: `summary.json`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from galaxy.gate.policy import STEP_AREA, Policy, judge, not_allowed
from galaxy.gate.results import ItemResult, Outcome
from galaxy.gate.run import RunInfo
from galaxy.gate.timing import slowest
from galaxy.host.files import write_atomic
from galaxy.host.wording import first_of

SUMMARY_FILE = "summary.json"
_WRONG = frozenset({Outcome.FAILED, Outcome.BLOCKED})
Counts = dict[Outcome, int]


class Verdict(BaseModel):
    """The judgement of one image: `passed`, or the reasons against it.

    `failed` counts what failed of it, `unfit` its known failures that the policy does not allow.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_id: str
    passed: bool
    reasons: tuple[str, ...] = ()
    failed: int = 0
    unfit: int = 0


class CellSummary(BaseModel):
    """One cell: its items by outcome, the sum of their seconds, and what its steps measured, as `STEP NAME`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    counts: Counts
    seconds: float
    figures: dict[str, float] = Field(default_factory=dict)


class Summary(BaseModel):
    """The whole run; every outcome is present in every count, also when it is 0.

    `slowest_checks` are the seconds of the checks that took most in all. `shard` is `K/N` of a part of a matrix.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    started: datetime
    seconds: float
    matrix: str
    selection: str
    shard: str = ""
    suite: str
    galaxy: str
    policy: str
    counts: Counts
    areas: dict[str, Counts]
    cells: dict[str, CellSummary]
    figures: dict[str, float]
    slowest_checks: dict[str, float] = Field(default_factory=dict)
    verdicts: dict[str, Verdict]

    @property
    def passed(self) -> bool:
        """The gate: something ran, nothing failed, nothing was blocked."""
        bad = self.counts[Outcome.FAILED] + self.counts[Outcome.BLOCKED]
        return bad == 0 and self.counts[Outcome.PASSED] > 0

    def write(self, folder: Path) -> None:
        """Write summary.json into the run's folder."""
        write_atomic(folder / SUMMARY_FILE, self.model_dump_json(indent=1) + "\n")


def summarise(
    run: RunInfo,
    items: Iterable[ItemResult],
    policy: Policy,
    *,
    seconds: float,
    figures: Mapping[str, float],
) -> Summary:
    """Count the items, gather the steps' figures under `CELL STEP NAME`, and judge each image."""
    results = tuple(items)
    cells = {cell: _cell(cell, results) for cell in run.cells}
    steps = {f"{cell} {name}": value for cell in cells for name, value in cells[cell].figures.items()}
    return Summary(
        started=run.started,
        seconds=round(seconds, 3),
        matrix=run.matrix,
        selection=run.selection,
        shard=str(run.shard or ""),
        suite=run.suite,
        galaxy=run.galaxy,
        policy=policy.name,
        counts=count(results),
        areas={
            area: count(item for item in results if item.area == area)
            for area in sorted({item.area for item in results})
        },
        cells=cells,
        figures={**steps, **{name: round(value, 4) for name, value in figures.items()}},
        slowest_checks=slowest(results),
        verdicts={image.ref: _verdict(run, image.ref, results, policy) for image in run.images},
    )


def items_of(run: RunInfo, ref: str, items: Iterable[ItemResult]) -> tuple[ItemResult, ...]:
    """The items that tell something about an image: its checks, the steps of its cells, and what it has to bear."""
    return tuple(
        item
        for item in items
        if run.concerns(ref, item.cell, item.checkpoint, step=item.area == STEP_AREA)
        or (item.outcome in _WRONG and run.bears(ref, item.cell, item.checkpoint))
    )


def count(items: Iterable[ItemResult]) -> Counts:
    """How many items ended in each way."""
    found = Counter(item.outcome for item in items)
    return {outcome: found[outcome] for outcome in Outcome}


def blanket_reasons(run: RunInfo, items: Iterable[ItemResult]) -> tuple[str, ...]:
    """Why a run can certify nothing at all, whatever its images did."""
    results = tuple(items)
    counts = count(results)
    reasons = []
    absent = run.cells.keys() - {item.cell for item in results}
    if absent and not run.selection:
        reasons.append(f"nothing is there of {len(absent)} cells: {first_of(sorted(absent), 3, ', ')}")
    if not counts[Outcome.PASSED]:
        reasons.append("the run is empty: nothing passed")
    if counts[Outcome.BLOCKED]:
        reasons.append(f"the run is partly blocked: {counts[Outcome.BLOCKED]} items never ran")
    if run.selection:
        reasons.append(f"only part of the checks was selected (-k {run.selection!r})")
    if run.shard is not None:
        reasons.append(f"only the shard {run.shard} of the matrix was run (galaxy report --merge joins them)")
    return tuple(reasons)


def _cell(cell: str, results: tuple[ItemResult, ...]) -> CellSummary:
    own = [item for item in results if item.cell == cell]
    figures = {
        f"{item.id.removeprefix('step.')} {name}": value
        for item in own
        if item.area == STEP_AREA
        for name, value in item.figures.items()
    }
    seconds = round(sum(item.seconds for item in own), 3)
    return CellSummary(counts=count(own), seconds=seconds, figures=figures)


def _verdict(run: RunInfo, ref: str, results: tuple[ItemResult, ...], policy: Policy) -> Verdict:
    general = blanket_reasons(run, results)
    # Of a part it goes without saying that most of what the policy asks for is missing.
    part = run.selection or run.shard is not None
    own = items_of(run, ref, results)
    reasons = general if part else (*general, *judge(policy, ref, own))
    return Verdict(
        image_id=run.image(ref).id,
        passed=not reasons,
        reasons=reasons,
        failed=count(own)[Outcome.FAILED],
        unfit=len(not_allowed(policy, own)),
    )

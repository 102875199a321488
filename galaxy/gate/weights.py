"""How long cells take: measured by the last run that walked them whole, kept in the store.

The figures order a run's cells and make its estimate. They judge nothing, so a file that cannot be read is as none.
"""

import heapq
from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from galaxy.gate.results import Outcome
from galaxy.gate.run import scenario_of
from galaxy.gate.summary import Summary
from galaxy.host.files import write_atomic
from galaxy.host.store import Store


class Weights(BaseModel):
    """Seconds by cell."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cells: dict[str, float] = Field(default_factory=dict)

    @classmethod
    def read(cls, store: Store) -> Self:
        """The store's figures; empty when there are none."""
        try:
            return cls.model_validate_json(store.weights.read_bytes())
        except (OSError, ValidationError):
            return cls()

    def seconds(self, cell: str, usual: float) -> float:
        """The cell's own figure, else the mean of its scenario's cells, else `usual`."""
        if cell in self.cells:
            return self.cells[cell]
        alike = [seconds for name, seconds in self.cells.items() if scenario_of(name) == scenario_of(cell)]
        return fmean(alike) if alike else usual


def keep_weights(store: Store, summary: Summary) -> None:
    """Take over the seconds of every cell that went through to its end with all checks."""
    if summary.selection:
        return
    whole = {
        name: cell.seconds
        for name, cell in summary.cells.items()
        if cell.counts[Outcome.PASSED] and not cell.counts[Outcome.BLOCKED]
    }
    if whole:
        merged = Weights(cells={**Weights.read(store).cells, **whole})
        write_atomic(store.weights, merged.model_dump_json(indent=1) + "\n")


def wall_seconds(cells: Iterable[float], workers: int) -> float:
    """How long workers need for cells of these lengths when each takes the next one as it becomes free."""
    ends = [0.0] * workers
    for seconds in cells:
        heapq.heapreplace(ends, ends[0] + seconds)
    return max(ends)


def balanced(weights: Mapping[str, float], parts: int) -> tuple[tuple[str, ...], ...]:
    """The names in so many groups of about equal weight, the same for the same names and weights."""
    groups: list[list[str]] = [[] for _ in range(parts)]
    loads = [(0.0, number) for number in range(parts)]
    for name in sorted(weights, key=lambda name: (-weights[name], name)):
        load, number = loads[0]
        groups[number].append(name)
        heapq.heapreplace(loads, (load + weights[name], number))
    return tuple(tuple(group) for group in groups)

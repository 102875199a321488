"""Where a run's time went: what its workers did, session by session, and the figures that follow from it."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from galaxy.gate.policy import STEP_AREA
from galaxy.gate.results import ItemResult
from galaxy.gate.run import TIMING_FILE
from galaxy.host.files import write_atomic

_SLOWEST = 5


class Pace(BaseModel):
    """One worker: seconds in items, and when its last one ended, counted from the session's start."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    busy: float
    until: float


class Session(BaseModel):
    """One stretch of a run, from its plan to its last worker's end; a resumed or merged run has several.

    `workers` is how many there could have been at work.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float
    first_item_s: float
    workers: int
    paces: dict[str, Pace]


class Timing(BaseModel):
    """A run's timing.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sessions: tuple[Session, ...] = ()

    @classmethod
    def read(cls, folder: Path) -> "Timing":
        """What the folder tells; nothing when it tells nothing."""
        try:
            return cls.model_validate_json((folder / TIMING_FILE).read_bytes())
        except (OSError, ValidationError):
            return cls()

    def write(self, folder: Path) -> None:
        """Write timing.json into the run's folder."""
        write_atomic(folder / TIMING_FILE, self.model_dump_json())

    def figures(self, cells: int, items: Sequence[ItemResult]) -> dict[str, float]:
        """How well the workers were used; empty when nothing was timed.

        `overhead_*` is what workers spent between items, `efficiency` the share of all workers' time, from the
        sessions' start to their end, that went into items.
        """
        paces = [pace for session in self.sessions for pace in session.paces.values()]
        total, busy = sum(pace.until for pace in paces), sum(pace.busy for pace in paces)
        if total <= 0:
            return {}
        steps = sum(item.seconds for item in items if item.area == STEP_AREA)
        seconds = sum(session.seconds for session in self.sessions)
        return {
            "first_item_s": self.sessions[0].first_item_s,
            "workers": float(max(session.workers for session in self.sessions)),
            "workers_s": total,
            "steps_s": steps,
            "checks_s": busy - steps,
            "overhead_s": total - busy,
            "overhead_share": (total - busy) / total,
            "efficiency": busy / sum(session.workers * session.seconds for session in self.sessions),
            "cells_per_minute": 60 * cells / seconds,
            **self._shares(),
        }

    def _shares(self) -> dict[str, float]:
        """How much of its session each worker was busy, named by session when there are several."""
        several = len(self.sessions) > 1
        return {
            f"{f'session{number}_' if several else ''}{name}_busy_share": pace.busy / session.seconds
            for number, session in enumerate(self.sessions, start=1)
            for name, pace in sorted(session.paces.items())
        }


def slowest(items: Iterable[ItemResult]) -> dict[str, float]:
    """The checks that took the most seconds in all, most first."""
    sums: dict[str, float] = defaultdict(float)
    for item in items:
        if item.area != STEP_AREA:
            sums[item.id] += item.seconds
    order = sorted(sums, key=lambda name: -sums[name])[:_SLOWEST]
    return {name: round(sums[name], 3) for name in order}

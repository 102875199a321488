"""A figure: what was measured, the bare thing's measure beside it, and how much of it is acceptable."""

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

HEADERS = ("FIGURE", "VALUE", "BARE", "RATIO", "GOAL", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """`value` and `bare` in `unit`. The goal is the largest acceptable ratio, or value where nothing is bare."""

    name: str
    value: float
    unit: str
    bare: float | None = None
    goal: float | None = None

    @property
    def ratio(self) -> float | None:
        """How many times the bare thing; None where there is none."""
        return self.value / self.bare if self.bare is not None else None

    @property
    def verdict(self) -> str:
        """`ok`, `over`, or nothing where there is no goal."""
        if self.goal is None:
            return ""
        measured = self.value if self.ratio is None else self.ratio
        return "ok" if measured <= self.goal else "over"

    def row(self) -> tuple[str, ...]:
        """The cells of the table for people, under HEADERS."""
        bare = "" if self.bare is None else f"{self.bare:.3g} {self.unit}"
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        goal = (
            "" if self.goal is None else f"{self.goal:g}" + ("" if self.bare is not None else f" {self.unit}")
        )
        return self.name, f"{self.value:.3g} {self.unit}", bare, ratio, goal, self.verdict

    def plain(self) -> dict[str, object]:
        """The same for programs."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "bare": self.bare,
            "ratio": self.ratio,
            "goal": self.goal,
            "verdict": self.verdict,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """Seconds that something took: by the clock, and of processors, which a busy machine hardly changes."""

    wall: float
    cpu: float


def spent(act: Callable[[], object]) -> Spent:
    """What one call took, with all processes that it started and waited for (getrusage(2), RUSAGE_CHILDREN)."""
    began, before = time.monotonic(), _processor_time()
    act()
    return Spent(wall=time.monotonic() - began, cpu=_processor_time() - before)


def _processor_time() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def in_both(name: str, value: Spent, bare: Spent, goal: float) -> tuple[Figure, Figure]:
    """The same comparison by the clock and by processor time."""
    return (
        Figure(name=name, value=value.wall, bare=bare.wall, unit="s", goal=goal),
        Figure(name=f"{name}, processor time", value=value.cpu, bare=bare.cpu, unit="s", goal=goal),
    )


def seconds(act: Callable[[], object]) -> float:
    """The wall time of one call."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


def figure(name: str, unit: str, goal: float, galaxy: Sequence[float], bare: Sequence[float]) -> Figure:
    """A figure of two series of measurements, which were taken in turns so that both met the same machine."""
    return Figure(
        name=name, value=statistics.median(galaxy), bare=statistics.median(bare), unit=unit, goal=goal
    )

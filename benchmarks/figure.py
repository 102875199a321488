"""A figure: what Galaxy needs, what the bare thing needs, and their ratio."""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Medians of both sides in `unit`; `goal` is the largest ratio that satisfies us."""

    name: str
    galaxy: float
    bare: float
    unit: str
    goal: float

    @property
    def ratio(self) -> float:
        """How many times the bare thing."""
        return self.galaxy / self.bare

    def line(self) -> str:
        """One line for people."""
        verdict = "ok" if self.ratio <= self.goal else "above the goal"
        return (
            f"{self.name}: {self.galaxy:.3g} {self.unit} / {self.bare:.3g} {self.unit} "
            f"= {self.ratio:.2f} (goal {self.goal:g}): {verdict}"
        )


def seconds(act: Callable[[], object]) -> float:
    """The wall time of one call."""
    began = time.monotonic()
    act()
    return time.monotonic() - began


def figure(name: str, unit: str, goal: float, galaxy: Sequence[float], bare: Sequence[float]) -> Figure:
    """A figure of two series of measurements, which were taken in turns so that both met the same machine."""
    return Figure(
        name=name, galaxy=statistics.median(galaxy), bare=statistics.median(bare), unit=unit, goal=goal
    )

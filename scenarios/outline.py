"""What a run will do, for people: its cells by scenario, and how long they will take."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from galaxy.gate.weights import wall_seconds
from scenarios.engine import Cell

_WIDTH = 116
_MINUTE = 60.0


def outline(cells: Sequence[Cell], expected: Mapping[str, float], workers: int, part: str) -> Iterator[str]:
    """A line of sums, then each scenario with its cells; `part` says of a selection or shard what it is.

    `expected` is the seconds of each cell; of a selection nobody knows them, and it is empty.
    """
    number = f"{len(cells)} cell{'s' if len(cells) != 1 else ''}"
    hands = f"{workers} worker{'s' if workers != 1 else ''}"
    words = [f"{number} on {hands}", *([part] if part else [])]
    if expected:
        words.append(f"about {spell(wall_seconds([expected[cell.name] for cell in cells], workers))}")
    yield ", ".join(words)
    by_scenario = sorted(cells, key=lambda cell: cell.scenario.name)
    width = max(len(cell.scenario.name) for cell in cells)
    for name, group in groupby(by_scenario, key=lambda cell: cell.scenario.name):
        yield from _scenario(name.ljust(width), tuple(group), expected)


def _scenario(name: str, cells: tuple[Cell, ...], expected: Mapping[str, float]) -> Iterator[str]:
    refs = ", ".join("->".join(cell.refs) for cell in cells)
    each = f", {spell(sum(expected[cell.name] for cell in cells) / len(cells))} each" if expected else ""
    first = f"  {name}  {len(cells):>2}{each}: "
    yield from textwrap.wrap(
        refs, _WIDTH, initial_indent=first, subsequent_indent=" " * len(first), break_on_hyphens=False
    )


def spell(seconds: float) -> str:
    """`40 s`, `14 min`."""
    return f"{seconds:.0f} s" if seconds < 1.5 * _MINUTE else f"{seconds / _MINUTE:.0f} min"

"""The set of cells of a run: by name, or from a file with axes; and the part of it that is one machine's."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from galaxy.gate.run import Shard, ref_order, refs_of, scenario_of, shard_numbers
from galaxy.gate.weights import balanced
from galaxy.host.errors import InputError
from galaxy.host.settings import parse_toml
from scenarios.catalogue import SCENARIOS
from scenarios.engine import Cell

# The scenarios of `quick`: what can be judged in minutes.
_QUICK = ("lifecycle",)
ANY = "*"


class Row(BaseModel):
    """One `[[cells]]` of a file: a scenario, and for each of its roles the refs to fill in (`*`: every image)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenario: str
    axes: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class MatrixFile(BaseModel):
    """A matrix file; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cells: tuple[Row, ...] = Field(min_length=1)


def expand(matrix: str, refs: Sequence[str]) -> tuple[Cell, ...]:
    """The cells of `quick`, `all` or a file over the images `refs`, heaviest first; InputError when there are none.

    A file's own refs count only if they are among `refs`.
    """
    ordered = sorted(refs, key=ref_order)
    found = tuple(dict.fromkeys(cell for row in _rows(matrix) for cell in _cells(row, ordered)))
    if not found:
        raise InputError(
            f"the matrix {matrix} has no cell for {', '.join(refs) or 'an empty store'}",
            "Name images that the store has (galaxy image ls) and the matrix uses.",
        )
    return tuple(sorted(found, key=lambda cell: -cell.weight))


def cells_of(names: Iterable[str]) -> tuple[Cell, ...]:
    """The cells of these names, in their order."""
    return tuple(Cell(scenario=SCENARIOS[scenario_of(name)], refs=refs_of(name)) for name in names)


def part_of(cells: Sequence[Cell], wanted: str) -> tuple[Shard, tuple[Cell, ...]]:
    """The cells of a shard `K/N`, balanced by the catalogue's weights: alike on every machine.

    InputError when the shard has no cell.
    """
    number, of = shard_numbers(wanted)
    mine = balanced({cell.name: cell.weight for cell in cells}, of)[number - 1]
    if not mine:
        raise InputError(
            f"the shard {wanted} has no cell", f"The matrix has {len(cells)}; make fewer shards."
        )
    shard = Shard(number=number, of=of, whole=tuple(cell.name for cell in cells))
    return shard, tuple(cell for cell in cells if cell.name in mine)


def _rows(matrix: str) -> tuple[Row, ...]:
    if matrix == "quick":
        return tuple(Row(scenario=name) for name in _QUICK)
    if matrix == "all":
        return tuple(Row(scenario=name) for name in SCENARIOS)
    file = Path(matrix)
    if not file.suffix and not file.exists():
        raise InputError(f"there is no matrix {matrix!r}", "Give quick, all, or a TOML file.")
    return parse_toml(file, MatrixFile).cells


def _cells(row: Row, refs: Sequence[str]) -> Iterator[Cell]:
    """Every combination of the axes that the scenario admits; a role without an axis takes every image.

    A scenario for all images at once has one cell, with one image of each version.
    """
    scenario = SCENARIOS.get(row.scenario)
    if scenario is None:
        known = ", ".join(SCENARIOS)
        raise InputError(f"there is no scenario {row.scenario!r}", f"Name one of: {known}.")
    unknown = sorted(set(row.axes) - set(scenario.roles))
    if unknown:
        raise InputError(
            f"the scenario {row.scenario} has no axis {unknown[0]!r}",
            f"Its axes are: {', '.join(scenario.roles)}.",
        )
    axes = [[ref for ref in refs if _wanted(ref, row.axes.get(role, (ANY,)))] for role in scenario.roles]
    if scenario.every is not None:
        by_version = {ref_order(ref)[0]: ref for ref in reversed(axes[0])}
        every = tuple(reversed(by_version.values()))
        combinations: Iterable[tuple[str, ...]] = [every] if len(every) > 1 else []
    else:
        combinations = product(*axes)
    all_versions = sorted({ref_order(ref)[0] for ref in refs})
    for chosen in combinations:
        versions = tuple(ref_order(ref)[0] for ref in chosen)
        near = (
            row.axes
            or not scenario.neighbours
            or _are_neighbours([all_versions.index(one) for one in versions])
        )
        if near and scenario.admits(versions):
            yield Cell(scenario=scenario, refs=chosen)


def _are_neighbours(places: Sequence[int]) -> bool:
    return max(places) - min(places) < len(places)


def _wanted(ref: str, wanted: Sequence[str]) -> bool:
    return ANY in wanted or ref in wanted

"""The set of cells of a run: by name, or from a file with axes."""

from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from galaxy.gate.run import RunInfo, refs_of, scenario_of
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
    """The cells of `quick`, `all` or a file over the images `refs`, longest first; InputError when there are none.

    A file's own refs count only if they are among `refs`.
    """
    found = tuple(dict.fromkeys(cell for row in _rows(matrix) for cell in _cells(row, refs)))
    if not found:
        raise InputError(
            f"the matrix {matrix} has no cell for {', '.join(refs) or 'an empty store'}",
            "Name images that the store has (galaxy image ls) and the matrix uses.",
        )
    return tuple(sorted(found, key=lambda cell: -cell.scenario.weight))


def cells_of(run: RunInfo) -> tuple[Cell, ...]:
    """The cells that a run's run.json names, in its order."""
    return tuple(Cell(scenario=SCENARIOS[scenario_of(name)], refs=refs_of(name)) for name in run.cells)


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
    """Every combination of the axes; a role without an axis takes every image."""
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
    for chosen in product(*axes):
        yield Cell(scenario=scenario, refs=chosen)


def _wanted(ref: str, wanted: Sequence[str]) -> bool:
    return ANY in wanted or ref in wanted

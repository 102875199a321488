"""Known failures: checks that fail for a reason that is understood, and those that flap.

A row that is wrong (an unknown key or check id) is refused: a list nobody can trust hides real failures.
"""

import operator
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, field_validator

from galaxy.host.errors import InputError
from galaxy.host.settings import parse_toml
from galaxy.release.version import Version
from verify.place import Place

Kind = Literal["known", "flapping"]
KNOWN_FOLDER = Path(__file__).parent / "known"
# Two-letter signs first: ">=" begins with ">".
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}
_HINT = "Mend the row, or remove it."


class Row(BaseModel):
    """One `[[row]]`: which check fails, where, on which versions, saying what, and why.

    `saying` is looked for in what the check says: it may fail by this defect alone. `cell` and `checkpoint` are met
    whole. All three are regular expressions. `versions` is a list of comparisons that must all hold, like
    [">=4.17", "<4.19"], and empty for every version.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str
    kind: Kind
    reason: str
    reference: str
    saying: str
    versions: tuple[str, ...] = ()
    cell: str = ".*"
    checkpoint: str = ".*"

    @field_validator("versions")
    @classmethod
    def _comparisons(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for comparison in value:
            _holds(comparison, Version.parse("4.0.0"))
        return value

    @field_validator("saying", "cell", "checkpoint")
    @classmethod
    def _expression(cls, value: str) -> str:
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"{value!r} is not a regular expression: {error}") from None
        return value

    def covers(self, check: str, place: Place, version: Version | None) -> bool:
        """Whether a failure of this check at this place on this version is expected."""
        return (
            self.check == check
            and re.fullmatch(self.cell, place.cell) is not None
            and re.fullmatch(self.checkpoint, place.checkpoint) is not None
            and all(version is not None and _holds(comparison, version) for comparison in self.versions)
        )


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    row: list[Row] = []


class Expected:
    """The rows of a run, and the version that is being checked now."""

    def __init__(self, rows: tuple[Row, ...] = ()) -> None:
        self.rows = rows
        self.version: Version | None = None

    def row_for(self, check: str, place: Place) -> Row | None:
        """The row that expects this check to fail here; None for most."""
        return next((row for row in self.rows if row.covers(check, place, self.version)), None)


EXPECTED = pytest.StashKey[Expected]()


def load_expected(folder: Path, ids: Collection[str] | None) -> Expected:
    """Read every *.toml of a folder; InputError for a key or a check id that does not exist.

    `ids` are the checks that there are; with None they were looked at before.
    """
    return Expected(tuple(row for file in sorted(folder.glob("*.toml")) for row in _rows(file, ids)))


def _rows(file: Path, ids: Collection[str] | None) -> Iterator[Row]:
    for row in parse_toml(file, _File, _HINT).row:
        if ids is not None and row.check not in ids:
            raise InputError(f"{file}: there is no check {row.check}", _HINT)
        yield row


def _holds(comparison: str, version: Version) -> bool:
    for sign, holds in _COMPARISONS.items():
        if comparison.startswith(sign):
            return holds(version, Version.parse(comparison.removeprefix(sign).strip()))
    raise ValueError(f"{comparison!r} is not a comparison such as >=4.17")

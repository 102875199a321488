"""What a verify run found, one line an item: the words, and how they are written and read.

A line is on disk (`flush`) when its item has ended, so that a run which is killed keeps what it knew.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from galaxy.host.errors import InputError
from galaxy.host.files import write_atomic

RESULTS_FILE = "results.jsonl"
_KEYS = frozenset({"id", "area", "cell", "checkpoint", "outcome", "seconds", "message", "figures"})


class Outcome(StrEnum):
    """How an item ended.

    `known` is a failure that verify/known/*.toml expects; `blocked` an item that never ran because something
    before it failed. Neither is ever counted as passed.
    """

    PASSED = "passed"
    FAILED = "failed"
    KNOWN = "known"
    BLOCKED = "blocked"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemResult:
    """One item of a run: a check at a checkpoint of a cell, or a step of a cell (area `step`).

    `id` is the check's id, or `step.NAME`; `seconds` its whole wall time; `message` why it did not
    pass (empty for passed); `figures` what it measured, by name that ends in the unit (`ready_s`).
    """

    id: str
    area: str
    cell: str
    checkpoint: str
    outcome: Outcome
    seconds: float
    message: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)

    def to_line(self) -> str:
        """One line of JSON without its newline; the key order is fixed."""
        body: dict[str, Any] = {
            "id": self.id,
            "area": self.area,
            "cell": self.cell,
            "checkpoint": self.checkpoint,
            "outcome": self.outcome.value,
            "seconds": round(self.seconds, 4),
            "message": self.message,
        }
        if self.figures:
            body["figures"] = {name: round(value, 4) for name, value in sorted(self.figures.items())}
        return json.dumps(body, ensure_ascii=False)

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Parse one line; ValueError when a key is missing, unknown or of the wrong form."""
        body = json.loads(line)
        if not isinstance(body, dict) or not body.keys() <= _KEYS:
            raise ValueError("not an item of a verify run")
        try:
            body["outcome"] = Outcome(body["outcome"])
            body["seconds"] = float(body["seconds"])
            return cls(**body)
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from None


class ResultsWriter:
    """Appends items to a run's results.jsonl."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._sink = (folder / RESULTS_FILE).open("w", encoding="utf-8")

    def add(self, item: ItemResult) -> None:
        """Write one item through to the file."""
        self._sink.write(item.to_line() + "\n")
        self._sink.flush()

    def close(self) -> None:
        """End the file."""
        self._sink.close()


def write_results(folder: Path, items: Iterable[ItemResult], name: str = RESULTS_FILE) -> Path:
    """Write a whole run's results at once: all of them, or what was there stays. Returns the file."""
    write_atomic(folder / name, "".join(item.to_line() + "\n" for item in items))
    return folder / name


def read_results(file: Path) -> tuple[ItemResult, ...]:
    """Read a results.jsonl; InputError names the line that cannot be taken."""
    try:
        return tuple(_parse(file))
    except OSError as error:
        raise InputError(
            f"cannot read {file}: {error.strerror}", "Name the folder of a verify run."
        ) from None


def lines_of(file: Path) -> list[str]:
    """The lines of a results file. A message may hold what str.splitlines takes for a line's end (U+2028)."""
    return file.read_text(encoding="utf-8").removesuffix("\n").split("\n") if file.stat().st_size else []


def _parse(file: Path) -> Iterator[ItemResult]:
    for number, line in enumerate(lines_of(file), start=1):
        try:
            yield ItemResult.from_line(line)
        except ValueError as error:
            raise InputError(f"{file}, line {number}: {error}", "Run galaxy verify again.") from None

"""Joining the shards of one matrix: their results become those of one run, which is judged and certified as such.

A run that was never split is the one shard of one: so it is judged again, by another policy, or after a full disk
had kept its certificates from being written.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from galaxy.gate.finish import planned, read_summary
from galaxy.gate.junit import write_junit
from galaxy.gate.policy import Policy
from galaxy.gate.results import RESULTS_FILE, ItemResult, read_results, write_results
from galaxy.gate.resume import NEVER_RAN
from galaxy.gate.run import RunInfo, Shard
from galaxy.gate.summary import Summary, count, summarise
from galaxy.gate.timing import Timing
from galaxy.host.errors import InputError

_HINT = "Merge all shards of one matrix, each run to its end with the same Galaxy on the same images."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One shard's finished run."""

    folder: Path
    run: RunInfo
    shard: Shard
    items: tuple[ItemResult, ...]
    seconds: float


def merge(folders: Sequence[Path], into: Path, policy: Policy) -> Summary:
    """Join finished shards into the folder `into`; InputError says why they do not make one run."""
    parts = [_part(folder) for folder in folders]
    whole = _whole(parts)
    rank = {name: number for number, name in enumerate(whole.cells)}
    items = tuple(sorted((item for part in parts for item in part.items), key=lambda item: rank[item.cell]))
    timing = Timing(sessions=tuple(one for part in parts for one in Timing.read(part.folder).sessions))
    whole.write(into)
    timing.write(into)
    write_results(into, items)
    for part in parts:
        if (part.folder / "failures").is_dir():
            shutil.copytree(part.folder / "failures", into / "failures", dirs_exist_ok=True)
    # The shards ran side by side: the whole took as long as the longest.
    seconds = max(part.seconds for part in parts)
    figures = timing.figures(len(whole.cells), items)
    summary = summarise(whole, items, policy, seconds=seconds, figures=figures)
    summary.write(into)
    write_junit(into, items)
    return summary


def _part(folder: Path) -> _Part:
    """A shard's run; InputError unless it is one, came to its end, and has all its results."""
    run = RunInfo.read(folder)
    if not run.images:
        raise InputError(f"the run in {folder} is not one of a matrix", _HINT)
    shard = run.shard or Shard(number=1, of=1, whole=tuple(run.cells))
    summary, items = read_summary(folder), read_results(folder / RESULTS_FILE)
    ended = {(item.cell, item.checkpoint, item.id) for item in items if item.message != NEVER_RAN}
    if len(ended) != len(items):
        raise InputError(
            f"the run in {folder} was interrupted", f"Go on with it: galaxy verify --resume {folder}"
        )
    if count(items) != summary.counts:
        raise InputError(f"the results in {folder} are not those that its summary counts", _HINT)
    promised = {(told["cell"], told["checkpoint"], told["id"]) for told in planned(folder)}
    cells = {item.cell for item in items}
    # A selection may leave a cell without anything.
    if promised - ended or cells - run.cells.keys() or (run.cells.keys() - cells and not run.selection):
        raise InputError(f"the results in {folder} are not those of its {len(run.cells)} cells", _HINT)
    return _Part(folder=folder, run=run, shard=shard, items=items, seconds=summary.seconds)


def _whole(parts: Sequence[_Part]) -> RunInfo:
    """The run that the shards are the parts of."""
    first = parts[0]
    seen: dict[int, Path] = {}
    cells: dict[str, tuple[str, ...]] = {}
    checked: dict[str, dict[str, str]] = {}
    for part in parts:
        _require_alike(first, part)
        twin = seen.setdefault(part.shard.number, part.folder)
        if twin != part.folder:
            raise InputError(f"{twin} and {part.folder} are both the shard {part.shard}", _HINT)
        cells |= part.run.cells
        checked |= part.run.checked
    absent = [f"{number}/{first.shard.of}" for number in range(1, first.shard.of + 1) if number not in seen]
    if absent:
        raise InputError(f"shards are missing: {', '.join(absent)}", _HINT)
    if len(cells) != sum(len(part.run.cells) for part in parts) or set(cells) != set(first.shard.whole):
        raise InputError("the shards' cells are not each cell of the matrix once", _HINT)
    ordered = {name: cells[name] for name in first.shard.whole}
    started = min(part.run.started for part in parts)
    return first.run.model_copy(
        update={"shard": None, "cells": ordered, "checked": checked, "started": started}
    )


def _require_alike(first: _Part, part: _Part) -> None:
    """InputError names the first thing in which two runs differ that the shards of one matrix have in common."""
    for what, left, right in (
        ("versions of Galaxy", first.run.galaxy, part.run.galaxy),
        ("checks", first.run.suite, part.run.suite),
        ("images", set(first.run.images), set(part.run.images)),
        ("matrices", first.shard.whole, part.shard.whole),
        ("numbers of shards", first.shard.of, part.shard.of),
        ("selections of checks", first.run.selection, part.run.selection),
    ):
        if left != right:
            raise InputError(f"{first.folder} and {part.folder} were run with different {what}", _HINT)

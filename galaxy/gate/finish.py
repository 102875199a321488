"""The end of a run: what never ran is blocked, the numbers are counted, the verdicts are written."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from galaxy.gate.junit import write_junit
from galaxy.gate.policy import Policy
from galaxy.gate.results import ItemResult, Outcome
from galaxy.gate.resume import NEVER_RAN, gather, items_on_disk
from galaxy.gate.run import PLAN_FILE, RunInfo
from galaxy.gate.summary import Summary, summarise
from galaxy.gate.timing import Timing
from galaxy.host.errors import InputError


def planned(folder: Path) -> tuple[Mapping[str, str], ...]:
    """What was to be run, in order: the `id`, `area`, `cell` and `checkpoint` of each item."""
    file = folder / PLAN_FILE
    return tuple(json.loads(file.read_text(encoding="utf-8")).values()) if file.exists() else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A run that has ended: all its items, and what they come to."""

    items: tuple[ItemResult, ...]
    summary: Summary


def look(folder: Path, policy: Policy, *, seconds: float) -> Ended:
    """Judge what is in a run's folder; nothing is written yet.

    `seconds` is the run's wall time, of a resumed one that of its last session.
    """
    run, timing = RunInfo.read(folder), Timing.read(folder)
    items = tuple(_completed(folder))
    before = sum(session.seconds for session in timing.sessions[:-1])
    figures = timing.figures(len({item.cell for item in items}), items)
    summary = summarise(run, items, policy, seconds=before + seconds, figures=figures)
    return Ended(items=items, summary=summary)


def write_down(folder: Path, ended: Ended) -> Summary:
    """Complete a run's folder: every planned item is in results.jsonl, summary.json and junit.xml are there."""
    gather(folder, ended.items)
    ended.summary.write(folder)
    write_junit(folder, ended.items)
    return ended.summary


def finish(folder: Path, policy: Policy, *, seconds: float) -> Summary:
    """Both."""
    return write_down(folder, look(folder, policy, seconds=seconds))


def _completed(folder: Path) -> Iterator[ItemResult]:
    """The results, each item once, and a blocked one for each planned item that has none."""
    seen: set[tuple[str, str, str]] = set()
    for item in items_on_disk(folder):
        if (item.id, item.cell, item.checkpoint) not in seen:
            seen.add((item.id, item.cell, item.checkpoint))
            yield item
    for told in planned(folder):
        if (told["id"], told["cell"], told["checkpoint"]) not in seen:
            yield ItemResult(
                id=told["id"],
                area=told["area"],
                cell=told["cell"],
                checkpoint=told["checkpoint"],
                outcome=Outcome.BLOCKED,
                seconds=0.0,
                message=NEVER_RAN,
            )


def read_summary(folder: Path) -> Summary:
    """A run's summary.json; InputError when the folder has none."""
    try:
        return Summary.model_validate_json((folder / "summary.json").read_bytes())
    except (OSError, ValueError) as error:
        raise InputError(
            f"{folder} has no summary of a run: {error}", "Name a finished run's folder."
        ) from None

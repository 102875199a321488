"""The end of a run: what never ran is blocked, the numbers are counted, the verdicts are written."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from galaxy.gate.junit import write_junit
from galaxy.gate.policy import Policy
from galaxy.gate.results import RESULTS_FILE, ItemResult, Outcome, read_results
from galaxy.gate.resume import NEVER_RAN, finished_items, gather
from galaxy.gate.run import PLAN_FILE, RunInfo
from galaxy.gate.summary import Summary, summarise
from galaxy.gate.timing import Timing
from galaxy.host.errors import InputError


def planned(folder: Path) -> tuple[Mapping[str, str], ...]:
    """What was to be run, in order: the `id`, `area`, `cell` and `checkpoint` of each item."""
    file = folder / PLAN_FILE
    return tuple(json.loads(file.read_text(encoding="utf-8")).values()) if file.exists() else ()


def finish(folder: Path, policy: Policy, *, seconds: float) -> Summary:
    """Complete a run's folder: every planned item is in results.jsonl, summary.json and junit.xml are there.

    `seconds` is the run's wall time, of a resumed one that of its last session.
    """
    run, timing = RunInfo.read(folder), Timing.read(folder)
    items = tuple(_completed(folder))
    gather(folder, items)
    before = sum(session.seconds for session in timing.sessions[:-1])
    figures = timing.figures(len({item.cell for item in items}), items)
    summary = summarise(run, items, policy, seconds=before + seconds, figures=figures)
    summary.write(folder)
    write_junit(folder, items)
    return summary


def _completed(folder: Path) -> Iterator[ItemResult]:
    """The results, each item once, and a blocked one for each planned item that has none."""
    seen: set[tuple[str, str, str]] = set()
    file = folder / RESULTS_FILE
    for item in (*finished_items(folder), *(read_results(file) if file.exists() else ())):
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

"""What became of each item: its place in the run, its outcome, and the line in results.jsonl.

The process that runs an item judges it and attaches the judgement to its reports as user properties; the
controller of the run (the same process without xdist) puts the phases of an item together and writes its
line as it ends.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from galaxy.gate.results import ItemResult, Outcome, ResultsWriter
from verify.check import Blocked, NotApplicable
from verify.expected import Expected, Kind
from verify.place import Place

_PREFIX = "galaxy."
_LONGEST = 1200
_WORST = (Outcome.PASSED, Outcome.NOT_APPLICABLE, Outcome.KNOWN, Outcome.BLOCKED, Outcome.FAILED)


@dataclass(slots=True)
class Identity:
    """Who an item is in the results, and what it measured so far."""

    id: str
    area: str
    place: Place
    figures: dict[str, float] = field(default_factory=dict)


IDENTITY = pytest.StashKey[Identity]()
SECRETS = pytest.StashKey[set[str]]()


def declare(item: pytest.Item, item_id: str, place: Place) -> None:
    """Make an item that is no check (a step of a cell) part of the results, under `item_id` and its area."""
    item.stash[IDENTITY] = Identity(id=item_id, area=item_id.partition(".")[0], place=place)


def measured(item: pytest.Item, figures: Mapping[str, float]) -> None:
    """Add what an item measured to its line; names end in their unit (`ready_s`)."""
    item.stash[IDENTITY].figures.update(figures)


def hide(config: pytest.Config, *secrets: str) -> None:
    """Keep these texts out of every report of this process."""
    config.stash.setdefault(SECRETS, set()).update(secret for secret in secrets if secret)


def judge(item: pytest.Item, call: pytest.CallInfo[None], report: pytest.TestReport, rows: Expected) -> None:
    """Turn one phase's report into the gate's words, scrub it, and attach what the controller needs."""
    identity = item.stash[IDENTITY]
    outcome, message = _outcome(identity, call, report, rows)
    message = _scrub(item.config, message)
    _repaint(report, outcome, message)
    _scrub_report(item.config, report)
    report.user_properties += [
        (_PREFIX + "id", identity.id),
        (_PREFIX + "cell", identity.place.cell),
        (_PREFIX + "checkpoint", identity.place.checkpoint),
        (_PREFIX + "outcome", outcome.value),
        (_PREFIX + "message", message),
        (_PREFIX + "figures", json.dumps(identity.figures)),
    ]


def _outcome(
    identity: Identity, call: pytest.CallInfo[None], report: pytest.TestReport, rows: Expected
) -> tuple[Outcome, str]:
    raised = call.excinfo.value if call.excinfo is not None else None
    if isinstance(raised, NotApplicable):
        return Outcome.NOT_APPLICABLE, str(raised)
    if isinstance(raised, Blocked):
        return Outcome.BLOCKED, str(raised)
    if report.skipped:
        return Outcome.FAILED, f"a check may not skip: {raised}"
    row = rows.row_for(identity.id, identity.place) if call.when == "call" else None
    if raised is None:
        return _passed_though(row.kind, row.reason) if row else (Outcome.PASSED, "")
    said = _words(raised)
    if row is not None and re.search(row.saying, said):
        return Outcome.KNOWN, f"{row.kind}: {row.reason} ({row.reference}): {said}"
    return Outcome.FAILED, said


def _passed_though(kind: Kind, reason: str) -> tuple[Outcome, str]:
    if kind == "flapping":
        return Outcome.KNOWN, f"flapping, passed this time: {reason}"
    return Outcome.FAILED, f"passed, though verify/known expects it to fail: {reason}"


def _words(error: BaseException) -> str:
    """An exception for people: an assertion speaks for itself, anything else says its type."""
    text = str(error).strip()
    if isinstance(error, AssertionError):
        return text or "an assertion without a message failed"
    return f"{type(error).__name__}: {text}"


def _repaint(report: pytest.TestReport, outcome: Outcome, message: str) -> None:
    """Make pytest's exit status and junit agree: blocked fails, known and not-applicable are skips."""
    match outcome:
        case Outcome.PASSED:
            report.outcome = "passed"
        case Outcome.NOT_APPLICABLE | Outcome.KNOWN:
            report.outcome = "skipped"
            report.longrepr = (report.location[0], (report.location[1] or 0) + 1, message)
        case Outcome.BLOCKED:
            report.outcome = "failed"
            report.longrepr = message
        case Outcome.FAILED:
            if report.outcome != "failed":
                report.longrepr = message
            report.outcome = "failed"


def _scrub(config: pytest.Config, text: str) -> str:
    for secret in config.stash.get(SECRETS, set()):
        text = text.replace(secret, "********")
    return text[:_LONGEST]


def _scrub_report(config: pytest.Config, report: pytest.TestReport) -> None:
    """Replace secrets in the traceback and the captured output; an untouched report keeps its rich form."""
    secrets = config.stash.get(SECRETS, set())
    if report.failed and any(secret in report.longreprtext for secret in secrets):
        text = report.longreprtext
        for secret in secrets:
            text = text.replace(secret, "********")
        report.longrepr = text
    for secret in secrets:
        report.sections = [(name, text.replace(secret, "********")) for name, text in report.sections]


def properties_of(report: pytest.TestReport) -> dict[str, str]:
    """What `judge` attached to a report, by name; empty for reports of anything else."""
    return {
        name.removeprefix(_PREFIX): str(value)
        for name, value in report.user_properties
        if name.startswith(_PREFIX)
    }


class Recorder:
    """Puts the phases of each item together and hands out its ItemResult when it has ended."""

    def __init__(self, folder: Path | None) -> None:
        self._writer = ResultsWriter(folder) if folder is not None else None
        self._open: dict[str, ItemResult] = {}

    def add(self, report: pytest.TestReport) -> ItemResult | None:
        """Take one report; the finished item when this was its last phase, else None."""
        result = self._merged(report)
        if result is None:
            return None
        if report.when in ("setup", "call"):
            self._open[report.nodeid] = result
            return None
        self._open.pop(report.nodeid, None)
        if self._writer is not None:
            self._writer.add(result)
        return result

    def close(self) -> None:
        """End results.jsonl."""
        if self._writer is not None:
            self._writer.close()

    def _merged(self, report: pytest.TestReport) -> ItemResult | None:
        before = self._open.get(report.nodeid)
        now = _phase(report, before)
        if now is None or before is None:
            return now
        worse = max(before, now, key=lambda result: _WORST.index(result.outcome))
        return ItemResult(
            id=now.id,
            area=now.area,
            cell=now.cell,
            checkpoint=now.checkpoint,
            outcome=worse.outcome,
            seconds=before.seconds + now.seconds,
            message=worse.message,
            figures={**before.figures, **now.figures},
        )


def _phase(report: pytest.TestReport, before: ItemResult | None) -> ItemResult | None:
    """One phase as a result; a failure without a judgement is a worker that died, or a broken item."""
    told = properties_of(report)
    if told:
        return ItemResult(
            id=told["id"],
            area=told["id"].partition(".")[0],
            cell=told["cell"],
            checkpoint=told["checkpoint"],
            outcome=Outcome(told["outcome"]),
            seconds=report.duration,
            message=told["message"],
            figures=json.loads(told["figures"]),
        )
    if report.passed:
        return None
    name = report.nodeid.rpartition("::")[2]
    return ItemResult(
        id=before.id if before else f"run.{name}",
        area=before.area if before else "run",
        cell=before.cell if before else "",
        checkpoint=before.checkpoint if before else "",
        outcome=Outcome.FAILED,
        seconds=report.duration,
        message=str(report.longrepr)[:_LONGEST],
    )

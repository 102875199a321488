"""A run's folder from its making to the verdict: what verify and report share."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from galaxy.cli.render import settle, table
from galaxy.gate.finish import look, planned, write_down
from galaxy.gate.policy import Policy, load_policy
from galaxy.gate.results import RESULTS_FILE, Outcome, read_results
from galaxy.gate.resume import has_results
from galaxy.gate.run import RUN_FILE, RunInfo
from galaxy.gate.summary import Summary
from galaxy.gate.table import HEADERS, area_rows, time_lines, trouble_lines, verdict_lines
from galaxy.gate.verdict import remember
from galaxy.gate.weights import keep_weights
from galaxy.gate.withdrawal import withdraw
from galaxy.host.errors import GalaxyError, GateError, InputError, InterruptedByUser
from galaxy.host.lock import locked
from galaxy.host.progress import say
from galaxy.host.store import Store
from galaxy.server.config import path_digest


def run_folder(store: Store, report: Path | None) -> Path:
    """A run's folder, new or empty; InputError when something is in it."""
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = (report or store.runs / name).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        used = any(folder.iterdir())
    except OSError as error:
        why = f"cannot write results to {folder}: {error.strerror}"
        raise InputError(why, "Name another folder.") from None
    if used:
        raise InputError(f"{folder} is not empty", "Name a new folder for the results.")
    return folder


def run_to_end(
    store: Store, folder: Path, policy: Policy, go: Callable[[], None], *, resumed: bool = False
) -> Summary:
    """Run, and finish the run's folder whatever happens; a new run that never began leaves none.

    One that was broken off before it was known what it would run is not finished: nobody could say what is missing.
    """
    began, done = time.monotonic(), False
    with locked(store, f"run-{path_digest(folder)}", wait=0):
        try:
            go()
            done = True
        except InterruptedByUser:
            if has_results(folder) and RunInfo.read(folder).images:
                say(f"interrupted; to go on: galaxy verify --resume {folder}")
            raise
        finally:
            # Workers that were killed have left servers and networks; what they found out is kept.
            settle(store)
            if (folder / RUN_FILE).exists() and (planned(folder) or (done and has_results(folder))):
                ended = look(folder, policy, seconds=time.monotonic() - began)
                take_back(store, ended.summary, policy)  # a full disk does not keep it from that
                summary = write_down(folder, ended)
            elif not (resumed or has_results(folder)):
                shutil.rmtree(folder)
        return summary


def conclude(store: Store, folder: Path, summary: Summary, policy: Policy, *, named: bool = False) -> None:
    """Certify what passed, and show what a run found; GateError when the gate failed.

    `named`: who asked named the policy, and wants each image to satisfy it. An error of one certificate keeps no other
    from being made, and comes last.
    """
    lines, errors = _certify(store, folder, summary, policy)
    show(folder, summary)
    for line in lines:
        print(line, flush=True)
    keep_weights(store, summary)
    require_passed(folder, summary)
    if named:
        require_satisfied(summary)
    if errors:
        raise errors[0]


def require_passed(folder: Path, summary: Summary) -> None:
    """GateError unless something passed and nothing failed or was blocked."""
    if not summary.passed:
        bad = summary.counts[Outcome.FAILED] + summary.counts[Outcome.BLOCKED]
        raise GateError(f"the gate failed: {bad} items failed or were blocked", f"Details are in {folder}")


def require_satisfied(summary: Summary) -> None:
    """GateError unless each image satisfies the policy; a part of a run (`-k`, a shard) cannot show it, nor deny it."""
    short = [ref for ref, verdict in summary.verdicts.items() if not verdict.passed]
    if short and not (summary.selection or summary.shard):
        raise GateError(
            f"the policy {summary.policy} is not satisfied by {', '.join(short)}", "Why stands above."
        )


def show(folder: Path, summary: Summary) -> None:
    """Print a finished run's tables, verdicts and times."""
    run, items = RunInfo.read(folder), read_results(folder / RESULTS_FILE)
    print()
    table(HEADERS, list(area_rows(run, items)))
    print()
    for line in (*trouble_lines(items), *verdict_lines(summary), *time_lines(summary)):
        print(line)
    print(f"results: {folder}", flush=True)


def _certify(
    store: Store, folder: Path, summary: Summary, policy: Policy
) -> tuple[list[str], list[GalaxyError | OSError]]:
    """Sign for every image that passed: a line for each, and what went wrong with others."""
    from galaxy.gate.certificate import certify  # noqa: PLC0415 - 0.1 s that the start can do without

    lines: list[str] = []
    errors: list[GalaxyError | OSError] = []
    for ref, verdict in summary.verdicts.items():
        if not verdict.passed:
            continue
        try:
            lines.append(f"certificate: {certify(store, folder, ref, policy)}")
        except (GalaxyError, OSError) as error:
            later = f" (later: galaxy report --merge {folder})" if isinstance(error, OSError) else ""
            lines.append(f"{ref} gets no certificate: {error}{later}")
            errors.append(error)
    remember(store, summary)
    return lines, errors


def take_back(store: Store, summary: Summary, policy: Policy) -> None:
    """Withdraw what an earlier run gave to images that this one, though it was cut off, has failed.

    A known failure that is not allowed tells the same, where it is production's policy that doesn't allow it.
    """
    production = policy == load_policy()
    for ref, verdict in summary.verdicts.items():
        bad = verdict.failed or (production and verdict.unfit)
        if bad and withdraw(store, verdict.image_id, summary.started):
            print(f"the certificate of {ref} was withdrawn: {bad} checks failed", flush=True)

"""Going on with an interrupted run: its finished cells stay, the others are walked again from their start.

The items of finished cells wait in finished.jsonl while the rest is run into a new results.jsonl; `finish` puts
both together. So a run may be interrupted, and resumed, as often as it takes. What has failed in a cell that was not
finished stays failed: walking a cell again until nothing fails would prove nothing.
"""

import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from galaxy import __version__
from galaxy.gate.results import RESULTS_FILE, ItemResult, Outcome, lines_of, read_results, write_results
from galaxy.gate.run import FAILED_FILE, FINISHED_FILE, PLAN_FILE, RunInfo
from galaxy.gate.suite import suite_digest
from galaxy.host.errors import InputError
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue

NEVER_RAN = "the run ended before it came to this"


def finished_items(folder: Path) -> tuple[ItemResult, ...]:
    """The items of cells that earlier sessions of this run have finished."""
    file = folder / FINISHED_FILE
    return read_results(file) if file.exists() else ()


def cells_left(folder: Path, run: RunInfo) -> tuple[str, ...]:
    """The cells of a run that are still to be walked, in its order; all of them unless it is resumed."""
    done = {item.cell for item in finished_items(folder)}
    return tuple(cell for cell in run.cells if cell not in done)


def newest_unfinished(store: Store) -> Path:
    """The newest of the store's runs that has cells left; InputError when there is none."""
    for folder in sorted(store.runs.iterdir() if store.runs.is_dir() else (), reverse=True):
        try:
            run = RunInfo.read(folder)
        except InputError:
            continue
        if run.images and len(_finished(folder, run)) < len(run.cells):
            return folder
    raise InputError(f"no run in {store.runs} was interrupted", "Start one: galaxy verify --matrix all")


def require_resumable(store: Store, folder: Path) -> RunInfo:
    """The run in a folder; InputError unless cells are left, and checks, scenarios and images are as when it began."""
    run = RunInfo.read(folder)
    hint = f"Start a new one: galaxy verify --matrix {run.matrix}"
    if not run.images:
        raise InputError(f"the run in {folder} is not one of a matrix", "Start it again.")
    if len(_finished(folder, run)) == len(run.cells):
        raise InputError(f"the run in {folder} has ended", hint)
    if (run.galaxy, run.suite) != (__version__, suite_digest()):
        raise InputError(f"the checks have changed since the run in {folder} began", hint)
    there = {image.id for image in Catalogue(store=store).images()}
    for image in run.images:
        if image.id not in there:
            raise InputError(f"the image {image.ref} ({image.id[:12]}) of the run in {folder} is gone", hint)
    return run


def reopen(store: Store, folder: Path) -> RunInfo:
    """Make an interrupted run's folder ready to go on; InputError when it cannot.

    Of its unfinished cells only what has failed stays, with its evidence.
    """
    run = require_resumable(store, folder)
    done = _finished(folder, run)
    items = list(items_on_disk(folder))
    failed = [item for item in items if item.cell not in done and item.outcome is Outcome.FAILED]
    write_results(folder, (item for item in items if item.cell in done), FINISHED_FILE)
    write_results(folder, failed, FAILED_FILE)
    for name in (RESULTS_FILE, PLAN_FILE, "summary.json", "junit.xml"):
        (folder / name).unlink(missing_ok=True)
    for cell in run.cells.keys() - {item.cell for item in failed}:
        if cell not in done:
            shutil.rmtree(folder / "failures" / cell, ignore_errors=True)
            shutil.rmtree(folder / "evidence" / cell, ignore_errors=True)
    return run


def gather(folder: Path, items: Sequence[ItemResult]) -> None:
    """Write a run's items, those of earlier sessions among them, as its results.jsonl, which holds all from here on."""
    write_results(folder, items)
    for name in (FINISHED_FILE, FAILED_FILE):
        (folder / name).unlink(missing_ok=True)


def _finished(folder: Path, run: RunInfo) -> frozenset[str]:
    """The cells of which every item has ended: in an earlier session, or by the last one's plan."""
    file = folder / PLAN_FILE
    plan = json.loads(file.read_text(encoding="utf-8")).values() if file.exists() else ()
    if not plan:
        return frozenset(item.cell for item in finished_items(folder))
    items = (*finished_items(folder), *_of_this_session(folder))
    ended = {(item.cell, item.checkpoint, item.id) for item in items if item.message != NEVER_RAN}
    begun = {told["cell"] for told in plan if (told["cell"], told["checkpoint"], told["id"]) not in ended}
    return frozenset(run.cells) - begun


def has_results(folder: Path) -> bool:
    """Whether anything has ended in this run, in one of its sessions; it may be half a line."""
    file = folder / RESULTS_FILE
    return (file.exists() and file.stat().st_size > 0) or bool(finished_items(folder))


def items_on_disk(folder: Path) -> Iterator[ItemResult]:
    """All items of a run, those of earlier sessions first; one may be there twice, and the first counts."""
    yield from finished_items(folder)
    failed = folder / FAILED_FILE
    yield from read_results(failed) if failed.exists() else ()
    yield from _of_this_session(folder)


def _of_this_session(folder: Path) -> Iterator[ItemResult]:
    """The last line may be half written when the run was killed, or the disk is full, and counts for nothing."""
    file = folder / RESULTS_FILE
    lines = lines_of(file) if file.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            yield ItemResult.from_line(line)
        except ValueError as error:
            if number < len(lines):
                why = f"{file}, line {number}: {error}"
                raise InputError(why, "Start a new run: galaxy verify --matrix all") from None

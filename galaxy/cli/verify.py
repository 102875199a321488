"""galaxy verify: make what is missing, run the cells, finish the run, judge, certify."""

import shutil
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from galaxy.cli.render import ready_store, table
from galaxy.gate.finish import finish, planned
from galaxy.gate.launch import Launch, run_matrix
from galaxy.gate.policy import Policy, load_policy
from galaxy.gate.results import RESULTS_FILE, Outcome, read_results
from galaxy.gate.run import RunInfo, refs_of
from galaxy.gate.stock import stock_images
from galaxy.gate.summary import Summary
from galaxy.gate.table import HEADERS, area_rows, trouble_lines, verdict_lines
from galaxy.host.errors import GateError, InputError
from galaxy.host.journal import recover
from galaxy.host.progress import say
from galaxy.host.settings import load_settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue


def verify(
    matrix: Annotated[str, typer.Option(help="quick, all, or a TOML file of cells.")],
    image: Annotated[
        list[str] | None, typer.Option(metavar="REF", help="Only this image (repeat it).")
    ] = None,
    workers: Annotated[int | None, typer.Option("-n", min=1, max=64, help="How many at once.")] = None,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only checks that match.")] = "",
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Where results go.")] = None,
    policy_file: Annotated[
        Path | None, typer.Option("--policy", metavar="FILE", help="Judge by this.")
    ] = None,
) -> None:
    """Check images through the cells of a matrix, judge them, and certify those that pass the policy.

    `quick` makes images of Debian's Samba when there are none. Ends with 0 when nothing failed.
    """
    began = time.monotonic()
    store, policy = ready_store("Verifying"), load_policy(policy_file)
    images = _images(store, matrix, image or [])
    folder = _run_folder(store, report)
    say(f"verifying {', '.join(ref for ref, _ in images)}; results go to {folder}")
    launch = Launch(matrix=matrix, images=[id_ for _, id_ in images], workers=workers, selection=select)
    try:
        run_matrix(store, folder, launch, print_line)
    finally:
        # Workers that were killed have left servers and networks; what they knew is kept.
        for line in recover(store):
            say(line)
        if planned(folder):
            summary = finish(folder, policy, seconds=time.monotonic() - began)
        else:
            shutil.rmtree(folder)
    _show(folder, summary)
    _certify(store, folder, summary, policy)
    if not summary.passed:
        bad = summary.counts[Outcome.FAILED] + summary.counts[Outcome.BLOCKED]
        raise GateError(f"the gate failed: {bad} items failed or were blocked", f"Details are in {folder}")


def print_line(line: str) -> None:
    """A line of progress, at once."""
    print(line, flush=True)


def _images(store: Store, matrix: str, refs: list[str]) -> list[tuple[str, str]]:
    """The images to verify, as (ref, id); InputError when one is unknown or there are none."""
    catalogue = Catalogue(store=store)
    if refs:
        found = tuple(catalogue.resolve(ref) for ref in refs)
    elif matrix == "quick":
        found = stock_images(store, load_settings())
    else:
        found = catalogue.images()
    if not found:
        raise InputError("the store has no images", "Make one: galaxy build VERSION, or use --matrix quick.")
    return [(one.ref, one.id) for one in {one.ref: one for one in reversed(found)}.values()][::-1]


def _run_folder(store: Store, report: Path | None) -> Path:
    """The run's folder, new or empty; InputError when something is in it."""
    name = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder = (report or store.runs / name).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        used = any(folder.iterdir())
    except OSError as error:
        raise InputError(
            f"cannot write results to {folder}: {error.strerror}", "Name another folder."
        ) from None
    if used:
        raise InputError(f"{folder} is not empty", "Name a new folder for the results.")
    return folder


def _show(folder: Path, summary: Summary) -> None:
    run, items = RunInfo.read(folder), read_results(folder / RESULTS_FILE)
    print()
    table(HEADERS, list(area_rows(run, items)))
    print()
    for line in (*trouble_lines(items), *verdict_lines(summary)):
        print(line)
    share = summary.figures.get("overhead_share")
    if share is not None:
        print(f"{summary.seconds:.0f} s; {share:.1%} of the workers' time was neither Samba nor a check")
    print(f"results: {folder}")


def _certify(store: Store, folder: Path, summary: Summary, policy: Policy) -> None:
    """Sign for every image that passed; a full run that failed an image takes back what an earlier one gave."""
    from galaxy.gate.certificate import certify, withdraw  # noqa: PLC0415 - 0.1 s that the start can do without

    for ref, verdict in summary.verdicts.items():
        if verdict.passed:
            print(f"certificate: {certify(store, folder, ref, policy)}")
        elif _failed(summary, ref) and withdraw(store, verdict.image_id):
            print(f"the certificate of {ref} was withdrawn")


def _failed(summary: Summary, ref: str) -> bool:
    """Whether a check or step of the image failed in this run."""
    return any(cell.counts[Outcome.FAILED] for name, cell in summary.cells.items() if ref in refs_of(name))

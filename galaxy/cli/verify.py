"""galaxy verify: check images through a matrix, a server of Galaxy's, or any domain controller."""

import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from galaxy.cli.render import ready_store, table
from galaxy.gate.finish import finish
from galaxy.gate.launch import Launch, Probe, run_matrix, run_target
from galaxy.gate.policy import Policy, load_policy
from galaxy.gate.probe import describe, write_target
from galaxy.gate.results import RESULTS_FILE, Outcome, read_results
from galaxy.gate.run import RUN_FILE, RunInfo, refs_of
from galaxy.gate.stock import stock_images
from galaxy.gate.summary import Summary
from galaxy.gate.table import HEADERS, area_rows, trouble_lines, verdict_lines
from galaxy.gate.verdict import remember
from galaxy.host.errors import GateError, InputError
from galaxy.host.journal import recover
from galaxy.host.progress import say
from galaxy.host.settings import load_settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue
from galaxy.server.config import load

# The matrices that have a name.
MATRICES = ("quick", "all")


class Tier(StrEnum):
    """How much is checked: smoke is part of standard, standard of full."""

    SMOKE = "smoke"
    STANDARD = "standard"
    FULL = "full"


def verify(  # noqa: PLR0917 - typer hands over every option by name
    matrix: Annotated[str | None, typer.Option(help="quick, all, or a TOML file of cells.")] = None,
    image: Annotated[
        list[str] | None, typer.Option(metavar="REF", help="Only this image (repeat it).")
    ] = None,
    target: Annotated[Path | None, typer.Option(metavar="FILE", help="Check the DC of this file.")] = None,
    server: Annotated[str | None, typer.Option(metavar="NAME", help="Check this running server.")] = None,
    tier: Annotated[Tier | None, typer.Option(help="With --server (smoke) or --target (full).")] = None,
    workers: Annotated[int | None, typer.Option("-n", min=1, max=64, help="How many cells at once.")] = None,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only checks that match.")] = "",
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the results go.")] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Judge by this policy, not by production.")
    ] = None,
) -> None:
    """Check Samba by real clients, and say what may ship.

    With --matrix, images go through all cells (`quick` makes images of Debian's Samba when there are none),
    are judged, and those that pass the policy are certified. Ends with 0 when nothing failed or was
    blocked.
    """
    began = time.monotonic()
    if sum(value is not None for value in (matrix, target, server)) != 1:
        raise InputError("one of --matrix, --server and --target must be given", "As in: --matrix quick")
    _require_files(matrix, target)
    store, rules = ready_store("Verifying"), load_policy(policy)
    if matrix is not None:
        if tier is not None:
            raise InputError("--tier goes with --server or --target", "A matrix always runs all checks.")
        images = _images(store, matrix, image or [])
        folder = _run_folder(store, report)
        say(f"verifying {', '.join(ref for ref, _ in images)}; results go to {folder}")
        launch = Launch(matrix=matrix, images=[id_ for _, id_ in images], workers=workers, selection=select)
        summary = _run(store, folder, rules, began, lambda: run_matrix(store, folder, launch, _print_line))
    else:
        if image or workers:
            raise InputError("--image and -n go with --matrix", "Leave them out.")
        folder = _run_folder(store, report)
        summary = _run(
            store, folder, rules, began, lambda: _probe(store, folder, target, server, tier, select)
        )
    _show(folder, summary)
    _certify(store, folder, summary, rules)
    if not summary.passed:
        bad = summary.counts[Outcome.FAILED] + summary.counts[Outcome.BLOCKED]
        raise GateError(f"the gate failed: {bad} items failed or were blocked", f"Details are in {folder}")


def _require_files(matrix: str | None, target: Path | None) -> None:
    """InputError, before anything is made, when what shall be read is not there."""
    if matrix not in {None, *MATRICES} and not Path(str(matrix)).is_file():
        raise InputError(
            f"there is no matrix and no file {matrix}", "Give quick, all, or a matrix's TOML file."
        )
    if target is not None and not target.is_file():
        raise InputError(
            f"there is no file {target}", "Give the TOML file of a domain controller; see docs/targets.md."
        )


def _print_line(line: str) -> None:
    print(line, flush=True)


def _probe(
    store: Store, folder: Path, target: Path | None, server: str | None, tier: Tier | None, select: str
) -> None:
    """Check one domain controller; the target file that is written for a server goes with the run."""
    if target is not None:
        file, usual = target.absolute(), Tier.FULL
    else:
        file, usual = write_target(load(store, str(server)), folder), Tier.SMOKE
    describe(folder, str(server or target), select)
    run_target(store, folder, Probe(file=file, tier=(tier or usual).value, selection=select), _print_line)


def _run(store: Store, folder: Path, policy: Policy, began: float, go: Callable[[], None]) -> Summary:
    """Run, and finish the run's folder whatever happens; a run that never began leaves none."""
    try:
        go()
    finally:
        # Workers that were killed have left servers and networks; what they found out is kept.
        for line in recover(store):
            say(line)
        if (folder / RUN_FILE).exists() and _has_results(folder):
            summary = finish(folder, policy, seconds=time.monotonic() - began)
        else:
            shutil.rmtree(folder)
    return summary


def _has_results(folder: Path) -> bool:
    file = folder / RESULTS_FILE
    return file.exists() and file.stat().st_size > 0


def _images(store: Store, matrix: str, refs: list[str]) -> list[tuple[str, str]]:
    """The images to verify, as (ref, id), of several with one ref the newest; InputError when there are none."""
    catalogue = Catalogue(store=store)
    if refs:
        found = tuple(catalogue.resolve(ref) for ref in refs)
    elif matrix == "quick":
        found = stock_images(store, load_settings())
    else:
        found = tuple(catalogue.resolve(ref) for ref in dict.fromkeys(one.ref for one in catalogue.images()))
    if not found:
        raise InputError("the store has no images", "Make one: galaxy build VERSION, or use --matrix quick.")
    return list({one.ref: (one.ref, one.id) for one in found}.values())


def _run_folder(store: Store, report: Path | None) -> Path:
    """The run's folder, new or empty; InputError when something is in it."""
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


def _show(folder: Path, summary: Summary) -> None:
    run, items = RunInfo.read(folder), read_results(folder / RESULTS_FILE)
    print()
    table(HEADERS, list(area_rows(run, items)))
    print()
    for line in (*trouble_lines(items), *verdict_lines(summary)):
        print(line)
    share = summary.figures.get("overhead_share")
    spent = f"; {share:.1%} of the workers' time was neither Samba nor a check" if share is not None else ""
    print(f"{summary.seconds:.0f} s{spent}")
    print(f"results: {folder}", flush=True)


def _certify(store: Store, folder: Path, summary: Summary, policy: Policy) -> None:
    """Sign for every image that passed; a run that failed an image takes back what an earlier one gave."""
    from galaxy.gate.certificate import certify, withdraw  # noqa: PLC0415 - 0.1 s that the start can do without

    for ref, verdict in summary.verdicts.items():
        if verdict.passed:
            print(f"certificate: {certify(store, folder, ref, policy)}", flush=True)
        elif _failed(summary, ref) and withdraw(store, verdict.image_id):
            print(f"the certificate of {ref} was withdrawn: checks failed", flush=True)
    remember(store, summary)


def _failed(summary: Summary, ref: str) -> bool:
    """Whether a check or step of the image failed in this run."""
    return any(cell.counts[Outcome.FAILED] for name, cell in summary.cells.items() if ref in refs_of(name))

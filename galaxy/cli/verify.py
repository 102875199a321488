"""galaxy verify: check images through a matrix, a server of Galaxy's, or any domain controller."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from galaxy.cli.render import ready_store
from galaxy.cli.runs import conclude, run_folder, run_to_end
from galaxy.gate.launch import Launch, Probe, run_matrix, run_target
from galaxy.gate.policy import Policy, load_policy
from galaxy.gate.probe import describe, write_target
from galaxy.gate.resume import newest_unfinished, reopen, require_resumable
from galaxy.gate.run import shard_numbers
from galaxy.gate.stock import stock_images
from galaxy.gate.summary import Summary
from galaxy.host.errors import InputError
from galaxy.host.progress import say
from galaxy.host.settings import load_settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue
from galaxy.server.config import load
from galaxy.upgrade.tier import password_is_good

# The matrices that have a name.
MATRICES = ("quick", "all")


class Tier(StrEnum):
    """How much is checked: smoke is part of standard, standard of full."""

    SMOKE = "smoke"
    STANDARD = "standard"
    FULL = "full"


def verify(  # noqa: PLR0917 - typer hands over every option by name
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="With --resume: the run's folder.", show_default=False),
    ] = None,
    matrix: Annotated[str | None, typer.Option(help="quick, all, or a TOML file of cells.")] = None,
    image: Annotated[
        list[str] | None, typer.Option(metavar="REF", help="Only this image (repeat it).")
    ] = None,
    target: Annotated[Path | None, typer.Option(metavar="FILE", help="Check the DC of this file.")] = None,
    server: Annotated[str | None, typer.Option(metavar="NAME", help="Check this running server.")] = None,
    tier: Annotated[Tier | None, typer.Option(help="With --server (smoke) or --target (full).")] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            "-n", min=1, max=64, help="How many cells at once; by default what cores and memory allow."
        ),
    ] = None,
    select: Annotated[str, typer.Option("-k", metavar="EXPR", help="Only checks that match.")] = "",
    shard: Annotated[
        str, typer.Option(metavar="K/N", help="Only this part of the matrix's cells, as in 1/3.")
    ] = "",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted run: RUN, or the newest.")
    ] = False,
    report: Annotated[Path | None, typer.Option(metavar="DIR", help="Where the results go.")] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Judge by this policy, not by production.")
    ] = None,
) -> None:
    """Check Samba by real clients, and say what may ship.

    With --matrix, images go through all cells (`quick` makes images of Debian's Samba when there are none),
    are judged, and those that pass the policy are certified. A shard certifies nothing by itself: `galaxy report
    --merge` joins the shards of all machines. --resume repeats no cell that was finished. Ends with 0 when nothing
    failed or was blocked and, with --policy, each image satisfies it.
    """
    kinds = sum(value is not None for value in (matrix, target, server, resume or None))
    if kinds != 1:
        some = "only one" if kinds else "one"
        raise InputError(
            f"{some} of --matrix, --resume, --server and --target must be given", "As in: --matrix quick"
        )
    if run is not None and not resume:
        raise InputError(f"{str(run)!r} is one word too many", "A run's folder goes with --resume.")
    if tier is not None and (matrix is not None or resume):
        raise InputError("--tier goes with --server or --target", "A matrix always runs all checks.")
    _require_files(matrix, target)
    if shard:
        shard_numbers(shard)
    store, rules = ready_store("Verifying"), load_policy(policy)
    if resume:
        _refuse(image=image, k=select, shard=shard, report=report)
        folder = run.absolute() if run is not None else newest_unfinished(store)
        summary = _resumed(store, folder, rules, workers)
    elif matrix is not None:
        images = _images(store, matrix, image or [])
        folder = run_folder(store, report)
        say(f"verifying {', '.join(ref for ref, _ in images)}; results go to {folder}")
        launch = Launch(
            matrix=matrix, images=[id_ for _, id_ in images], workers=workers, selection=select, shard=shard
        )
        summary = run_to_end(store, folder, rules, lambda: run_matrix(store, folder, launch, _print_line))
    else:
        if image or workers or shard or policy:
            raise InputError("--image, --shard, --policy and -n go with --matrix", "Leave them out.")
        folder = run_folder(store, report)
        summary = run_to_end(
            store, folder, rules, lambda: _probe(store, folder, target, server, tier, select)
        )
    conclude(store, folder, summary, rules, named=policy is not None)


def _refuse(**options: object) -> None:
    """InputError for what a resumed run has in its folder already."""
    given = [f"--{name}" if len(name) > 1 else f"-{name}" for name, value in options.items() if value]
    if given:
        raise InputError(
            f"{given[0]} does not go with --resume", "A run goes on with what it began with; leave it out."
        )


def _resumed(store: Store, folder: Path, policy: Policy, workers: int | None) -> Summary:
    """Go on with a run; until it is known that it can be, nothing in its folder is touched."""

    def go() -> None:
        before = reopen(store, folder)
        launch = Launch(
            matrix=before.matrix, images=(), workers=workers, selection=before.selection, resume=True
        )
        run_matrix(store, folder, launch, _print_line)

    require_resumable(store, folder)
    say(f"going on with the run in {folder}")
    return run_to_end(store, folder, policy, go, resumed=True)


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
        own = load(store, str(server))
        file, usual = write_target(own, folder), Tier.SMOKE
        if not password_is_good(own):
            kept = own.secrets / "admin-password"
            say(
                f"no ticket for Administrator with the password in {kept}: if it was changed, put the new one there; "
                "if not, the checks say what is wrong"
            )
    describe(folder, str(server or target), select)
    run_target(store, folder, Probe(file=file, tier=(tier or usual).value, selection=select), _print_line)


def _images(store: Store, matrix: str, refs: list[str]) -> list[tuple[str, str]]:
    """The images to verify, as (ref, id), of several with one ref the newest; InputError when there are none."""
    catalogue = Catalogue(store=store)
    for one in catalogue.damaged():
        say(f"warning: {one.path.name[:12]} is left out: {one.error.message}")
    if refs:
        found = tuple(catalogue.resolve(ref) for ref in refs)
        if len({one.ref for one in found}) < len({one.id for one in found}):
            raise InputError(
                "two of the images have one reference, and a run is about one image each", "Name one of them."
            )
    elif matrix == "quick":
        found = stock_images(store, load_settings())
    else:
        found = tuple(catalogue.resolve(ref) for ref in dict.fromkeys(one.ref for one in catalogue.images()))
    if not found:
        raise InputError("the store has no images", "Make one: galaxy build VERSION, or use --matrix quick.")
    return list({one.ref: (one.ref, one.id) for one in found}.values())

"""galaxy report: what a finished run found; shards joined to the run that they are the parts of; a run judged again."""

import shutil
from pathlib import Path
from typing import Annotated

import typer

from galaxy.cli.render import ready_store
from galaxy.cli.runs import conclude, require_passed, run_folder, show, take_back
from galaxy.gate.finish import read_summary
from galaxy.gate.merge import merge
from galaxy.gate.policy import load_policy
from galaxy.gate.run import RunInfo
from galaxy.host.errors import InputError


def report(
    folders: Annotated[list[Path], typer.Argument(metavar="DIR", help="Folders of finished runs.")],
    merge_: Annotated[
        bool,
        typer.Option(
            "--merge", help="Join all shards of one matrix (or take a whole run), judge and certify."
        ),
    ] = False,
    into: Annotated[
        Path | None, typer.Option("--report", metavar="DIR", help="Where the joined results go.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Judge by this policy, not by production.")
    ] = None,
) -> None:
    """Show what a finished run found; with --merge, make one run of all shards (verify --shard) of a matrix.

    A merged run is judged and certified as one that was never split. Ends with 0 when nothing failed or was
    blocked and, with --policy, each image satisfies it.
    """
    if not merge_:
        _show_one(folders, asked=into or policy)
        return
    store, rules = ready_store("Certifying"), load_policy(policy)
    folder = run_folder(store, into)
    try:
        summary = merge([path.absolute() for path in folders], folder, rules)
    except BaseException:
        shutil.rmtree(folder)
        raise
    # A whole run has done so when it ended, and later ones may have passed since.
    if len(folders) > 1 or RunInfo.read(folders[0]).shard is not None:
        take_back(store, summary, rules)
    conclude(store, folder, summary, rules, named=policy is not None)


def _show_one(folders: list[Path], asked: Path | None) -> None:
    if asked is not None:
        raise InputError("--report and --policy go with --merge", "Leave them out.")
    if len(folders) != 1:
        raise InputError(f"{len(folders)} runs were named", "Name one run's folder, or give --merge.")
    summary = read_summary(folders[0])
    show(folders[0], summary)
    require_passed(folders[0], summary)

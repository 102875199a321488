"""galaxy rollback."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from galaxy.cli.render import found_store, need_root, print_json, ready_store, table
from galaxy.host.files import read_password
from galaxy.host.progress import say
from galaxy.host.settings import load_settings
from galaxy.upgrade.aftermath import require_good
from galaxy.upgrade.rollback import RollbackPlan, RollbackReport, RollbackRequest, planned
from galaxy.upgrade.rollback import rollback as go_back
from galaxy.upgrade.ways import Offer, Way


def rollback(  # noqa: PLR0917 - typer hands over every option by name
    name: Annotated[str, typer.Argument(help="The server's name.")],
    way: Annotated[
        Way | None,
        typer.Option(
            help="snapshot: the state of before the upgrade, for a domain's only DC; downgrade: the data of now, in "
            "place; rejoin: leave the domain and join it again, from another DC's data. By default one that loses "
            "nothing, if there is no choice to make."
        ),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option(metavar="SNAPSHOT", help="Go back to this snapshot, as in: galaxy snapshots NAME."),
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Say what could be done, and do nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Lose what is listed.")] = False,
    dc: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="For a rejoin: another DC of the domain.")
    ] = None,
    admin_user: Annotated[
        str, typer.Option(help="For a rejoin: who may remove and add DCs.")
    ] = "Administrator",
    admin_password_file: Annotated[
        Path | None, typer.Option(help="For a rejoin: that user's password.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move a server back to the Samba version of before its last upgrade, and check it.

    Lists the ways that are safe, and what each would lose. Nothing is lost without --yes (or a yes on a terminal).
    """
    request = RollbackRequest(
        name=name, way=way, to=to, dc=dc, user=admin_user, password=_password(admin_password_file)
    )
    if plan:
        need_root("Planning a rollback")
        found = planned(found_store(), request)
        if as_json:
            print_json(asdict(found))
        else:
            _show_plan(found)
        return
    report = go_back(
        ready_store("Rolling a server back", name),
        load_settings(),
        request,
        show=lambda found: _tell(found, as_json=as_json, agreed=yes),
        confirm=lambda offer: yes or _asked(offer),
    )
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _show(report)
    require_good(report.after, report.server, report.target)


def _password(file: Path | None) -> str | None:
    return None if file is None else read_password(file)


def _tell(plan: RollbackPlan, *, as_json: bool, agreed: bool) -> None:
    """Before anything is done: what will be, or why nothing can be chosen. With --json only what is then refused."""
    if plan.way is None or (as_json and plan.offer(plan.way).loses and not agreed):
        if as_json:
            print_json(asdict(plan))
        else:
            _show_plan(plan)
    elif not as_json:
        offer = plan.offer(plan.way)
        if offer.loses:
            print(f"{plan.server}: going back to {offer.what} loses:")
        for line in (*offer.loses, *(f"note: {note}" for note in offer.notes)):
            print(f"  {line}", flush=True)


def _asked(offer: Offer) -> bool:
    """A yes on a terminal; elsewhere nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    say(f"Lose what is listed, by the way {offer.way}? Type yes:")
    return sys.stdin.readline().strip().lower() == "yes"


def _show_plan(plan: RollbackPlan) -> None:
    state = "running" if plan.sound else "running, and not well" if plan.running else "stopped"
    target = plan.target.ref if plan.target else "an image that is not there"
    print(f"{plan.server} ({state}): {plan.source.ref} -> {target}")
    for offer in plan.offers:
        _show_offer(offer)
    if plan.way is not None and plan.offer(plan.way).open:
        print(f"would go by {plan.way}:")
        steps = plan.offer(plan.way).steps
        table(
            ("STEP", "WHY", "CLIENTS SEE"),
            [(step.name, step.reason, step.seen or "nothing") for step in steps],
        )
        if not plan.running:
            print(
                f"{plan.server} will run afterwards: a way back ends with the old version started and checked"
            )


def _show_offer(offer: Offer) -> None:
    print(f"--way {offer.way}: {offer.what}")
    if not offer.open:
        print(f"  closed: {offer.refused}")
        return
    loses: tuple[Any, ...] = offer.loses or ("nothing",)
    print(f"  loses: {loses[0]}")
    for line in loses[1:]:
        print(f"         {line}")
    for title, lines in (("note", offer.notes), ("needs", offer.needs)):
        for line in lines:
            print(f"  {title}: {line}")


def _show(report: RollbackReport) -> None:
    print(f"{report.server}: {report.source} -> {report.target}, by {report.way}")
    if (switched := report.switch) is not None:
        print(f"  {switched}")
    if report.kept:
        print(f"  the state of before is the snapshot {report.kept}")
    if report.after.checks is not None:
        print(f"  {report.after.checks.passed} checks passed with clients at work")

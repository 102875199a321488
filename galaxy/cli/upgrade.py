"""galaxy upgrade."""

from dataclasses import asdict
from typing import Annotated

import typer

from galaxy.cli.render import found_store, need_root, print_json, ready_store, size, table
from galaxy.host.settings import load_settings
from galaxy.host.wording import first_of
from galaxy.upgrade.aftermath import require_good
from galaxy.upgrade.plan import UpgradePlan, UpgradeRequest
from galaxy.upgrade.upgrade import UpgradeReport, planned
from galaxy.upgrade.upgrade import upgrade as move


def upgrade(
    name: Annotated[str, typer.Argument(help="The server's name.")],
    ref: Annotated[str, typer.Argument(metavar="REF", help="The image to move to, as in: galaxy image ls.")],
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done, and do nothing.")] = False,
    no_rehearsal: Annotated[
        bool, typer.Option("--no-rehearsal", help="Do not try the new version on a copy first.")
    ] = False,
    allow_uncertified: Annotated[
        bool, typer.Option("--allow-uncertified", help="Take an image without a valid certificate.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move a server to another Samba version, in about a second, after a rehearsal on a copy of its data.

    If anything is wrong before the commit point, the old version runs again with its old state.
    """
    request = UpgradeRequest(
        name=name, ref=ref, rehearsal=not no_rehearsal, allow_uncertified=allow_uncertified
    )
    if plan:
        need_root("Planning an upgrade")
        _show_plan(planned(found_store(), request), as_json=as_json)
        return
    store = ready_store("Upgrading a server", name)
    report = move(store, load_settings(), request)
    if as_json:
        print_json(report.model_dump(mode="json"))
    else:
        _show(report)
    if report.after is not None:
        require_good(report.after, name, report.target, f"To go back: galaxy rollback {name}")


def _show_plan(plan: UpgradePlan, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(plan))
        return
    state = "running" if plan.running else "stopped"
    print(
        f"{plan.server} ({state}): {plan.source.ref} -> {plan.target.ref}, at most {size(plan.need)} for copies"
    )
    table(
        ("STEP", "WHY", "CLIENTS SEE"),
        [(step.name, step.reason, step.seen or "nothing") for step in plan.steps],
    )
    for notice in plan.notices:
        print(f"to know: {notice}")


def _show_old(before: tuple[str, ...], source: str) -> None:
    """What is no reason to stay, and still one to look at."""
    if before:
        print(f"  {len(before)} fail, with {source} too: {first_of(before, 3, '; ')}")


def _show(report: UpgradeReport) -> None:
    if report.rehearsal is not None:
        seen = report.rehearsal
        print(
            f"rehearsed in {seen.seconds:.0f} s: {seen.objects} objects and {seen.files} files kept "
            f"({seen.expected} expected changes), {seen.checks.passed} checks passed; "
            f"writers waited {seen.pause_ms:.0f} ms"
        )
        _show_old(seen.checks.before, report.source)
    switched = report.switch
    print(f"{report.server}: {report.source} -> {report.target}")
    if report.after is not None:
        print(f"  {switched}")
        if report.after.checks is not None:
            print(f"  {report.after.checks.passed} checks passed with clients at work")
            _show_old(report.after.checks.before, report.source)
    else:
        print(f"  it was stopped and stays so; to start it: galaxy start {report.server}")
    for notice in report.notices:
        print(f"  to know: {notice}")
    print(f"  to go back: galaxy rollback {report.server} (snapshot {switched.snapshot})")

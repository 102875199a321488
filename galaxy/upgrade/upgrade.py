"""The Upgrade walk: a server moves to another version, or nothing has happened."""

from contextlib import AbstractContextManager, nullcontext

from pydantic import BaseModel, ConfigDict

from galaxy.host.errors import GalaxyError
from galaxy.host.journal import journal
from galaxy.host.progress import say
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.server import lifecycle
from galaxy.server.config import Server, load
from galaxy.server.snapshot import prune
from galaxy.upgrade.aftermath import Aftermath, look_after
from galaxy.upgrade.plan import UpgradePlan, UpgradeRequest
from galaxy.upgrade.preflight import preflight, require_well
from galaxy.upgrade.rehearsal import Rehearsal, rehearse
from galaxy.upgrade.switch import Switched, switch


class UpgradeReport(BaseModel):
    """What an upgrade did and measured; `after` is None for a server that was stopped and stays so.

    `notices` are the plan's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: str
    source: str
    target: str
    rehearsal: Rehearsal | None
    switch: Switched
    after: Aftermath | None
    notices: tuple[str, ...] = ()


def upgrade(
    store: Store,
    settings: Settings,
    request: UpgradeRequest,
    *,
    watching: AbstractContextManager[object] | None = None,
) -> UpgradeReport:
    """Move a server to another image: rehearse on a copy, switch, commit, look once more.

    Raises what preflight, the rehearsal or the switch found; then the old version runs as before. After the commit
    point nothing goes back by itself: `after` says what the smoke tier thinks of the new version. `watching` is
    entered for the switch alone: whoever measures its outage would slow down all else.
    """
    server = load(store, request.name)
    with lifecycle.held(server):
        plan = preflight(server, request)
        if plan.running:
            require_well(server)
        for notice in plan.notices:
            say(f"to know before: {notice}")
        with journal(store, "upgrade", server.name) as entry:
            rehearsal = rehearse(entry, server, plan, settings) if plan.rehearsal else None
            with watching or nullcontext():
                switched = switch(entry, server, plan, settings)
        moved = load(store, request.name)
        known = rehearsal.checks.before if rehearsal is not None else ()
        after = look_after(moved, known) if plan.running else None
        _prune(moved, settings)
    return UpgradeReport(
        server=plan.server,
        source=plan.source.ref,
        target=plan.target.ref,
        rehearsal=rehearsal,
        switch=switched,
        after=after,
        notices=plan.notices,
    )


def _prune(server: Server, settings: Settings) -> None:
    """Old snapshots go; the server has been moved, whether they can or not."""
    try:
        prune(server, settings.snapshots.keep, settings.snapshots.days)
    except (GalaxyError, OSError) as error:
        say(f"old snapshots of {server.name} were not removed: {error}")


def planned(store: Store, request: UpgradeRequest) -> UpgradePlan:
    """What `upgrade` would do, or why it would not; writes nothing."""
    server = load(store, request.name)
    lifecycle.require_settled(server)
    return preflight(server, request)

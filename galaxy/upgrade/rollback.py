"""The way back after the commit point: see which ways are safe and what each loses, go one, check the old version.

Going back by snapshot or downgrade is a switch of versions like an upgrade: new connections wait, the present state is
kept first, and an error or a killed command ends with the newer version and that state, or past the commit point
with the older one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from pydantic import BaseModel, ConfigDict

from galaxy.host.errors import GalaxyError, InputError, PolicyError, ServerError
from galaxy.host.files import write_atomic
from galaxy.host.journal import LOOK, Entry, journal
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import SHORT
from galaxy.image.mount import verify_digest
from galaxy.server import lifecycle, names
from galaxy.server.config import Server, load
from galaxy.server.copying import alike, freshen
from galaxy.server.history import last_upgrade
from galaxy.server.kept import Snapshot, find_snapshot
from galaxy.server.ready import answers
from galaxy.server.rootfs import image_of, rootfs_of
from galaxy.server.script import PYTHON
from galaxy.server.smbconf import smb_conf_text
from galaxy.upgrade.aftermath import Aftermath, look_after
from galaxy.upgrade.changes import Changes
from galaxy.upgrade.consult import ConfigurationError, run_inside
from galaxy.upgrade.numbers import go_on_after, numbers_of
from galaxy.upgrade.partners import require_no_partners
from galaxy.upgrade.plan import ImageChoice, UpgradePlan
from galaxy.upgrade.preflight import require_tried
from galaxy.upgrade.rejoin import RejoinRequest, rejoin
from galaxy.upgrade.since import compare_now, image_by_id, require_no_more, state_then, usn_in_common
from galaxy.upgrade.smoke import is_well
from galaxy.upgrade.switch import Back, Switched, switch
from galaxy.upgrade.ways import Offer, Situation, Way, offers

_TOOL = "usr/sbin/samba_downgrade_db"
_DOWNGRADE_SECONDS = 1800.0
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    """What was asked for. `to`: a snapshot's id. `dc`, `user` and `password` are for a rejoin alone.

    InputError when a snapshot is named for a way that takes none, or a name is empty.
    """

    name: str
    way: Way | None = None
    to: str | None = None
    dc: str | None = None
    user: str = "Administrator"
    password: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        names.user_name(self.user)
        if self.to == "":
            raise InputError("--to names no snapshot", f"As in: galaxy snapshots {self.name}")
        if self.to and self.way not in {None, Way.SNAPSHOT}:
            raise InputError(
                f"--to {self.to} names a snapshot, and the way {self.way} goes back without one",
                "Give one of them.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackPlan:
    """What a rollback could do and what it will: `way` is None when nothing can be chosen without a person.

    `changes` are those since the snapshot, which had committed `usn`; None when they cannot be read.
    """

    server: str
    source: ImageChoice
    target: ImageChoice | None
    snapshot: str
    usn: int
    changes: Changes | None
    running: bool
    sound: bool
    offers: tuple[Offer, ...]
    way: Way | None

    def offer(self, way: Way) -> Offer:
        """The offer of a way."""
        return next(one for one in self.offers if one.way is way)


class RollbackReport(BaseModel):
    """What a rollback did; `kept` is the snapshot of the state that it left, `lost` what was given up."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    server: str
    way: Way
    source: str
    target: str
    kept: str
    lost: tuple[str, ...]
    switch: Switched | None
    after: Aftermath


Show = Callable[[RollbackPlan], None]
Confirm = Callable[[Offer], bool]


def rollback(
    store: Store, settings: Settings, request: RollbackRequest, *, show: Show, confirm: Confirm
) -> RollbackReport:
    """Move a server back to the version before. `show` gets the plan; `confirm` is asked when something would be lost.

    PolicyError, with nothing done, when no way is safe, none can be chosen, or the loss isn't confirmed. Any later
    error leaves the server as it was, running if it ran.
    """
    server = load(store, request.name)
    with lifecycle.held(server):
        with journal(store, "rollback", server.name) as entry:
            plan = plan_rollback(entry, server, request)
            show(plan)
            offer = require_way(plan, request)
            if plan.running and offer.way is not Way.SNAPSHOT:  # which has a smb.conf of its own
                require_tried(server)
            if offer.loses and not confirm(offer):
                raise PolicyError(
                    f"going back by {offer.way} would lose what is listed, and nobody has confirmed that",
                    f"Confirm it with --yes, or choose a way that loses nothing: galaxy rollback {server.name} --plan",
                )
            if offer.way is not Way.REJOIN:  # which delivers what only this server has, if it answers at all
                plan = replace(plan, sound=plan.sound and is_well(server))
            kept, switched = _go(entry, server, plan, offer, request, settings)
        # The journal is closed: an interruption may not undo what the server runs in by now.
        after = look_after(load(store, request.name))
    assert plan.target is not None
    return RollbackReport(
        server=server.name,
        way=offer.way,
        source=plan.source.ref,
        target=plan.target.ref,
        kept=kept,
        lost=offer.loses,
        switch=switched,
        after=after,
    )


def planned(store: Store, request: RollbackRequest) -> RollbackPlan:
    """What `rollback` could do and would choose; changes nothing of the server."""
    server = load(store, request.name)
    lifecycle.require_settled(server)
    with journal(store, LOOK, server.name) as entry:
        return plan_rollback(entry, server, request)


def plan_rollback(entry: Entry, server: Server, request: RollbackRequest) -> RollbackPlan:
    """Look at the server, its history and its database, and decide. InputError when there is nothing to go back to."""
    at = _situation(entry, server, request)
    found = offers(at)
    return RollbackPlan(
        server=server.name,
        source=at.source,
        target=at.target,
        snapshot=at.snapshot.id if at.snapshot else "",
        usn=at.usn,
        changes=at.changes,
        running=at.running,
        sound=at.sound,
        offers=found,
        way=_chosen(found, request),
    )


def require_way(plan: RollbackPlan, request: RollbackRequest) -> Offer:
    """The offer that will be gone. PolicyError when it is closed, or nothing can be chosen without a person."""
    if plan.way is None:
        named = ", ".join(f"--way {one.way}" for one in plan.offers if one.open)
        raise PolicyError(
            f"{plan.server} goes none of these ways back without a decision",
            f"Choose: {named}." if named else "Mend what is said of the ways above.",
        )
    offer = plan.offer(plan.way)
    if not offer.open:
        raise PolicyError(
            f"{plan.server} cannot go back by {plan.way}: {offer.refused}",
            f"What is open: galaxy rollback {plan.server} --plan",
        )
    if plan.way is Way.REJOIN and not (request.dc and request.password):
        raise InputError(
            "a rejoin needs another DC and the right to join", f"Give {' and '.join(offer.needs)}."
        )
    return offer


def _chosen(found: tuple[Offer, ...], request: RollbackRequest) -> Way | None:
    """The way that was asked for, or one that loses nothing: the snapshot, or the only one that is open."""
    if request.way is not None or request.to is not None:
        return request.way or Way.SNAPSHOT
    ways = [one for one in found if one.open]
    free = [one.way for one in ways if not (one.loses or one.needs)]
    if Way.SNAPSHOT in free:
        return Way.SNAPSHOT
    return free[0] if len(ways) == 1 and free else None


def _situation(entry: Entry, server: Server, request: RollbackRequest) -> Situation:
    present = image_of(server)
    record = last_upgrade(server)
    if record is None and request.to is None:
        raise InputError(
            f"{server.name} has not been upgraded to {present.ref} by Galaxy: there is nothing to go back to",
            f"To go to an older state: galaxy snapshots {server.name}, then galaxy rollback {server.name} --to ID",
        )
    snapshot, no_snapshot = _snapshot(
        server, request.to or (record.snapshot if record else ""), named=bool(request.to)
    )
    old_id = (
        snapshot.image_id if snapshot is not None and request.to else (record.from_image if record else "")
    )
    target, no_image = _target(server, old_id)
    try:
        then = state_then(entry, server, snapshot) if snapshot is not None else None
    except ServerError as error:
        if request.to:
            raise
        then, snapshot = None, None
        no_snapshot = f"the snapshot from before the upgrade cannot be used: {error.message}"
    usn = usn_in_common(entry, server, snapshot, then)
    directory, changes, unreadable = compare_now(entry, server, snapshot, then, usn)
    running = lifecycle.status(server).state == "running"
    return Situation(
        name=server.name,
        source=ImageChoice.of(present),
        target=target,
        why_not=no_image or no_snapshot,
        snapshot=snapshot,
        chosen=request.to is not None,
        directory=directory,
        then=then,
        unreadable=unreadable,
        changes=changes,
        usn=usn or 0,
        smb_conf=smb_conf_text(server),
        tool=(rootfs_of(server) / _TOOL).exists(),
        running=running,
        sound=running and not any(answers(server, _PATIENCE).values()),
    )


def _snapshot(server: Server, wanted: str, *, named: bool) -> tuple[Snapshot | None, str]:
    """The snapshot to go back to, or why it is not there; one that somebody named has to be."""
    try:
        return find_snapshot(server, wanted), ""
    except GalaxyError as error:
        if named:
            raise
        return None, f"the snapshot from before the upgrade cannot be used: {error.message}"


def _target(server: Server, image_id: str) -> tuple[ImageChoice | None, str]:
    """The image to go back to, its bytes checked; or why that can't be."""
    image = image_by_id(server, image_id)
    if image is None:
        return None, (
            f"the image that it would go back to ({image_id[:SHORT]}) is not in the store: import it again "
            "(galaxy image import), or build the same plan again: the id will be the same"
        )
    verify_digest(image)
    return ImageChoice.of(image), ""


def _go(
    entry: Entry,
    server: Server,
    plan: RollbackPlan,
    offer: Offer,
    request: RollbackRequest,
    settings: Settings,
) -> tuple[str, Switched | None]:
    """Go a way; returns the snapshot that keeps what was left, and the times of the switch."""
    assert plan.target is not None
    if offer.way is Way.REJOIN:
        assert request.dc is not None
        assert request.password is not None
        wanted = RejoinRequest(
            image_id=plan.target.id, dc=request.dc, user=request.user, password=request.password
        )
        rejoin(entry, server, wanted, settings, sound=plan.sound)
        return "", None
    back = (
        _restore(entry, server, plan, find_snapshot(server, plan.snapshot))
        if offer.way is Way.SNAPSHOT
        else _downgrade
    )
    done = switch(
        entry,
        server,
        _as_upgrade(plan, plan.target, offer),
        settings,
        convert=back,
        start=True,
        sound=plan.sound,
        back=Back(way=offer.way, restored=plan.snapshot if offer.way is Way.SNAPSHOT else ""),
    )
    return done.snapshot, done


def _as_upgrade(plan: RollbackPlan, target: ImageChoice, offer: Offer) -> UpgradePlan:
    return UpgradePlan(
        server=plan.server,
        source=plan.source,
        target=target,
        running=plan.running,
        rehearsal=False,
        need=0,
        steps=offer.steps,
    )


def _restore(
    entry: Entry, server: Server, plan: RollbackPlan, snapshot: Snapshot
) -> Callable[[Server], None]:
    """Make the stopped state equal to the snapshot's but for the numbers that were given since. The snapshot stays.

    PolicyError if more would be lost by now.

    What is the same in both is found out now, while the server runs: nobody waits for it then.
    """
    same = alike(snapshot.path, server.folder)

    def restore(stopped: Server) -> None:
        if plan.changes is not None:
            again = f"{server.name} goes on as before. Look again: galaxy rollback {server.name} --plan"
            require_no_more(entry, server, plan.changes, snapshot.path, again)
        else:
            _require_still_alone(server)
        now = numbers_of(stopped)
        freshen(snapshot.path, server.folder, {}, alike=same).sync()
        go_on_after(server.as_image(snapshot.image_id), now)

    return restore


def _require_still_alone(server: Server) -> None:
    """A DC may have joined since the plan; databases that cannot be read, the plan has judged by the snapshot's."""
    try:
        require_no_partners(server)
    except ConfigurationError:
        raise
    except ServerError:
        return


def _downgrade(server: Server) -> None:
    """Have the newer version write its databases in the format that any version reads; ServerError when it cannot."""
    if not (rootfs_of(server) / _TOOL).exists():
        return  # both versions have the same format: see ways.py
    done = run_inside(server, (PYTHON, f"/{_TOOL}"), _DOWNGRADE_SECONDS)
    write_atomic(server.log / "downgrade.log", done.output)
    if done.returncode != 0:
        lines = [line for line in done.output.strip().splitlines() if line.strip()]
        raise ServerError(
            f"samba_downgrade_db failed on {server.name}: {lines[-1] if lines else done.returncode}",
            f"Its output is in {server.log / 'downgrade.log'}; the server is as it was.",
        )

"""The way back after the commit point: the old version runs again, and only what somebody agreed to lose is gone.

Rollback: a domain's only DC, in place by the new version's downgrade, then by the snapshot. Rejoin: a DC with a
partner, for which the snapshot is refused. (Before the commit point: the scenario `failed`.)
"""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

from galaxy.host.errors import InputError, PolicyError
from galaxy.host.files import read_password
from galaxy.server.lifecycle import start, status
from galaxy.upgrade.plan import UpgradeRequest
from galaxy.upgrade.rollback import RollbackPlan, RollbackReport, RollbackRequest, rollback
from galaxy.upgrade.upgrade import upgrade
from galaxy.upgrade.ways import Offer, Way
from scenarios import belongings, replicated
from scenarios.bounds import BACK_SECONDS, SWITCH_SECONDS, require_within
from scenarios.catalogue.upgrade import forward
from scenarios.engine import Scenario, Step
from scenarios.kept import compared
from scenarios.lab import SERVERS
from scenarios.partners import partners, settle
from scenarios.witness import last_rid, require_kept, require_new_sids, write_account
from scenarios.world import World

Figures = Mapping[str, float]
_ACCOUNTS = 3


def _begin(world: World) -> Figures:
    world.create("dc1", world.images[0])
    ready = start(world.dc, world.settings)
    _write(world)
    return {"ready_s": ready.all}


def _upgrade(world: World) -> Figures:
    request = UpgradeRequest(name=world.dc.name, ref=world.images[1].id, rehearsal=False)
    done = upgrade(world.store, world.settings, request)
    assert done.after is not None
    assert done.after.passed, f"after the upgrade: {done.after}"
    require_within(done.switch.away, SWITCH_SECONDS, "the switch")
    _write(world)
    return {"away_s": done.switch.away}


def _downgrade(world: World) -> Figures:
    """In place, with everything that was written to the newer version."""
    _require_refused(world, None, "without a decision")
    belongings.leave(world.dc)
    with compared(world, "dc1") as comparison:
        report = _go(world, Way.DOWNGRADE)
    require_kept(world)
    belongings.require(world.dc)
    write_account(world)
    return {**_told(report), **comparison}


def _restore(world: World) -> Figures:
    """By the snapshot: what is listed goes when somebody agrees, and nothing before."""
    process = status(world.dc).pid
    lost = frozenset(list(world.written)[-_ACCOUNTS:])  # what was written after the last upgrade
    names = _add_records(world)
    offer = _require_refused(world, Way.SNAPSHOT, "nobody has confirmed")
    assert status(world.dc).pid == process, "a rollback that was refused has touched the server"
    unlisted = [dn for dn in (*lost, *names) if dn not in "\n".join(offer.loses)]
    assert not unlisted, f"what would be lost is not listed: {unlisted[0]}"
    require_kept(world)
    given = last_rid(world)
    report = _go(world, Way.SNAPSHOT)
    _require_only_lost(world, lost)
    belongings.require(world.dc)  # from before the snapshot
    require_new_sids(world, given)
    return _told(report)


def _add_records(world: World) -> tuple[str, ...]:
    """DNS records of people, at names beside which a DC has its own; how a list begins with each."""
    with partners(world, "dc1") as (dc,):
        zone = dc.target.dns_domain
        for name, kind, data in (
            ("@", "MX", f"mail.{zone} 10"),
            ("_imap._tcp", "SRV", f"mail.{zone} 143 0 100"),
        ):
            dc.tool("dns", "add", dc.target.address, zone, name, kind, data)
    return "DC=@,", "DC=_imap._tcp,"


def _require_only_lost(world: World, lost: AbstractSet[str]) -> None:
    """What was agreed to is gone, and everything else is there; the snapshot of the newer state has the rest."""
    given_up = {dn: world.written.pop(dn) for dn in lost}
    require_kept(world)
    with partners(world, "dc1") as (dc,):
        there = [dn for dn in given_up if dc.has(dn)]
        zone = dc.target.dns_domain
        there += [*dc.dns.texts(zone, "MX"), *dc.dns.texts(f"_imap._tcp.{zone}", "SRV")]
    assert not there, f"the state is not the snapshot's: it has {there[0]}"


def _join(world: World) -> Figures:
    world.join("dc2", world.images[0])
    ready = start(world.server("dc2"), world.settings)
    with partners(world, "dc2") as (joined,):
        lacking = [dn for dn in world.written if not joined.has(dn)]
    assert not lacking, f"the new DC lacks {lacking[0]}"
    return {"ready_s": ready.all}


def _refuse(world: World) -> Figures:
    """The snapshot is refused for the partner's sake."""
    belongings.leave(world.dc)
    with partners(world, "dc1", "dc2") as (a, b):
        settle((a, b))
        dn = b.new_object("contact", "kept-of-the-partner")
    world.written[dn] = ""
    process = status(world.dc).pid
    offer = _require_refused(world, Way.SNAPSHOT, "USNs")
    assert not offer.open
    _require_password(world)
    assert status(world.dc).pid == process, "a rollback that was refused has touched the server"
    return {}


def _require_password(world: World) -> None:
    """A rejoin asks the domain before anything is done: somebody whom it does not know changes nothing."""
    wrong = "Nobody-has-this-1"
    request = RollbackRequest(name=world.dc.name, way=Way.REJOIN, dc=SERVERS["dc2"], password=wrong)
    try:
        rollback(world.store, world.settings, request, show=lambda _: None, confirm=lambda _: True)
    except InputError as refusal:
        said = refusal.message
    else:
        said = "not refused at all"
    assert "another password" in said, f"a rejoin with a wrong password was: {said}"


def _rejoin(world: World) -> Figures:
    _go(world, Way.REJOIN)
    require_kept(world)
    belongings.require(world.dc)
    write_account(world)
    return {}


def _converge(world: World) -> Figures:
    """Both DCs have everything, tell each other what is new, and take each other's passwords."""
    with partners(world, "dc1", "dc2") as (a, b):
        settle((a, b))
        lost = [dn for dn in world.written if not b.has(dn)]
        assert not lost, f"the partner lacks {lost[0]}"
        figures = replicated.told(a, b)
        replicated.passwords(a, b)
    return figures


def _rejoin_again(world: World) -> Figures:
    """A DC that has joined has keys of the version that any join gives: its next ones must have another."""
    _upgrade(world)
    _go(world, Way.REJOIN)
    require_kept(world)
    with partners(world, "dc1", "dc2") as (a, b):
        return replicated.told(a, b)


def _go(world: World, way: Way) -> RollbackReport:
    """Go one way, agreeing to what it loses; the old version runs afterwards, checked."""
    request = RollbackRequest(
        name=world.dc.name,
        way=way,
        dc=SERVERS["dc2"] if way is Way.REJOIN else None,
        password=read_password(world.dc.secrets / "admin-password") if way is Way.REJOIN else None,
    )
    report = rollback(world.store, world.settings, request, show=lambda _: None, confirm=lambda _: True)
    assert report.after.passed, f"after the rollback: {report.after}"
    assert status(world.dc).state == "running"
    assert world.dc.config.image_id == world.images[0].id, "it does not run the old version"
    return report


def _require_refused(world: World, way: Way | None, why: str) -> Offer:
    """The command without anybody to ask: refused, in these words; returns the offer of that way (the snapshot's)."""
    seen: list[RollbackPlan] = []
    request = RollbackRequest(name=world.dc.name, way=way)
    try:
        rollback(world.store, world.settings, request, show=seen.append, confirm=lambda _: False)
    except PolicyError as refusal:
        said = refusal.message
    else:
        said = "not refused at all"
    assert why in said, f"a rollback by {way or 'any way'} should be refused with {why!r}, and was: {said}"
    return seen[0].offer(way or Way.SNAPSHOT)


def _write(world: World) -> None:
    for _ in range(_ACCOUNTS):
        write_account(world)


def _told(report: RollbackReport) -> Figures:
    assert report.switch is not None
    require_within(report.switch.away, BACK_SECONDS, "the way back")
    return {
        "away_s": report.switch.away,
        "stopped_s": report.switch.stopped,
        "started_s": report.switch.started,
    }


def _remove(world: World) -> Figures:
    for hostname in list(world.servers):
        world.remove(hostname)
    return {}


_BEGIN = Step(name="begin", act=_begin, why="The old version, with accounts that must be there in the end.")
_UPGRADE = Step(name="upgrade", act=_upgrade, why="The new version, committed, with accounts made since.")
_REMOVE = Step(name="remove", act=_remove, why="A server goes with all it held.")

ROLLBACK = Scenario(
    name="rollback",
    weight=60,
    roles=("old", "new"),
    admits=forward,
    neighbours=True,
    protects="a new version that turns out badly days later leaving no way back, or one that silently loses work",
    steps=(
        _BEGIN,
        _UPGRADE,
        Step(
            name="downgrade",
            act=_downgrade,
            checkpoint="downgraded",
            image=0,
            why="Back in place: the new version writes the format that any reads; the old one starts on it, all there.",
        ),
        Step(name="upgrade-again", act=_upgrade, why="Forward once more, with accounts made since."),
        Step(
            name="restore",
            act=_restore,
            checkpoint="restored",
            image=0,
            why="Back by the snapshot: refused until somebody agrees to what is listed; only that goes; no SID twice.",
        ),
        _REMOVE,
    ),
)

REJOIN = Scenario(
    name="rejoin",
    weight=120,
    roles=("old", "new"),
    servers=2,
    admits=forward,
    neighbours=True,
    protects="restoring a DC that others have replicated with, after which its changes never reach them again",
    steps=(
        _BEGIN,
        Step(
            name="join", act=_join, why="A second DC has all the data, and has seen the first one's numbers."
        ),
        _UPGRADE,
        Step(
            name="refuse-snapshot",
            act=_refuse,
            why="An old state would diverge from the partner silently: refused, as is a rejoin by a wrong password.",
        ),
        Step(
            name="rejoin",
            act=_rejoin,
            why="The DC leaves the domain and joins again with the old version; nothing that it had is lost.",
        ),
        Step(
            name="converge",
            act=_converge,
            checkpoint="rejoined",
            image=0,
            why="Each DC gets the other's changes by itself, although both know the other by tickets of before.",
        ),
        Step(
            name="rejoin-again",
            act=_rejoin_again,
            why="Now it is a DC that has joined: upgraded and rejoined once more, it replicates both ways at once.",
        ),
        _REMOVE,
    ),
)

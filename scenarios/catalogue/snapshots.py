"""Snapshots and the way back to them: what was acknowledged before one is in it, and nothing that came later.

One server without partners: for a DC that others have replicated with, going back is refused (`rejoin`).
"""

from collections.abc import Mapping

from galaxy.server.kept import Snapshot, snapshots
from galaxy.server.lifecycle import start, status, stop
from galaxy.server.restart import restart
from galaxy.server.restore import Restored
from galaxy.server.snapshot import prune, snapshot
from galaxy.upgrade.putback import put_back
from galaxy.upgrade.since import lost_by
from scenarios import belongings
from scenarios.engine import Scenario, Step
from scenarios.partners import partners
from scenarios.witness import last_rid, require_kept, require_new_sids, write_account, writing
from scenarios.world import World
from verify.clients.waiting import within

Figures = Mapping[str, float]
# Seconds: a hundred times what it takes.
_MOST_HELD = 2.0
_REASON = "while a client writes"
_SECONDS = 30.0


def _begin(world: World) -> Figures:
    world.create("dc1", world.images[0])
    ready = start(world.dc, world.settings)
    write_account(world)
    write_account(world)
    belongings.leave(world.dc)
    return {"ready_s": ready.all}


def _snapshot(world: World) -> Figures:
    """Taken under a client that writes; a restart ends that client, and all it was promised is there."""
    known = dict(world.written)
    with writing(world) as acknowledged:
        before = len(acknowledged)
        kept = snapshot(world.dc, _REASON)
        after = len(acknowledged) + 1  # one more may have been on its way while the snapshot was taken
        assert within(_SECONDS, lambda: len(acknowledged) > after + 3), (
            "writes do not go on after the snapshot"
        )
        restart(world.dc, world.settings)
    require_kept(world)
    write_account(world)
    belongings.change(world.dc)
    world.later = {
        dn: word for dn, word in world.written.items() if dn not in known and dn not in acknowledged[:after]
    }
    world.written = {**known, **dict.fromkeys(acknowledged[:before], "")}
    assert kept.held < _MOST_HELD, f"a client that writes waited for {kept.held:.1f} s"
    return {"held_ms": kept.held * 1000, "taken_s": kept.seconds, "writes_before": before}


def _restore(world: World) -> Figures:
    """The running server gets the state of then: nothing of before is missing, nothing of later is there."""
    (wanted,) = (one for one in snapshots(world.dc) if one.reason == _REASON)
    given = last_rid(world)
    done = _put_back(world, wanted)
    assert done.ready is not None, "the server ran, and does not run after the restore"
    require_kept(world)
    belongings.require(world.dc)
    with partners(world, "dc1") as (dc,):
        there = [dn for dn in world.later if dc.has(dn)]
    assert not there, f"the state is not the snapshot's: it has {there[0]}, which was written later"
    require_new_sids(world, given)
    return {"restored_s": done.seconds, "ready_s": done.ready.all}


def _put_back(world: World, wanted: Snapshot) -> Restored:
    return put_back(world.dc, wanted, world.settings, lost_by(world.dc, wanted))


def _forward(world: World) -> Figures:
    """What a restore replaced is a snapshot too, so that a restore in error costs nothing; the server is stopped."""
    replaced = snapshots(world.dc)[-1]
    assert replaced.reason.startswith("before restore"), f"the newest snapshot is {replaced.reason}"
    given, branch = last_rid(world), world.written.popitem()[0]
    stop(world.dc, world.settings)
    done = _put_back(world, replaced)
    assert done.ready is None, "a restore has started a server that was stopped"
    assert status(world.dc).state == "stopped"
    start(world.dc, world.settings)
    world.written |= world.later
    require_kept(world)
    belongings.require_changed(world.dc)
    with partners(world, "dc1") as (dc,):
        assert not dc.has(branch), f"the state is not the one that was replaced: it has {branch}"
    require_new_sids(world, given)
    return {"restored_s": done.seconds}


def _prune(world: World) -> Figures:
    """Only as many as are wanted stay, the newest; one that somebody pinned stays in any case."""
    pinned = snapshot(world.dc, "for good", pinned=True)
    last = snapshot(world.dc, "last")
    gone = prune(world.dc, keep=1, days=0)
    left = {one.id for one in snapshots(world.dc)}
    assert left == {pinned.id, last.id}, f"left are {left}, and should be {pinned.id} and {last.id}"
    assert gone, "nothing was pruned"
    require_kept(world)
    return {"pruned": len(gone)}


def _remove(world: World) -> Figures:
    world.remove("dc1")
    return {}


SNAPSHOTS = Scenario(
    name="snapshots",
    weight=45,
    protects="a backup that turns out to be half of a state on the day when it is needed",
    steps=(
        Step(name="begin", act=_begin, why="A server with accounts."),
        Step(
            name="snapshot",
            act=_snapshot,
            why="Taken while a client writes: it waits for milliseconds, and loses nothing.",
        ),
        Step(
            name="restore",
            act=_restore,
            checkpoint="restored",
            why="What was acknowledged before the snapshot is there, nothing of later; new accounts have new SIDs.",
        ),
        Step(
            name="restore-forward",
            act=_forward,
            why="The state that was replaced is a snapshot itself: the stopped server goes back, with all it had.",
        ),
        Step(name="prune", act=_prune, why="The newest and the pinned one stay, the others go."),
        Step(name="remove", act=_remove, why="The server goes with all it held."),
    ),
)

"""A server moves to a newer version while people are at work: nothing they had is lost, and they hardly notice.

Upgrade: one pair of versions. Chain: every version after the other, on one state. Failed: the new version is
sabotaged, in four ways, and the server must come back by itself.
"""

from collections.abc import Mapping
from itertools import pairwise

from galaxy.host.errors import ServerError
from galaxy.release.version import Version
from galaxy.server.lifecycle import start, status, stop
from galaxy.upgrade.outage import Seen, probing
from galaxy.upgrade.plan import UpgradeRequest
from galaxy.upgrade.upgrade import UpgradeReport, upgrade
from scenarios.engine import Scenario, Step
from scenarios.regulars import at_work
from scenarios.saboteur import SABOTAGES, sabotaged
from scenarios.witness import require_kept, write_account
from scenarios.world import World

Figures = Mapping[str, float]
# How long a sabotaged version may take to answer before it is given up, in seconds.
_SHORT = 6.0


def _begin(world: World) -> Figures:
    """The old version, with accounts that must be there in the end."""
    world.create("dc1", world.images[0])
    ready = start(world.dc, world.settings)
    for _ in range(3):
        write_account(world)
    return {"ready_s": ready.all}


def _upgrade(world: World) -> Figures:
    """Rehearse and switch under clients that copy, search and ask; every figure of what they saw."""
    figures: dict[str, float] = {}
    with at_work(world, figures), probing(world.dc.config) as probe:
        report = _move(world, 1)
        seen = probe.result()
    figures.update(_seen(seen), **_told(report))
    assert all(one.refused == 0 for one in seen.services.values()), (
        f"connections were refused: {seen.services}"
    )
    _settled(world)
    return figures


def _upgrade_stopped(world: World) -> Figures:
    """A server that is stopped moves too, stays stopped, and starts afterwards."""
    stop(world.dc, world.settings)
    report = _move(world, len(world.images) - 1)
    assert status(world.dc).state == "stopped", "the upgrade started a server that was stopped"
    ready = start(world.dc, world.settings)
    _settled(world)
    return {"ready_s": ready.all, "rehearsal_s": report.rehearsal.seconds if report.rehearsal else 0.0}


def _step_on(number: int) -> Step:
    def act(world: World) -> Figures:
        report = _move(world, number, rehearsal=False)
        _settled(world)
        return _told(report)

    return Step(name=f"to-version-{number + 1}", act=act)


def _fail(world: World) -> Figures:
    """Each sabotage without a rehearsal: the upgrade fails, and the old version runs with all it had."""
    figures: dict[str, float] = {}
    for name in SABOTAGES:
        before = status(world.dc)
        with sabotaged(world, world.images[1], name):
            _require_failure(world, name, rehearsal=False)
        now = status(world.dc)
        assert now.state == "running", f"{name}: after the failed upgrade the server is {now}"
        assert now.pid != before.pid, f"{name}: the upgrade never got as far as to stop the server"
        assert world.dc.config.image_id == world.images[0].id, f"{name}: the server has not gone back"
        _settled(world)
        figures[f"{name}_survived"] = 1.0
    return figures


def _fail_in_rehearsal(world: World) -> Figures:
    """With the rehearsal the server is not even touched."""
    before = status(world.dc)
    with sabotaged(world, world.images[1], "dies"):
        _require_failure(world, "dies", rehearsal=True)
    assert status(world.dc).pid == before.pid, "a rehearsal that failed has touched the server"
    _settled(world)
    return {}


def _require_failure(world: World, name: str, *, rehearsal: bool) -> None:
    settings = world.settings.model_copy(update={"ready_timeout": _SHORT})
    request = UpgradeRequest(name=world.dc.name, ref=world.images[1].id, rehearsal=rehearsal)
    try:
        upgrade(world.store, settings, request)
    except ServerError:
        return
    finally:
        world.refresh("dc1")
    raise AssertionError(f"the upgrade to a version with the defect {name!r} succeeded")


def _remove(world: World) -> Figures:
    world.remove("dc1")
    return {}


def _move(world: World, number: int, *, rehearsal: bool = True) -> UpgradeReport:
    request = UpgradeRequest(name=world.dc.name, ref=world.images[number].id, rehearsal=rehearsal)
    try:
        report = upgrade(world.store, world.settings, request)
    finally:
        world.refresh("dc1")
    if report.after is not None:
        assert report.after.good, f"after the upgrade: {report.after}"
    return report


def _settled(world: World) -> None:
    """Everything written is there, and the server takes something new."""
    require_kept(world)
    write_account(world)


def _seen(seen: Seen) -> dict[str, float]:
    return {
        f"{name}_{what}": value
        for name, one in seen.services.items()
        for what, value in (("outage_ms", one.longest_ms), ("refused", float(one.refused)))
    }


def _told(report: UpgradeReport) -> dict[str, float]:
    switched = report.switch
    figures = {"away_s": switched.away, "stopped_s": switched.stopped, "started_s": switched.started}
    if report.rehearsal is not None:
        figures |= {"rehearsal_s": report.rehearsal.seconds, "pause_ms": report.rehearsal.pause_ms}
    return figures


def forward(versions: tuple[Version, ...]) -> bool:
    """Whether each version is newer than the one before it."""
    return all(one < other for one, other in pairwise(versions))


_BEGIN = Step(name="begin", act=_begin)
_REMOVE = Step(name="remove", act=_remove)

UPGRADE = Scenario(
    name="upgrade",
    weight=90,
    roles=("old", "new"),
    steps=(_BEGIN, Step(name="upgrade", act=_upgrade, checkpoint="upgraded"), _REMOVE),
)

FAILED = Scenario(
    name="failed",
    weight=110,
    roles=("old", "new"),
    steps=(
        _BEGIN,
        Step(name="fail-in-rehearsal", act=_fail_in_rehearsal),
        Step(name="fail", act=_fail, checkpoint="returned"),
        Step(name="upgrade-stopped", act=_upgrade_stopped),
        _REMOVE,
    ),
)

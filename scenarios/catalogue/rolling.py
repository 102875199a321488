"""Both DCs of a domain move to a newer version, one after the other, while members log on by SRV records.

In between, the two versions are one domain. Nobody may see one failed logon.
"""

from collections.abc import Callable, Mapping

from galaxy.server.lifecycle import start, stop
from galaxy.upgrade.plan import UpgradeRequest
from galaxy.upgrade.upgrade import upgrade
from scenarios import masters, replicated
from scenarios.bounds import SWITCH_SECONDS, require_within
from scenarios.catalogue import replication
from scenarios.catalogue.upgrade import forward
from scenarios.engine import Scenario, Step
from scenarios.followers import following
from scenarios.partners import linked, partners
from scenarios.world import World

Figures = Mapping[str, float]


def _begin(world: World) -> Figures:
    """Two DCs of the old version, replicating both ways."""
    world.create("dc1", world.images[0])
    start(world.dc, world.settings)
    world.join("dc2", world.images[0])
    ready = start(world.server("dc2"), world.settings)
    with partners(world, "dc1", "dc2") as (a, b):
        linked((a, b), masters.contexts(a))
    return {"ready_s": ready.all}


def _roll(hostname: str, *, rehearsal: bool) -> Callable[[World], Figures]:
    """A step that moves one DC; members log on before, meanwhile and afterwards.

    One rehearsal tells of both: the second DC has the same data and goes the same way.
    """

    def step(world: World) -> Figures:
        figures: dict[str, float] = {}
        name = world.server(hostname).name
        request = UpgradeRequest(name=name, ref=world.images[1].id, rehearsal=rehearsal)
        with partners(world, "dc1", "dc2") as hosts, following(hosts, figures) as watching:
            report = upgrade(world.store, world.settings, request, watching=watching)
        assert report.after is not None, "the upgrade took the DC for a stopped one"
        assert report.after.passed, f"after the upgrade: {report.after}"
        require_within(report.switch.away, SWITCH_SECONDS, "the switch")
        assert world.server(hostname).config.image_id == world.images[1].id
        with partners(world, "dc1", "dc2") as (a, b):
            replicated.objects(a, b)
            figures |= replicated.told(a, b)
        return figures | {"away_s": report.switch.away}

    return step


def _compare(world: World) -> Figures:
    """The third has ended: what its KCC decides in its own time reaches one of the two before the other."""
    stop(world.server("dc3"), world.settings)
    return replication.compared(world)


ROLLING = Scenario(
    name="rolling",
    weight=180,
    roles=("old", "new"),
    servers=3,
    admits=forward,
    protects="Logons that fail while the DCs of a domain are upgraded one after the other.",
    steps=(
        Step(name="begin", act=_begin, why="Two DCs of the old version, replicating both ways."),
        Step(
            name="roll-first",
            act=_roll("dc1", rehearsal=True),
            why="The first DC is rehearsed and upgraded while members log on by SRV records: not one logon fails.",
        ),
        Step(
            name="roll-second",
            act=_roll("dc2", rehearsal=False),
            checkpoint="rolled",
            host="dc2",
            why="So is the second; both run the new version.",
        ),
        Step(name="third", act=replication.third, why="A third DC, of the new version, joins."),
        Step(name="compare", act=_compare, why="The third stops; the first two have the same directory."),
    ),
)

"""Every scenario by its name."""

from scenarios.catalogue.disaster import DISASTER
from scenarios.catalogue.lifecycle import LIFECYCLE
from scenarios.catalogue.replication import REPLICATION
from scenarios.catalogue.rollback import REJOIN, ROLLBACK
from scenarios.catalogue.rolling import ROLLING
from scenarios.catalogue.snapshots import SNAPSHOTS
from scenarios.catalogue.tools import TOOLS
from scenarios.catalogue.upgrade import CHAIN, CONTENT, FAILED, UPGRADE
from scenarios.engine import Scenario

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        LIFECYCLE,
        UPGRADE,
        CHAIN,
        CONTENT,
        FAILED,
        ROLLBACK,
        REJOIN,
        REPLICATION,
        ROLLING,
        SNAPSHOTS,
        TOOLS,
        DISASTER,
    )
}

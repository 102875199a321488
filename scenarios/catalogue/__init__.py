"""Every scenario by its name."""

from scenarios.catalogue.lifecycle import LIFECYCLE
from scenarios.engine import Scenario

SCENARIOS: dict[str, Scenario] = {scenario.name: scenario for scenario in (LIFECYCLE,)}

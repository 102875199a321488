"""Every scenario says what it is for, step by step, and the page of scenarios says the same."""

from pathlib import Path

import pytest

from scenarios.catalogue import SCENARIOS
from scenarios.docs import page

PAGE = Path(__file__).parents[2] / "docs/scenarios.md"


def test_the_page_of_scenarios_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m scenarios.docs > docs/scenarios.md"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_scenario_says_what_it_is_for(name: str) -> None:
    scenario = SCENARIOS[name]
    assert scenario.protects
    steps = scenario.steps_for(3)
    assert [step.name for step in steps if not step.why] == []
    assert [step.name for step in steps if not step.why.endswith(".")] == []
    assert len({step.name for step in steps}) == len(steps)
    checkpoints = [step.checkpoint for step in steps if step.checkpoint]
    assert checkpoints
    assert len(set(checkpoints)) == len(checkpoints)

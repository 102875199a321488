"""Writes docs/scenarios.md from the catalogue itself: `python -m scenarios.docs > docs/scenarios.md`."""

import sys
from collections.abc import Iterator

from scenarios.catalogue import SCENARIOS
from scenarios.engine import Scenario, Step

# A scenario for all images of a run is described with as many as show what repeats.
_EXAMPLE = 3
_HEAD = """# The scenarios

`galaxy verify --matrix all` takes every image, and every combination of images that a scenario admits, through each
of these. A scenario with its images filled in is a cell, such as `upgrade[4.17.12->4.22.11]`. At a checkpoint all
checks run, by real clients, against the server that is named there; a step that fails blocks all that comes after it.

This page is generated: `python -m scenarios.docs > docs/scenarios.md`. `bin/test` fails when it is old.
"""


def page() -> str:
    """The whole page: a table of all scenarios, then one section each."""
    rows = "".join(
        f"| [{one.name}](#{one.name}) | {_images(one)} | {len(_checkpoints(one))} | {one.servers} |\n"
        for one in SCENARIOS.values()
    )
    table = f"\n| scenario | a cell for | checkpoints | DCs at once |\n| --- | --- | --- | --- |\n{rows}"
    return _HEAD + table + "".join(_section(one) for one in SCENARIOS.values())


def _section(scenario: Scenario) -> str:
    return (
        f"\n## {scenario.name}\n\nProtects from: {_clause(scenario.protects)}.\n\n{''.join(_steps(scenario))}"
    )


def _steps(scenario: Scenario) -> Iterator[str]:
    if scenario.every is not None:
        yield f"With {_EXAMPLE} images:\n\n"
    for number, step in enumerate(_all_steps(scenario), start=1):
        yield f"{number}. **{step.name}**: {step.why}{_look(step)}\n"


def _look(step: Step) -> str:
    if not step.checkpoint:
        return ""
    where = f", at {step.host}" if step.host != "dc1" else ""
    return f" *Checkpoint `{step.checkpoint}`{where}.*"


def _images(scenario: Scenario) -> str:
    if scenario.every is not None:
        return "all versions, oldest to newest"
    if len(scenario.roles) == 1:
        return "each image"
    near = "neighbouring " if scenario.neighbours else ""
    return f"each {near}{' and '.join(scenario.roles)} that it admits"


def _all_steps(scenario: Scenario) -> tuple[Step, ...]:
    return scenario.steps_for(_EXAMPLE)


def _checkpoints(scenario: Scenario) -> tuple[str, ...]:
    return tuple(step.checkpoint for step in _all_steps(scenario) if step.checkpoint)


def _clause(text: str) -> str:
    """A sentence or a phrase, as what comes after a colon."""
    first, *others = text.rstrip(".").split(" ")
    return " ".join([first if first.isupper() else first[0].lower() + first[1:], *others])


if __name__ == "__main__":
    sys.stdout.write(page())

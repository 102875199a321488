"""What an image must have passed to be called production-ready, as data, and the judgement.

`judge` looks only at items, so that a certificate (which lists the tests that passed) can be held against a
policy again, years later and on another host.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from galaxy.gate.results import ItemResult, Outcome
from galaxy.gate.run import refs_of, scenario_of
from galaxy.host.errors import InputError
from galaxy.host.settings import parse_toml
from galaxy.host.wording import first_of

STEP_AREA = "step"
_SHOWN = 3


class Requirement(BaseModel):
    """A scenario that the image must go through, and the checkpoints at which it is checked.

    `instead`: other scenarios, with their checkpoints, that show as much; each that was run counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scenario: str
    checkpoints: tuple[str, ...] = Field(min_length=1)
    instead: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def ways(self) -> dict[str, tuple[str, ...]]:
        """The checkpoints of each scenario that will do."""
        return {self.scenario: self.checkpoints, **self.instead}


class Allowance(BaseModel):
    """A known failure that this policy puts up with, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str
    reason: str = Field(min_length=1)


class Policy(BaseModel):
    """A policy file; `minimum` is, by area, how many different checks must pass at a required checkpoint.

    `walk` names scenarios in which the image has to take part, whichever image of the cell is checked there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    minimum: dict[str, PositiveInt] = Field(min_length=1)
    require: tuple[Requirement, ...] = Field(min_length=1)
    walk: tuple[str, ...] = ()
    allow: tuple[Allowance, ...] = ()


def load_policy(file: Path | None = None) -> Policy:
    """The policy in a TOML file, or the one that Galaxy ships; InputError names the key that is wrong."""
    if file is not None:
        found, shipped = parse_toml(file, Policy), load_policy()
        if found.name == shipped.name and found != shipped:
            why = f"{file}: its name is {found.name!r}, which is that of the policy that Galaxy ships"
            raise InputError(why, "Give it a name of its own.")
        return found
    with as_file(files("galaxy.gate") / "policies" / "production.toml") as ours:
        return parse_toml(ours, Policy)


def judge(policy: Policy, ref: str, items: Iterable[ItemResult]) -> tuple[str, ...]:
    """Why these items do not show that the image `ref` satisfies the policy; empty when they do."""
    own = [item for item in items if ref in refs_of(item.cell)]
    if not own:
        return (f"nothing of {ref} was checked",)
    return (*_not_good(policy, own), *_missing(policy, own))


def not_allowed(policy: Policy, items: Iterable[ItemResult]) -> tuple[ItemResult, ...]:
    """The known failures that this policy does not put up with."""
    allowed = {allowance.check for allowance in policy.allow}
    return tuple(item for item in items if item.outcome is Outcome.KNOWN and item.id not in allowed)


def _not_good(policy: Policy, items: Sequence[ItemResult]) -> Iterator[str]:
    """Items that failed, were blocked, or failed as known without being allowed."""
    bad: dict[str, Sequence[ItemResult]] = {
        "failed": [item for item in items if item.outcome is Outcome.FAILED],
        "blocked": [item for item in items if item.outcome is Outcome.BLOCKED],
        "known failures that the policy does not allow": not_allowed(policy, items),
    }
    for what, found in bad.items():
        if found:
            names = [_with_places(check, found) for check in dict.fromkeys(item.id for item in found)]
            yield f"{len(found)} {what}: {first_of(names, _SHOWN)}"


def _with_places(check: str, items: Iterable[ItemResult]) -> str:
    """`CHECK at CHECKPOINT`, or at how many checkpoints."""
    places = list(dict.fromkeys(item.checkpoint for item in items if item.id == check))
    return f"{check} at {places[0]}" if len(places) == 1 else f"{check} at {len(places)} checkpoints"


def _missing(policy: Policy, items: Sequence[ItemResult]) -> Iterator[str]:
    """Required scenarios, checkpoints and numbers of checks that the items do not show.

    In a cell of two images the checks at a checkpoint are of one of them: cells without any are the other's.
    """
    checked = {item.cell for item in items if item.area != STEP_AREA}
    run = {scenario_of(cell) for cell in checked}
    walked = {scenario_of(item.cell) for item in items if item.area == STEP_AREA}
    absent = [tuple(needed.ways) for needed in policy.require if not needed.ways.keys() & run]
    absent += [
        (name,) for name in policy.walk if name not in walked | {way for ways in absent for way in ways}
    ]
    if absent:
        yield f"not run: {', '.join(' or '.join(ways) for ways in absent)}"
    for requirement in policy.require:
        for cell in sorted(cell for cell in checked if scenario_of(cell) in requirement.ways):
            for checkpoint in requirement.ways[scenario_of(cell)]:
                place = [item for item in items if (item.cell, item.checkpoint) == (cell, checkpoint)]
                yield from _too_few(policy, f"{cell} at {checkpoint}", place)


def _too_few(policy: Policy, where: str, items: Sequence[ItemResult]) -> Iterator[str]:
    """The areas in which fewer checks passed at one checkpoint than the policy asks for."""
    checks = {(item.area, item.id) for item in items if item.area != STEP_AREA}
    if not checks:
        yield f"{where}: no checks were run"
        return
    passed = {(item.area, item.id) for item in items if item.outcome is Outcome.PASSED}
    not_passed = {(item.area, item.id) for item in items if item.outcome is not Outcome.PASSED}
    count = Counter(area for area, _ in passed - not_passed)
    short = [f"{area} {count[area]} of {need}" for area, need in policy.minimum.items() if count[area] < need]
    if short:
        yield f"{where}: too few checks passed: {', '.join(short)}"

"""The walker by itself: what a cell still has when checks come, and when it is taken down."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from scenarios.engine import Cell, Scenario, Step, Walker
from verify.check import Blocked


class World:
    def target(self, _hostname: str = "dc1", _ref: str = "") -> str:
        return "the server"


def nothing(_world: object) -> Mapping[str, float]:
    return {}


def cell(*checkpoints: str) -> Cell:
    steps = [Step(name=f"s{n}", act=nothing, checkpoint=name) for n, name in enumerate(checkpoints)]
    return Cell(scenario=Scenario(name="life", steps=tuple(steps), weight=1), refs=("4.1.1",))


@pytest.fixture
def opened() -> list[str]:
    return []


@pytest.fixture
def walker(opened: list[str]) -> Walker:
    @contextmanager
    def open_world(_cell: Cell) -> Iterator[Any]:
        opened.append("open")
        yield World()
        opened.append("closed")

    return Walker(open_world)


def walk(walker: Walker, cell: Cell) -> None:
    for index in range(len(cell.steps)):
        walker.step(cell, index)


def test_a_scenario_may_end_at_a_checkpoint(walker: Walker, opened: list[str]) -> None:
    life = cell("", "up")
    walk(walker, life)
    assert str(walker.target(life, list(life.check_places())[-1])) == "the server"
    walker.close()
    assert opened == ["open", "closed"]


def test_a_scenario_without_a_checkpoint_at_its_end_is_taken_down_there(
    walker: Walker, opened: list[str]
) -> None:
    life = cell("up", "")
    walk(walker, life)
    assert opened == ["open", "closed"]
    with pytest.raises(Blocked):
        walker.target(life, next(life.check_places()))


def test_the_next_cell_takes_down_the_one_before(walker: Walker, opened: list[str]) -> None:
    walk(walker, cell("up"))
    walker.step(cell("", "other"), 0)
    assert opened == ["open", "closed", "open"]

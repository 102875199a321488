"""Scenarios and cells as data, and the walker that takes one cell at a time through its steps.

A step that fails ends its cell: whatever comes after it raises Blocked, and what the step left is kept for
people.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from galaxy.release.version import Version
from scenarios.world import World
from verify.check import Blocked
from verify.place import Place
from verify.target import Target

Figures = Mapping[str, float]
Act = Callable[[World], Figures]
OpenWorld = Callable[["Cell"], AbstractContextManager[World]]
Admits = Callable[[tuple[Version, ...]], bool]


def _anything(_versions: tuple[Version, ...]) -> bool:
    return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing that is done to the servers; `act` returns what it measured.

    All checks run after it if it reaches a `checkpoint`; they look at the server called `host`, which then runs the
    cell's image of that number (-1: the last), and count for that image. `why` says in a sentence what is done and
    what for.
    """

    name: str
    act: Act
    checkpoint: str = ""
    host: str = "dc1"
    image: int = -1
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Named steps in order; `roles` says what its images are for, in the order in which a cell names them.

    `weight` is its usual length in seconds: long cells start first. `servers` is how many of them run at once at
    most, for the memory. `admits` says which combinations of versions make sense; with `neighbours` only versions
    next to each other are combined, unless a matrix file has axes for it. A scenario with `every` takes all images
    of a run in one cell, from the oldest to the newest and two at least, and makes its steps from their number; it
    has one role, and its weight is by image. `protects` says what an administrator is spared by it.
    """

    name: str
    weight: float
    steps: tuple[Step, ...] = ()
    roles: tuple[str, ...] = ("image",)
    servers: int = 1
    admits: Admits = _anything
    neighbours: bool = False
    every: Callable[[int], tuple[Step, ...]] | None = None
    protects: str = ""

    def steps_for(self, images: int) -> tuple[Step, ...]:
        """The steps of a cell with so many images."""
        return self.every(images) if self.every is not None else self.steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A scenario with its images filled in, by ref."""

    scenario: Scenario
    refs: tuple[str, ...]

    @property
    def name(self) -> str:
        """`lifecycle[4.17.12]`."""
        return f"{self.scenario.name}[{'->'.join(self.refs)}]"

    @property
    def weight(self) -> float:
        """The cell's usual length in seconds, before anything was measured."""
        return self.scenario.weight * (len(self.refs) if self.scenario.every is not None else 1)

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is done, in order."""
        return self.scenario.steps_for(len(self.refs))

    @property
    def checked(self) -> dict[str, str]:
        """The ref of the image that the checked server runs, by checkpoint."""
        return {step.checkpoint: self.refs[step.image] for step in self.steps if step.checkpoint}

    def step_place(self, index: int) -> Place:
        """Where a step stands: before the checkpoint that it leads to ('end' after the last)."""
        later = (step.checkpoint for step in self.steps[index:] if step.checkpoint)
        return Place(cell=self.name, checkpoint=next(later, "end"), order=2 * index)

    def check_places(self) -> Iterator[Place]:
        """Where checks run: after each step that reaches a checkpoint."""
        for index, step in enumerate(self.steps):
            if step.checkpoint:
                yield Place(cell=self.name, checkpoint=step.checkpoint, order=2 * index + 1)


class Walker:
    """Takes cells through their steps, one at a time, in the process that also runs the checks."""

    def __init__(self, open_world: OpenWorld) -> None:
        self._open_world = open_world
        self._cell: Cell | None = None
        self._done = 0
        self._failure = ""
        self._context: AbstractContextManager[World] | None = None
        self._world: World | None = None

    def step(self, cell: Cell, index: int) -> Figures:
        """Do one step; Blocked unless all steps before it were done here and went well."""
        if index == 0:
            self._begin(cell)
        world = self._at(cell, index)
        step = cell.steps[index]
        try:
            figures = step.act(world)
        except BaseException as error:
            self._failure = f"the step {step.name} failed: {str(error).partition(chr(10))[0]}"
            world.keep_evidence(state=True)
            raise
        self._done = index + 1
        if self._done == len(cell.steps) and not step.checkpoint:
            self.close()  # otherwise checks are still to come, and the next cell or the worker's end closes it
        return figures

    def target(self, cell: Cell, place: Place) -> Target:
        """The server to check at a place; Blocked when the cell is not there."""
        index = place.order // 2
        world = self._at(cell, index + 1)
        return world.target(cell.steps[index].host, cell.checked[place.checkpoint])

    def note_failure(self) -> None:
        """A check failed: keep the logs of what it looked at."""
        if self._world is not None:
            self._world.keep_evidence(state=False)

    def close(self) -> None:
        """Take down what the current cell still has; its later items are blocked from here on."""
        context, self._context, self._world = self._context, None, None
        if context is not None:
            context.__exit__(None, None, None)

    def _begin(self, cell: Cell) -> None:
        before = self._cell
        self._cell, self._done, self._failure = cell, 0, "its lab could not be made"
        try:
            self.close()
        except Exception as error:
            self._failure = f"{before.name if before else 'the cell before'} could not be taken down: {error}"
            raise Blocked(self._failure) from error
        self._context = self._open_world(cell)
        self._world = self._context.__enter__()
        self._failure = ""

    def _at(self, cell: Cell, done: int) -> World:
        """The world of a cell at which exactly `done` steps were done."""
        if self._cell != cell:
            raise Blocked(f"the process that walked {cell.name} is gone")
        if self._failure:
            raise Blocked(self._failure)
        if self._world is None or self._done != done:
            raise Blocked(f"{cell.name} is {self._done} steps far, not {done}")
        return self._world

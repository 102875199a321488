"""A worker: the process that is in a lab, walks cells and runs checks."""

import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Self

import pytest

from galaxy.gate.run import RunInfo
from galaxy.host.journal import journal
from galaxy.host.settings import load_settings
from galaxy.host.store import default_store
from galaxy.image.catalogue import Catalogue
from scenarios.engine import Cell, Walker
from scenarios.lab import entered_lab
from scenarios.world import World

# How long one item may take, in seconds: far beyond any that works, so that one that hangs costs only itself.
ITEM_SECONDS = 240.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What a worker holds for its life."""

    walker: Walker
    stack: ExitStack

    @classmethod
    def begin(cls, folder: Path) -> Self:
        """Enter a lab of this process's own; `folder` is the run's."""
        store, settings, images = default_store(), load_settings(), RunInfo.read(folder).images
        ids = {image.ref: image.id for image in images}
        with ExitStack() as stack:
            entry = stack.enter_context(journal(store, "verify", f"worker {os.getpid()}"))
            etc = stack.enter_context(tempfile.TemporaryDirectory(prefix="galaxy-lab-"))
            lab = stack.enter_context(entered_lab(entry, Path(etc)))

            @contextmanager
            def open_world(cell: Cell) -> Iterator[World]:
                catalogue = Catalogue(store=store)
                with ExitStack() as cell_stack:
                    yield World(
                        store=store,
                        settings=settings,
                        lab=lab,
                        images=tuple(catalogue.resolve(ids[ref]) for ref in cell.refs),
                        evidence=folder / "evidence" / cell.name,
                        stack=cell_stack,
                    )

            walker = Walker(open_world)
            stack.callback(walker.close)
            kept = stack.pop_all()
        return cls(walker=walker, stack=kept)

    def end(self) -> None:
        """Take down the cell that is open, and the lab."""
        self.stack.close()


WORKER = pytest.StashKey[Worker]()


class OverdueError(BaseException):
    """An item has taken too long. Nothing that waits for a server may take this for the server's."""


@contextmanager
def limited(what: str, seconds: float = ITEM_SECONDS) -> Iterator[None]:
    """Raise OverdueError in the block when it takes longer; on the main thread only, for it uses SIGALRM."""

    def too_long(_number: int, _frame: FrameType | None) -> None:
        raise OverdueError(f"{what} did not end within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, too_long)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

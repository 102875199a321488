"""The step boundaries of an upgrade: before and after each verb and each write of the journal, counted from outside.

The product has no hooks. A process that is forked for one upgrade has the functions below wrapped, and does something
(dies, fills the disk) at one of the boundaries that it passes. A boundary is known by its name, the second of a name by
"name #2": how often a file is replaced depends on what clients write meanwhile, so that a plain number would be
another place in the next upgrade.
"""

import importlib
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from galaxy.host.journal import Entry

# What is one page of verbs, by the module that calls them, and what those verbs are made of.
_VERBS = {
    "galaxy.upgrade.upgrade": ("preflight", "rehearse", "switch", "look_after", "prune"),
    "galaxy.upgrade.switch": ("warm", "_note", "with_image", "start_smoked", "remember", "sync_folder"),
    "galaxy.server.snapshot": ("prepare", "complete", "copy_state", "freshen", "sync_file_system"),
    "galaxy.server.lifecycle": (
        *("stop_quickly", "start_held", "_end", "delete", "write_bundle", "launch", "wait_ready"),
    ),
    "galaxy.server.running": ("note",),
    "galaxy.server.hold": ("_nft",),
}
_BLOCKS = {"galaxy.upgrade.switch": ("hold",)}
COMMIT = "after switch"


@dataclass(slots=True)
class Passed:
    """The boundaries that were passed, each with its seconds since the begin."""

    act: Callable[[str], None]
    began: float = field(default_factory=time.monotonic)
    names: list[tuple[str, float]] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)

    def at(self, verb: str) -> None:
        """One more boundary."""
        self.times[verb] += 1
        name = verb if self.times[verb] == 1 else f"{verb} #{self.times[verb]}"
        self.names.append((name, time.monotonic() - self.began))
        self.act(name)


def watch(act: Callable[[str], None]) -> Passed:
    """Wrap everything, for good: this process does one upgrade and ends. `act` gets each boundary's name."""
    passed = Passed(act)
    for module_name, names in _VERBS.items():
        module = importlib.import_module(module_name)
        for name in names:
            setattr(module, name, _around(passed, name, getattr(module, name)))
    for module_name, names in _BLOCKS.items():
        module = importlib.import_module(module_name)
        for name in names:
            setattr(module, name, _around_block(passed, name, getattr(module, name)))
    Path.replace = _around(passed, "a file's replacing", Path.replace)  # type: ignore[method-assign]
    save = Entry._save  # noqa: SLF001 - the writes of the journal are what this is about
    Entry._save = _around(passed, "a journal write", save)  # type: ignore[method-assign] # noqa: SLF001 - as above
    return passed


def _around(passed: Passed, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        passed.at(f"before {name}")
        result = function(*args, **kwargs)
        passed.at(f"after {name}")
        return result

    return wrapped


def _around_block(
    passed: Passed, name: str, function: Callable[..., AbstractContextManager[Any]]
) -> Callable[..., AbstractContextManager[Any]]:
    @contextmanager
    def wrapped(*args: Any, **kwargs: Any) -> Iterator[Any]:
        passed.at(f"before {name}")
        with function(*args, **kwargs) as value:
            passed.at(f"in {name}")
            yield value
            passed.at(f"at the end of {name}")
        passed.at(f"after {name}")

    return wrapped

"""How acts are undone: a function for each kind, by name, so that another process can do it later."""

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Handler = Callable[[str], None]
_HANDLERS: dict[str, Handler] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to undo: the name of a handler, what it is called with, and the module that registers it."""

    kind: str
    target: str
    module: str

    @classmethod
    def of(cls, kind: str, target: str | Path) -> "Action":
        """An action of a kind that has a handler."""
        return cls(kind=kind, target=str(target), module=_HANDLERS[kind].__module__)

    def undo(self) -> None:
        """Call the handler; the process that undoes may be another one, which has not loaded its module yet."""
        if self.kind not in _HANDLERS:
            importlib.import_module(self.module)
        _HANDLERS[self.kind](self.target)


def undoes(kind: str) -> Callable[[Handler], Handler]:
    """Register the function that undoes actions of this kind; it gets the action's target.

    The entry names the function's module, so that a later command that knows nothing of the kind can load it.
    """

    def register(handler: Handler) -> Handler:
        _HANDLERS[kind] = handler
        return handler

    return register

"""What commands share: tables and JSON for people and programs, sizes in words, root, the store."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from galaxy.host.errors import HostError, InputError
from galaxy.host.files import size
from galaxy.host.progress import say
from galaxy.host.recovery import recover
from galaxy.host.store import Store, default_store

__all__ = ["found_store", "need_root", "print_json", "ready_store", "settle", "size", "table"]


def table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print columns as wide as their widest cell; the last one is not padded, so that lines can be cut."""
    cells = [[str(cell) for cell in row] for row in (headers, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def print_json(value: Any) -> None:
    """Print a value as indented JSON, in ASCII: names of files may be what no encoding has; paths become strings."""
    print(json.dumps(value, indent=2, default=_plain))


def need_root(purpose: str) -> None:
    """HostError unless this process is root."""
    if os.geteuid() != 0:
        raise HostError(f"{purpose} needs root", "Run it again with sudo.")


def found_store() -> Store:
    """The store for a command that only looks; HostError when something else is where its root should be."""
    store = default_store()
    place = next(path for path in (store.root, *store.root.parents) if path.exists())
    if not place.is_dir():
        raise HostError(
            f"the store cannot be {store.root}: {place} is no folder", "Set GALAXY_ROOT to a folder."
        )
    return store


def ready_store(purpose: str, subject: str | None = None) -> Store:
    """The store for a command that changes things: as root, made if absent, what was interrupted undone.

    `subject`: the server that it is about: of what could not be undone before only that is tried again, for a server
    shall not wait for another.
    """
    need_root(purpose)
    store = found_store().ensure()
    settle(store, subject)
    return store


def settle(store: Store, subject: str | None = None) -> None:
    """Undo what was interrupted. What cannot be undone is told: it must not keep another server from being started."""
    try:
        for line in recover(store, subject):
            say(line)
    except (HostError, InputError) as error:  # InputError: another command has been at it for long
        say(f"warning: {error}")


def _plain(value: Any) -> str:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no place in JSON")

"""One command at a time on one thing: advisory file locks that say who holds them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from filelock import FileLock, Timeout

from galaxy.host.errors import InputError
from galaxy.host.store import Store


@contextmanager
def locked(store: Store, name: str, *, wait: float = 10.0) -> Iterator[None]:
    """Hold the lock `name` for the block; waits up to `wait` seconds, then InputError says who holds it.

    The kernel drops the lock when the process ends, however it ends.
    """
    store.locks.mkdir(parents=True, exist_ok=True)
    holder = store.locks / f"{name}.holder"
    lock = FileLock(store.locks / f"{name}.lock")
    try:
        lock.acquire(timeout=wait)
    except Timeout:
        who = holder.read_text(encoding="utf-8").strip() if holder.exists() else "another command"
        raise InputError(f"{name} is in use by {who}", "Wait until it has ended, then try again.") from None
    try:
        with suppress(OSError):  # words for others; a full disk must not keep anybody from freeing space
            holder.write_text(f"galaxy {_verb()} (process {os.getpid()})\n", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _verb() -> str:
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "galaxy")

"""One command at a time on one thing: advisory file locks that say who holds them."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from galaxy.host.errors import InputError
from galaxy.host.progress import say
from galaxy.host.store import Store

# What all stores of a host share is locked here.
HOST = Path("/run/galaxy")


@contextmanager
def locked(store: Store, name: str, *, wait: float = 10.0) -> Iterator[None]:
    """Hold a store's lock for the block; waits up to `wait` seconds with a word, then InputError says who holds it.

    The kernel drops the lock when the process ends, however it ends.
    """
    with _locked(store.locks, name, wait):
        yield


@contextmanager
def host_locked(name: str, *, wait: float = 10.0) -> Iterator[None]:
    """The same for what belongs to the host, whichever store asks."""
    HOST.mkdir(mode=0o700, exist_ok=True)
    with _locked(HOST, name, wait):
        yield


@contextmanager
def _locked(folder: Path, name: str, wait: float) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / f"{name}.holder"
    lock = FileLock(folder / f"{name}.lock")
    what = name.removeprefix("server-") if name.startswith("server-") else name.replace("-", " ")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{what} is in use by {_who(holder)}; waiting for it")
        _wait(lock, what, holder, wait)
    try:
        with suppress(OSError):  # words for others; a full disk must not keep anybody from freeing space
            holder.write_text(f"galaxy {_verb()} (process {os.getpid()})\n", encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def at_work(store: Store, name: str) -> str:
    """Who holds the lock `name` now; '' when nobody does."""
    file = store.locks / f"{name}.lock"
    if not file.exists():
        return ""
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        return _who(store.locks / f"{name}.holder")
    lock.release()
    return ""


def _wait(lock: FileLock, what: str, holder: Path, seconds: float) -> None:
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        raise InputError(
            f"{what} is in use by {_who(holder)}", "Wait until it has ended, then try again."
        ) from None


def _who(holder: Path) -> str:
    with suppress(OSError):
        return holder.read_text(encoding="utf-8").strip()
    return "another command"


def _verb() -> str:
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "galaxy")

"""Keeping everybody from writing a server's databases for a moment, without the server's help.

Samba's databases are TDB files, or LMDB files that change only inside a TDB's transaction. A TDB is locked by byte
ranges of its file (lib/tdb/common/lock.c), and who holds the right ones holds the writers: they wait in the kernel
for their turn, as they do for each other, while readers go on. The locks belong to our open files: however this
process ends, the kernel drops them.
"""

import errno
import fcntl
import os
import stat
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import ServerError
from galaxy.server.config import Server

MAGIC = b"TDB file\n"
# From lib/tdb/common/tdb_private.h: the byte that a transaction holds from start to end, and where the bytes of the
# free list and the hash chains begin, which a write without a transaction holds.
_TRANSACTION_LOCK = 8
_FREE_LIST = 164
# Every transaction of the directory takes this one first and gives it back last, whatever its partitions are kept in
# (partition_start_trans in source4/dsdb/samdb/ldb_modules/partition.c).
_FIRST = Path("private/sam.ldb.d/metadata.tdb")
_WAIT = 10.0
_PAUSE = 0.002
_FLOCK = "hhxxxxqqixxxx"


@dataclass(slots=True)
class Held:
    """How long writers were held, in seconds; known once the block has ended."""

    since: float = 0.0
    seconds: float = 0.0

    def end(self) -> None:
        """They are let go now."""
        self.seconds = time.monotonic() - self.since


@contextmanager
def writers_held(server: Server, wait: float = _WAIT) -> Iterator[Held]:
    """Nobody writes a database of the server while the block lasts; who tries waits, readers go on.

    ServerError when writers could not be held within `wait` seconds. Do little in the block: clients wait for it.
    """
    deadline = time.monotonic() + wait
    held = Held()
    while True:
        databases = _databases(server)
        with ExitStack() as stack:
            stack.enter_context(first_in_line())
            if _take_all(stack, databases, deadline, held):
                stack.callback(held.end)
                yield held
                return
        if time.monotonic() >= deadline:
            raise ServerError(
                f"a program has been writing a database of {server.name} for {wait:g} s without a break",
                "Wait until it has ended, or stop the server, then try again.",
            )
        # Whoever holds what we could not get may wait for what we have just given back.
        time.sleep(_PAUSE)


@contextmanager
def first_in_line() -> Iterator[None]:
    """On a busy host, the one that all others wait for runs before them, if the kernel lets it."""
    before = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    except PermissionError:
        yield
        return
    try:
        yield
    finally:
        os.sched_setscheduler(0, *before)


def is_tdb(path: Path) -> bool:
    """Whether a file is a TDB by its first bytes; a file that has just vanished is none."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except FileNotFoundError:
        return False


def _databases(server: Server) -> list[Path]:
    """The server's TDB files; the one that all transactions of the directory begin with comes first.

    Each by one of its names only: what we have locked by one is not free by another, not for us either.
    """
    files = (
        Path(folder) / name
        for root in (server.state, server.cache)
        for folder, _, names in os.walk(root)
        for name in names
        if name.endswith((".tdb", ".ldb"))
    )
    first = server.state / _FIRST
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(files, key=lambda path: (path != first, path)):
        file = _file(path)
        if file is not None and is_tdb(path):
            found.setdefault(file, path)
    return list(found.values())


def _file(path: Path) -> tuple[int, int] | None:
    """Which file a name is of; None for a link, which is of another's file, and for what is none or has just gone."""
    try:
        there = path.lstat()
    except FileNotFoundError:
        return None
    return (there.st_dev, there.st_ino) if stat.S_ISREG(there.st_mode) else None


def _take_all(stack: ExitStack, databases: list[Path], deadline: float, times: Held) -> bool:
    """Lock every database. Only the first is waited for, as nothing is held then that others could wait for."""
    for number, path in enumerate(databases):
        try:
            handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            continue
        stack.callback(os.close, handle)
        if number == 0:
            held = _wait_for(handle, deadline)
            times.since = time.monotonic()
        else:
            held = _try(handle, fcntl.F_WRLCK, _TRANSACTION_LOCK, 1)
        if not held or not _try(handle, fcntl.F_RDLCK, _FREE_LIST, 0):
            return False
    return True


def _try(handle: int, kind: int, start: int, length: int) -> bool:
    """Lock a range (length 0: to the end, wherever it will be) for this open file; False when it is not free."""
    try:
        fcntl.fcntl(handle, fcntl.F_OFD_SETLK, _flock(kind, start, length))
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


def _wait_for(handle: int, deadline: float) -> bool:
    """Queue up for a database's transactions: who only tries may never find a busy one free.

    The kernel's wait knows no deadline, so it is a thread's. Past the deadline the thread is left to itself; when its
    turn comes it closes what is then the last descriptor of the file, and the lock is gone.
    """
    if _try(handle, fcntl.F_WRLCK, _TRANSACTION_LOCK, 1):
        return True
    own = os.dup(handle)  # of the same open file: what it locks is locked by `handle`
    ended = threading.Event()

    def queue() -> None:
        try:
            fcntl.fcntl(own, fcntl.F_OFD_SETLKW, _flock(fcntl.F_WRLCK, _TRANSACTION_LOCK, 1))
        finally:
            os.close(own)
            ended.set()

    threading.Thread(target=queue, name="waiting for a database", daemon=True).start()
    in_time = ended.wait(max(0.0, deadline - time.monotonic()))
    return in_time and _try(handle, fcntl.F_WRLCK, _TRANSACTION_LOCK, 1)


def _flock(kind: int, start: int, length: int) -> bytes:
    return struct.pack(_FLOCK, kind, os.SEEK_SET, start, length, 0)

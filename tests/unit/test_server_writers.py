"""Writers are held at the bytes at which Samba's own processes wait for each other; here a test plays Samba."""

import fcntl
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from galaxy.host.errors import ServerError
from galaxy.host.process import background
from galaxy.host.store import Store
from galaxy.server import writers
from galaxy.server.config import Server, ServerConfig
from galaxy.server.writers import writers_held

METADATA = "private/sam.ldb.d/metadata.tdb"
TRANSACTION, FREE_LIST, FIRST_CHAIN = 8, 164, 168


@pytest.fixture
def server(tmp_path: Path, config_with: Callable[..., ServerConfig]) -> Server:
    found = Server(store=Store(root=tmp_path).ensure(), config=config_with())
    (found.state / "private/sam.ldb.d").mkdir(parents=True)
    for name in (METADATA, "private/sam.ldb", "private/secrets.tdb", "share_info.tdb"):
        (found.state / name).write_bytes(b"TDB file\n".ljust(8192, b"\0"))
    (found.state / "private/sam.ldb.d/DC=LMDB.ldb").write_bytes(b"\xde\xc0\xef\xbe".ljust(8192, b"\0"))
    found.write()
    return found


@contextmanager
def locked(path: Path, start: int) -> Iterator[None]:
    """Hold a byte for writing. As an open file's lock: Samba's kind would go when this process closes another one."""
    with path.open("r+b") as file:
        fcntl.fcntl(file, fcntl.F_OFD_SETLK, struct.pack("hhxxxxqqixxxx", fcntl.F_WRLCK, 0, start, 1, 0))
        yield


def can(path: Path, kind: int, start: int, length: int = 1) -> bool:
    """Whether a range of bytes can be locked as TDB does it (fcntl(2), F_SETLK)."""
    with path.open("r+b") as file:
        try:
            fcntl.lockf(file, kind | fcntl.LOCK_NB, length, start)
        except BlockingIOError:
            return False
        return True


@pytest.mark.parametrize("name", [METADATA, "private/sam.ldb", "private/secrets.tdb", "share_info.tdb"])
def test_no_transaction_and_no_write_begins_while_readers_go_on(server: Server, name: str) -> None:
    path = server.state / name
    with writers_held(server):
        assert not can(path, fcntl.LOCK_EX, TRANSACTION)
        assert not can(path, fcntl.LOCK_EX, FIRST_CHAIN)
        assert not can(path, fcntl.LOCK_EX, FREE_LIST)
        assert not can(path, fcntl.LOCK_EX, 1_000_000), "a record's lock"
        assert can(path, fcntl.LOCK_SH, FIRST_CHAIN)
        assert can(path, fcntl.LOCK_SH, FIRST_CHAIN, 0), "all records, as a search takes them"
        assert can(path, fcntl.LOCK_EX, 0), "the lock of opening a database"
    assert can(path, fcntl.LOCK_EX, TRANSACTION)
    assert can(path, fcntl.LOCK_EX, FREE_LIST, 0)


def test_what_is_no_tdb_is_left_alone(server: Server) -> None:
    with writers_held(server):
        assert can(server.state / "private/sam.ldb.d/DC=LMDB.ldb", fcntl.LOCK_EX, 0, 0)


def test_a_database_with_two_names_is_held_by_one(server: Server) -> None:
    """Two open files of one process keep each other out, too."""
    (server.state / "twin.tdb").hardlink_to(server.state / "private/secrets.tdb")
    (server.state / "again.tdb").hardlink_to(server.state / METADATA)
    with writers_held(server, wait=1.0):
        assert not can(server.state / "twin.tdb", fcntl.LOCK_EX, TRANSACTION)
        assert not can(server.state / METADATA, fcntl.LOCK_EX, TRANSACTION)


def test_a_link_is_no_database(server: Server, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.tdb"
    elsewhere.write_bytes((server.state / METADATA).read_bytes())
    (server.state / "link.tdb").symlink_to(elsewhere)
    (server.state / "own.tdb").symlink_to(server.state / METADATA)
    (server.state / "broken.tdb").symlink_to(tmp_path / "nowhere")
    with writers_held(server, wait=1.0):
        assert can(elsewhere, fcntl.LOCK_EX, TRANSACTION)
        assert not can(server.state / METADATA, fcntl.LOCK_EX, TRANSACTION)


def test_a_database_that_comes_while_others_are_waited_for_is_held_too(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = server.state / "new.tdb"
    with ExitStack() as writer:
        writer.enter_context(locked(server.state / "share_info.tdb", TRANSACTION))

        def end(_pause: float) -> None:
            new.write_bytes((server.state / METADATA).read_bytes())
            writer.close()

        monkeypatch.setattr(writers, "time", SimpleNamespace(monotonic=time.monotonic, sleep=end))
        with writers_held(server):
            assert not can(new, fcntl.LOCK_EX, TRANSACTION)


def test_nothing_is_written_to_the_databases(server: Server) -> None:
    before = {path: _change(path) for path in server.state.rglob("*") if path.is_file()}
    with writers_held(server):
        pass
    assert {path: _change(path) for path in before} == before


@pytest.mark.parametrize("name", [METADATA, "share_info.tdb"])
def test_it_waits_for_a_transaction_to_end(server: Server, name: str) -> None:
    ended = 0.0

    def transaction() -> None:
        nonlocal ended
        with locked(server.state / name, TRANSACTION):
            began.set()
            time.sleep(0.2)
            ended = time.monotonic()

    began = threading.Event()
    thread = threading.Thread(target=transaction)
    thread.start()
    began.wait(5)
    with writers_held(server) as held:
        taken = time.monotonic()
    thread.join()
    assert taken >= ended
    assert held.seconds < 0.15, "the wait for the transaction is not the clients'"


@pytest.mark.parametrize("name", [METADATA, "private/sam.ldb"])
def test_a_writer_without_end_is_told_and_nothing_stays_held(server: Server, name: str) -> None:
    with locked(server.state / name, TRANSACTION):
        with pytest.raises(ServerError, match="a database of dc1"), writers_held(server, wait=0.1):
            pytest.fail("held beside a writer")
        others = {METADATA, "private/sam.ldb", "share_info.tdb"} - {name}
        assert all(can(server.state / other, fcntl.LOCK_EX, TRANSACTION) for other in others)
    deadline = time.monotonic() + 5
    while not can(server.state / name, fcntl.LOCK_EX, TRANSACTION):
        assert time.monotonic() < deadline, "the thread that waited keeps what it got too late"
        time.sleep(0.01)


def test_nothing_that_others_wait_for_is_held_while_waiting(server: Server) -> None:
    """Or a transaction that goes on to the next database would wait for us, and we for it."""
    with locked(server.state / "share_info.tdb", TRANSACTION):
        thread = threading.Thread(target=lambda: done.append(_hold(server)))
        done: list[bool] = []
        thread.start()
        tries = [can(server.state / METADATA, fcntl.LOCK_EX, TRANSACTION) for _ in _often(0.2)]
        assert any(tries)
    thread.join(5)
    assert done == [True]


def test_a_block_that_fails_lets_writers_go(server: Server) -> None:
    with pytest.raises(ValueError, match="boom"), writers_held(server):
        raise ValueError("boom")
    assert can(server.state / METADATA, fcntl.LOCK_EX, TRANSACTION)


HOLDER = """
import sys, time
from pathlib import Path
from galaxy.host.store import Store
from galaxy.server.config import load
from galaxy.server.writers import writers_held
with writers_held(load(Store(root=Path(sys.argv[1])), "dc1")):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_killed_holder_holds_nothing(server: Server, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with background([sys.executable, "-c", HOLDER, server.store.root], log=log) as process:
        deadline = time.monotonic() + 20
        while "held" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        assert not can(server.state / METADATA, fcntl.LOCK_EX, TRANSACTION)
        os.kill(process.pid, signal.SIGKILL)
        process.wait(5)
        assert can(server.state / METADATA, fcntl.LOCK_EX, TRANSACTION)
        assert can(server.state / "private/secrets.tdb", fcntl.LOCK_EX, TRANSACTION)


def _change(path: Path) -> tuple[int, bytes]:
    return path.stat().st_ctime_ns, path.read_bytes()


def _hold(server: Server) -> bool:
    with writers_held(server):
        return True


def _often(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.001)

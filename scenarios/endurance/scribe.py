"""A client that writes users and files about as fast as the server acknowledges, and lists what was acknowledged.

It runs as a process of its own (`python -m scenarios.endurance.scribe TARGET FOLDER`), connects anew whenever it must,
and writes a name into a list only after the server has said that it is done. What a name stands for, password and
contents, follows from the name, so the list holds no secret and the reader needs nothing else.
"""

import hashlib
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from smbprotocol.open import CreateDisposition
from smbprotocol.tree import TreeConnect

from galaxy.host.process import replace_self
from verify.clients import smb
from verify.clients.kerberos import Kerberos
from verify.clients.ldap import Ldap, LdapRefusedError, Session
from verify.target import Target, load_target

USERS, FILES = "users.txt", "files.txt"
CONTAINER = "OU=Scribe"
FOLDER = "scribe"
_USER = 0x200
_FILE_BYTES = 5000
# Seconds: how long one try to connect may take, and how long a client waits after one that failed.
_TRY = 1.0
_PAUSE = 0.05
# After each acknowledgement: without it two clients keep both processors of a small host busy in Samba, and galaxy,
# which is to be interrupted, takes ten times as long to get anywhere.
_BREATH = 0.01
# For how many seconds one kind of writes may come to nothing before all connections are given up.
_STUCK = 15


def password_of(name: str) -> str:
    """The password of a user of ours."""
    return "Aa1-" + hashlib.sha256(name.encode()).hexdigest()[:20]


def contents_of(name: str) -> bytes:
    """The contents of a file of ours: longer than a block of most file systems, and all its own."""
    seed = hashlib.sha256(name.encode()).digest()
    return (seed * (_FILE_BYTES // len(seed) + 1))[:_FILE_BYTES]


def dn_of(target: Target, name: str) -> str:
    """The DN of a user of ours."""
    return f"CN={name},{CONTAINER},{target.base_dn}"


@contextmanager
def ldap_session(target: Target, user: str = "", password: str = "") -> Iterator[Session]:
    """A session over TLS with a connection of its own; the administrator's by default."""
    with tempfile.TemporaryDirectory(prefix="galaxy-scribe-") as folder:
        sessions = Ldap(target, Kerberos(target, Path(folder)))
        try:
            yield sessions.simple(
                user or target.admin_principal, password or target.password, transport="tls"
            )
        finally:
            sessions.close()


@contextmanager
def sysvol(target: Target) -> Iterator[TreeConnect]:
    """The share sysvol by a connection of its own."""
    with smb.connected(target) as connection:
        yield smb.tree(smb.log_on(connection, target), target, "sysvol")


def add_user(session: Session, target: Target, name: str) -> None:
    """Make a user with a password."""
    session.add(
        dn_of(target, name),
        {
            "objectClass": "user",
            "sAMAccountName": name,
            "unicodePwd": f'"{password_of(name)}"'.encode("utf-16-le"),
            "userAccountControl": _USER,
        },
    )


def add_file(share: TreeConnect, name: str) -> None:
    """Make a file; it counts once it has been closed."""
    file, _ = smb.open_file(share, rf"{FOLDER}\{name}", disposition=CreateDisposition.FILE_CREATE)
    file.write(contents_of(name), 0)
    file.close(get_attributes=False)


def _write_users(target: Target, acknowledged: Callable[[str], None], fresh: Iterator[str]) -> None:
    with ldap_session(target) as session:
        for name in fresh:
            add_user(session, target, name)
            acknowledged(name)
            time.sleep(_BREATH)


def _write_files(target: Target, acknowledged: Callable[[str], None], fresh: Iterator[str]) -> None:
    with sysvol(target) as share:
        for name in fresh:
            add_file(share, name)
            acknowledged(name)
            time.sleep(_BREATH)


def _forever(work: Callable[[], None], target: Target, port: int, log: Callable[[str], None]) -> None:
    """Go on, whatever becomes of the connection; what the server refuses is written down, and counts as nothing."""
    while True:
        try:
            socket.create_connection((target.address, port), timeout=_TRY).close()
            work()
        except LdapRefusedError as refusal:
            log(f"refused: {refusal}")
        except Exception as error:  # noqa: BLE001 - of a connection that breaks the libraries make errors of all kinds
            log(f"port {port}: {type(error).__name__}: {error}")
        time.sleep(_PAUSE)


class _Watched:
    """A list, and for how many looks in a row nothing has come to it."""

    def __init__(self, file: Path) -> None:
        self._note = _list_in(file)
        self.idle = 0

    def acknowledged(self, name: str) -> None:
        """The server has said that it is done."""
        self._note(name)
        self.idle = 0


def _names(kind: str, folder: Path) -> Iterator[str]:
    """Names that no run before this one has used."""
    run = hashlib.sha256(f"{folder}{time.time_ns()}".encode()).hexdigest()[:6]
    number = 0
    while True:
        yield f"{kind}{run}{number}"
        number += 1


def _list_in(file: Path) -> Callable[[str], None]:
    sink = file.open("a", encoding="utf-8", buffering=1)

    def note(line: str) -> None:
        sink.write(line.replace("\n", " ") + "\n")

    return note


def main() -> None:
    """Write until somebody ends this process."""
    target, folder = load_target(Path(sys.argv[1])), Path(sys.argv[2])
    log = _list_in(folder / "scribe.log")
    users, files = _Watched(folder / USERS), _Watched(folder / FILES)
    user_names, file_names = _names("u", folder), _names("f", folder)
    threads = [
        threading.Thread(
            target=_forever,
            args=(lambda: _write_users(target, users.acknowledged, user_names), target, 636, log),
            daemon=True,
        ),
        threading.Thread(
            target=_forever,
            args=(lambda: _write_files(target, files.acknowledged, file_names), target, 445, log),
            daemon=True,
        ),
    ]
    for thread in threads:
        thread.start()
    # A connection whose other end has gone without a word may be waited on for ever, deep in a library. Looks are
    # counted, and not seconds: this process is stopped at times.
    while max(users.idle, files.idle) < _STUCK:
        time.sleep(1)
        users.idle += 1
        files.idle += 1
    log(f"nothing for {users.idle} and {files.idle} s: beginning anew")
    replace_self([sys.executable, "-m", "scenarios.endurance.scribe", *sys.argv[1:]], env=dict(os.environ))


if __name__ == "__main__":
    main()

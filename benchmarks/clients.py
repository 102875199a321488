"""People at work, for the server's sake: `python -m benchmarks.clients ADDRESS REALM DOMAIN PASSWORD-FILE HOW-MANY`.

Each has an LDAP connection that searches and an SMB session that writes a file, three times a second, and connects anew
when it must. They are there to be in the way; what they see is not counted.
"""

import ssl
import sys
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import ldap3
from ldap3.core.exceptions import LDAPException
from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException
from smbprotocol.open import CreateDisposition, CreateOptions, FileAttributes, ImpersonationLevel, Open
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

_EVERY = 0.3
_AGAIN = 0.5
_PATIENCE = 5
_READ_WRITE = 0x0012019F  # MS-SMB2 2.2.13.1.1: what `FILE_GENERIC_READ | FILE_GENERIC_WRITE` amounts to
_SHARE_ALL = 7


def search(address: str, realm: str, password: str) -> None:
    """Search for users until the connection is lost."""
    server = ldap3.Server(
        address, use_ssl=True, tls=ldap3.Tls(validate=ssl.CERT_NONE), connect_timeout=_PATIENCE
    )
    user = f"administrator@{realm.lower()}"
    base = ",".join(f"DC={part}" for part in realm.lower().split("."))
    with ldap3.Connection(
        server, user, password, auto_bind=True, receive_timeout=_PATIENCE, check_names=False
    ) as connection:
        while True:
            connection.search(base, "(objectClass=user)", attributes=["cn"])
            time.sleep(_EVERY)


def write(address: str, domain: str, password: str, name: str) -> None:
    """Write a file again and again until the connection is lost."""
    connection = Connection(uuid.uuid4(), address)
    connection.connect(timeout=_PATIENCE)
    try:
        session = Session(connection, f"{domain}\\administrator", password, auth_protocol="ntlm")
        session.connect()
        tree = TreeConnect(session, rf"\\{address}\sysvol")
        tree.connect()
        while True:
            file = Open(tree, name)
            file.create(
                ImpersonationLevel.Impersonation,
                _READ_WRITE,
                FileAttributes.FILE_ATTRIBUTE_NORMAL,
                _SHARE_ALL,
                CreateDisposition.FILE_OVERWRITE_IF,
                CreateOptions.FILE_NON_DIRECTORY_FILE,
            )
            file.write(b"x" * 4096, 0)
            file.close()
            time.sleep(_EVERY)
    finally:
        connection.disconnect(close=False)


def _for_ever(what: Callable[[], None]) -> None:
    while True:
        try:
            what()
        except (OSError, ValueError, LDAPException, SMBException):
            time.sleep(_AGAIN)


def main() -> None:
    """Work until killed."""
    address, realm, domain, file, many = sys.argv[1:]
    password = Path(file).read_text(encoding="utf-8").strip()
    for number in range(int(many)):
        for what in (
            lambda: search(address, realm, password),
            lambda name=f"work-{number}.txt": write(address, domain, password, name),
        ):
            threading.Thread(target=_for_ever, args=(what,), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()

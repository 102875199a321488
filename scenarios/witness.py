"""What steps write into a domain, so that a later look can tell whether it was kept.

The LDAP client is loaded when the first step needs it: the process that only hands out cells never does.
"""

import secrets
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from scenarios.world import World
from verify.target import Target

if TYPE_CHECKING:
    from verify.clients.ldap import Session

_USER = 0x200
# Enough acknowledged writes that others are in flight when the server dies, in at most so many seconds.
_WRITES = 25
_WRITES_DEADLINE = 30.0


def write_account(world: World, *, ballast: int = 0) -> None:
    """Make a user with a password, and remember both; `ballast` bytes of it take room (at most 102400)."""
    target = world.target()
    name, password = f"kept{secrets.token_hex(3)}", f"Aa1-{secrets.token_urlsafe(12)}"
    dn = f"CN={name},CN=Users,{target.base_dn}"
    photo = {"thumbnailPhoto": secrets.token_bytes(ballast)} if ballast else {}
    with _session(target) as session:
        session.add(
            dn,
            {
                "objectClass": "user",
                "sAMAccountName": name,
                "unicodePwd": f'"{password}"'.encode("utf-16-le"),
                "userAccountControl": _USER,
                **photo,
            },
        )
    world.written[dn] = password


def require_kept(world: World) -> int:
    """Find everything again that was remembered, each account by a bind with its password; returns how many."""
    target = world.target()
    with _session(target) as session:
        found = {entry.dn.lower() for entry in session.search(target.base_dn, _QUERY, ["cn"])}
    lost = [dn for dn in world.written if dn.lower() not in found]
    assert not lost, f"{len(lost)} of {len(world.written)} acknowledged writes are lost: {lost[0]}"
    for dn, password in world.written.items():
        if password:
            with _session(target, dn, password):
                """The bind is the proof."""
    return len(world.written)


_QUERY = "(|(cn=kept*)(cn=burst*))"


def last_rid(world: World) -> int:
    """The highest RID that an account of the domain has, of now."""
    target = world.target()
    with _session(target) as session:
        found = session.search(target.base_dn, "(sAMAccountName=*)", ["objectSid"])
    return max(int.from_bytes(entry.raw("objectSid")[-4:], "little") for entry in found)


def require_new_sids(world: World, given: int) -> None:
    """An account that is made now has a SID that none had before: the last of those was `given`."""
    write_account(world)
    rid = last_rid(world)
    assert rid > given, (
        f"an account that is made now gets a SID that was another's: the last is {rid}, it was {given}"
    )


@contextmanager
def writing(world: World) -> Iterator[Sequence[str]]:
    """Write objects one after the other until the server stops answering; all acknowledged ones are remembered.

    The block begins when enough are acknowledged, with the writer still at work; it gets the growing list of their DNs.
    """
    target = world.target()
    acknowledged: list[str] = []
    enough = threading.Event()
    failures: list[Exception] = []

    def write() -> None:
        try:
            with _session(target) as session:
                _write_until_it_ends(session, target, acknowledged, enough)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the end is an error too
            failures.append(error)
            enough.set()

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    try:
        assert enough.wait(_WRITES_DEADLINE), f"only {len(acknowledged)} writes in {_WRITES_DEADLINE:g} s"
        assert len(acknowledged) >= _WRITES, f"the server refused a write: {failures[0]}"
        yield acknowledged
    finally:
        writer.join(_WRITES_DEADLINE)
    assert not writer.is_alive(), "the client still waits for a server that is dead"
    world.written.update(dict.fromkeys(acknowledged, ""))


def _write_until_it_ends(
    session: "Session", target: Target, acknowledged: list[str], enough: threading.Event
) -> None:
    """Add contacts until an operation fails, which is how this ends: the server is killed."""
    burst = secrets.token_hex(3)
    number = 0
    while True:
        dn = f"CN=burst-{burst}-{number},CN=Users,{target.base_dn}"
        session.add(dn, {"objectClass": "contact"})
        acknowledged.append(dn)
        number += 1
        if number == _WRITES:
            enough.set()


@contextmanager
def _session(target: Target, user: str = "", password: str = "") -> Iterator["Session"]:
    """A bound session of its own, by default the administrator's."""
    from verify.clients.kerberos import Kerberos  # noqa: PLC0415 - see above
    from verify.clients.ldap import Ldap  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="galaxy-step-") as folder:
        sessions = Ldap(target, Kerberos(target, Path(folder)))
        try:
            yield sessions.simple(user or target.admin_principal, password or target.password)
        finally:
            sessions.close()

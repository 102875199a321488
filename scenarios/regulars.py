"""Clients that are at work while a server is switched under them, and what must be true of them afterwards.

One copies a file over SMB, one searches over LDAP, both connecting anew when they must; Kerberos tickets got before
must be good afterwards, and so must a service's keytab. They never see the switch coming. That they are cut off or have
to wait is the switch's way; that a server answers them with an error is a failure.
"""

import secrets
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scenarios.bounds import CLIENT_SECONDS, require_within
from scenarios.tickets import use_tickets
from scenarios.world import World
from verify.target import Target

if TYPE_CHECKING:
    from smbprotocol.open import Open

    from verify.clients.kerberos import Kerberos

_BLOCK = 64 * 1024
_FILE = 24 * 1024 * 1024
# Between two blocks, so that the copy is still going on when the server goes away.
_PACE = 0.03
# How long a client goes on trying, and how long after the switch the clients may take to end their work, in seconds.
_PATIENCE = 20.0
_END = 60.0
_RETRY = 0.05
Figures = Mapping[str, float]


@dataclass(slots=True)
class _Client:
    """One client's story: how often it had to connect anew, the longest time it got nothing done, and how it ended."""

    stop: threading.Event
    reconnects: int = 0
    longest: float = 0.0
    failure: str = ""
    moment: float = field(default_factory=time.monotonic)

    def got_something(self) -> None:
        """Something was done just now."""
        now = time.monotonic()
        self.longest = max(self.longest, now - self.moment)
        self.moment = now

    def patient(self) -> bool:
        """Whether it may still wait for the server."""
        return time.monotonic() - self.moment < _PATIENCE


@contextmanager
def at_work(world: World, figures: dict[str, float]) -> Iterator[None]:
    """Clients work while the block lasts and a little longer; AssertionError when one of them was harmed."""
    target = world.target()
    stop = threading.Event()
    copier, searcher = _Client(stop), _Client(stop)
    with tempfile.TemporaryDirectory(prefix="galaxy-clients-") as folder:
        before = _Tickets(target, Path(folder))
        threads = [
            _thread(lambda: _copy(target, copier), copier),
            _thread(lambda: _search(target, searcher, before.cache), searcher),
        ]
        try:
            yield
        finally:
            stop.set()
            for thread in threads:
                thread.join(_END)
        assert not any(thread.is_alive() for thread in threads), "a client still waits for the server"
        for name, client in (("SMB", copier), ("LDAP", searcher)):
            assert not client.failure, f"the {name} client was harmed: {client.failure}"
            require_within(client.longest, CLIENT_SECONDS, f"the {name} client's wait")
        before.require_good(world.target())
    figures.update(
        smb_client_reconnects=copier.reconnects,
        smb_client_longest_s=copier.longest,
        ldap_client_reconnects=searcher.reconnects,
        ldap_client_longest_s=searcher.longest,
    )


def _thread(work: Callable[[], None], client: _Client) -> threading.Thread:
    def run() -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to
            client.failure = f"{type(error).__name__}: {error}"

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _copy(target: Target, client: _Client) -> None:
    """Write a file block by block until the server has been switched, after a lost connection from where it was."""
    # Only the worker that walks needs it.
    from smbprotocol.exceptions import SMBException, SMBResponseException  # noqa: PLC0415

    from verify.clients import smb  # noqa: PLC0415

    name, copying = f"galaxy-copy-{secrets.token_hex(6)}.bin", _Copying()
    while not copying.whole:
        try:
            with smb.logged_on(target) as session:
                file, _ = smb.open_file(smb.tree(session, target, "sysvol"), name)
                client.got_something()
                copying.require_there(file)
                copying.go_on(file, client)
                file.close(get_attributes=False)
        except SMBResponseException:
            raise
        except (SMBException, OSError, ValueError) as error:
            client.reconnects += 1
            if not client.patient():
                raise AssertionError(f"no SMB for {_PATIENCE:g} s: {error}") from error
            time.sleep(_RETRY)
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "sysvol")
        file, _ = smb.open_file(share, name)
        copying.require_there(file)
        file.close(get_attributes=False)
        smb.remove(share, name)


class _Copying:
    """A file on its way: what of it the server has acknowledged, whichever connection that was on."""

    def __init__(self) -> None:
        self.whole = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        """Other bytes each time, so that none of before is taken for one of now."""
        self._data, self._done = secrets.token_bytes(_FILE), 0

    def require_there(self, file: "Open") -> None:
        """AssertionError unless every block that was acknowledged is in the file."""
        assert file.end_of_file >= self._done, (
            f"{self._done} octets were acknowledged, and the file has {file.end_of_file}"
        )
        for at in range(0, self._done, _BLOCK):
            assert file.read(at, _BLOCK) == self._data[at : at + _BLOCK], (
                f"other octets at {at} than were written"
            )

    def go_on(self, file: "Open", client: _Client) -> None:
        """Write from the last acknowledged block on until the file is whole; after the switch without pauses."""
        while self._done < _FILE:
            file.write(self._data[self._done : self._done + _BLOCK], self._done)
            self._done += _BLOCK
            client.got_something()
            if not client.stop.is_set():
                time.sleep(_PACE)
                if self._done == _FILE:  # the server has not been switched yet: once more from the start
                    self._begin_anew()
        self.whole = True


def _search(target: Target, client: _Client, cache: str) -> None:
    """Search with one Kerberos ticket from before, on one connection for as long as it lives, then on another."""
    from gssapi.raw.misc import GSSError  # noqa: PLC0415 - as above
    from ldap3.core.exceptions import LDAPException  # noqa: PLC0415

    from verify.clients.kerberos import Kerberos  # noqa: PLC0415
    from verify.clients.ldap import Ldap  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="galaxy-client-") as folder:
        kerberos = Kerberos(target, Path(folder))
        answered_after = False
        while not answered_after:
            sessions = Ldap(target, kerberos)
            try:
                session = sessions.gssapi(cache)
                while not answered_after:
                    found = session.read(target.base_dn, ["objectSid"])
                    assert found.raw("objectSid"), "the domain's object has lost its SID"
                    answered_after = client.stop.is_set()
                    client.got_something()
                    time.sleep(_PACE)
            except (LDAPException, GSSError, OSError) as error:
                client.reconnects += 1
                if not client.patient():
                    raise AssertionError(f"no LDAP for {_PATIENCE:g} s: {error}") from error
                time.sleep(_RETRY)
            finally:
                sessions.close()


class _Tickets:
    """Kerberos as it was before: an administrator's tickets for the server, and a service with a keytab."""

    def __init__(self, target: Target, folder: Path) -> None:
        self._folder = folder
        self.kerberos = self._client(target)
        self.cache = self.kerberos.admin
        self.services = (f"ldap/{target.fqdn}", f"cifs/{target.fqdn}")
        for service in self.services:
            self._require_ticket(service)
        self.service, self.keytab = _service(target, self.kerberos)
        self._require_ticket(self.service)

    def require_good(self, target: Target) -> None:
        """Use the old tickets without asking for new ones, then get one for the service and open it with its keytab."""
        from verify.clients.ldap import Ldap  # noqa: PLC0415 - as above

        sessions = Ldap(target, self.kerberos)
        try:
            known = use_tickets(target, self.kerberos, sessions, self.cache, target.admin_user)
            assert known == sessions.admin.sid(), (
                f"with a ticket from before the switch LDAP takes us for {known!r}"
            )
        finally:
            sessions.close()
        fresh = self._client(target)
        done = fresh.service_ticket(self.service, "-k", self.keytab)
        assert done.returncode == 0, (
            f"the service's keytab from before does not open a new ticket: {done.output.strip()}"
        )

    def _client(self, target: Target) -> "Kerberos":
        from verify.clients.kerberos import Kerberos  # noqa: PLC0415 - as above

        return Kerberos(target, self._folder)

    def _require_ticket(self, service: str) -> None:
        """A DC that has started for the first time may still be about to add its own names."""
        from verify.clients.waiting import REGISTRATION, within  # noqa: PLC0415 - as above

        said = [""]

        def given() -> bool:
            done = self.kerberos.service_ticket(service)
            said.append(done.output.strip())
            return done.returncode == 0

        assert within(REGISTRATION, given), f"no ticket for {service}: {said[-1]}"


def _service(target: Target, kerberos: "Kerberos") -> tuple[str, str]:
    """Make a service's account with a name of its own; returns its principal and a keytab with its key."""
    from verify.clients.ldap import Ldap  # noqa: PLC0415 - as above

    name, password = f"svc{secrets.token_hex(3)}", f"Aa1-{secrets.token_urlsafe(12)}"
    principal = f"galaxy/{name}.{target.dns_domain}"
    sessions = Ldap(target, kerberos)
    try:
        sessions.admin.add(
            f"CN={name},CN=Users,{target.base_dn}",
            {
                "objectClass": "user",
                "sAMAccountName": name,
                "userPrincipalName": f"{principal}@{target.realm}",
                "servicePrincipalName": principal,
                "unicodePwd": f'"{password}"'.encode("utf-16-le"),
                "userAccountControl": 0x200,
                "msDS-SupportedEncryptionTypes": "24",
            },
        )
    finally:
        sessions.close()
    return principal, _keytab(target, kerberos, principal, password)


def _keytab(target: Target, kerberos: "Kerberos", principal: str, password: str) -> str:
    """A keytab that opens the tickets of today."""
    kept = kerberos.keytab(f"{principal}@{target.realm}", password)
    done = kerberos.service_ticket(principal, "-k", kept)
    assert done.returncode == 0, f"the new service's keytab does not open its ticket: {done.output.strip()}"
    return kept

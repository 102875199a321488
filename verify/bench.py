"""What the checks of one place share: sessions, tickets, and an OU of their own that goes with them."""

import os
import secrets
import shutil
import socket
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from galaxy.host.process import process_identity, process_lives
from verify.check import NotApplicable
from verify.place import Place
from verify.record import hide
from verify.target import Target

# The clients are loaded by the first check that needs one, never by a process that only hands out items.
if TYPE_CHECKING:
    from verify.clients.dns import Dns
    from verify.clients.kerberos import Kerberos
    from verify.clients.ldap import Ldap, Session
    from verify.clients.upstream import Upstream


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user, computer or service that a check made; it is removed with the bench's OU."""

    name: str
    dn: str
    password: str = field(repr=False)
    realm: str
    sid: bytes

    @property
    def principal(self) -> str:
        """NAME@REALM."""
        return f"{self.name}@{self.realm}"


class Bench:
    """The shared things of one (cell, checkpoint), made when first asked for and ended together."""

    def __init__(self, place: Place, target: Target, config: pytest.Config) -> None:
        self.place = place
        self.target = target
        self._config = config
        self._stack = ExitStack()
        self._upstream = self._forwarded_to()
        self.watcher: Session | None = None
        self.folder = _folder()
        self._stack.callback(shutil.rmtree, self.folder)
        self._stack.enter_context(self.kerberos.known())

    @cached_property
    def kerberos(self) -> "Kerberos":
        """MIT Kerberos against the target."""
        from verify.clients.kerberos import Kerberos  # noqa: PLC0415 - see above

        return Kerberos(self.target, self.folder)

    @cached_property
    def ldap(self) -> "Ldap":
        """LDAP sessions with the target."""
        from verify.clients.ldap import Ldap  # noqa: PLC0415 - see above

        made = Ldap(self.target, self.kerberos)
        self._stack.callback(made.close)
        return made

    @cached_property
    def dns(self) -> "Dns":
        """DNS against the target."""
        from verify.clients.dns import Dns  # noqa: PLC0415 - see above

        return Dns(self.target, self.kerberos)

    def _forwarded_to(self) -> "Upstream | None":
        """What the target forwards to, while the bench lasts: whoever looks a name outside up would wait for it."""
        if not self.target.forwarder:
            return None
        from verify.clients.upstream import upstream  # noqa: PLC0415 - see above

        return self._stack.enter_context(upstream(self.target.forwarder))

    @property
    def upstream(self) -> "Upstream":
        """The name server that the target forwards to; not applicable where this host is none."""
        if self._upstream is None:
            raise NotApplicable(
                "needs a domain controller that forwards to this host (a target's `forwarder`)"
            )
        return self._upstream

    @property
    def admin(self) -> "Session":
        """The administrator's shared LDAP session."""
        return self.ldap.admin

    @cached_property
    def ou(self) -> str:
        """The DN of an OU for this worker's objects; removed with everything below at the end.

        `watcher` is a session that asked to be told of its changes. It is made here because Samba looks for changes
        every five seconds only, and the check that reads the answer comes later.
        """
        dn = f"OU=galaxy-verify-{secrets.token_hex(4)},{self.target.base_dn}"
        self._sweep()
        self.admin.add(dn, {"objectClass": "organizationalUnit", "adminDescription": _maker(os.getpid())})
        self._stack.callback(lambda: self.admin.delete(dn, tree=True))
        self.watcher = self.ldap.as_admin(transport="tls")
        self.watcher.subscribe(dn)
        self.admin.set(dn, description="changed after the watcher asked to be told")
        return dn

    def _sweep(self) -> None:
        """Remove the OUs of this host's processes that were killed, and so could not."""
        found = self.admin.search(
            self.target.base_dn, "(&(ou=galaxy-verify-*)(adminDescription=*))", ["adminDescription"]
        )
        for entry in found:
            if died(entry.one("adminDescription")):
                self.admin.delete(entry.dn, tree=True)

    @cached_property
    def user(self) -> Account:
        """An ordinary user for checks that neither change it nor try wrong passwords: making one costs 50 ms."""
        return self.account()

    def account(self, *, password: str = "", control: int = 0x200, **attributes: Any) -> Account:
        """A new user (another account with another userAccountControl) with a random name and password."""
        name = unique("gv")
        password = password or f"Aa1-{secrets.token_urlsafe(12)}"
        hide(self._config, password)
        dn = f"CN={name},{self.ou}"
        body: dict[str, Any] = {
            "objectClass": "user",
            "sAMAccountName": name,
            "userPrincipalName": f"{name}@{self.target.dns_domain}",
            "unicodePwd": f'"{password}"'.encode("utf-16-le"),
            "userAccountControl": control,
        }
        self.admin.add(dn, {**body, **attributes})
        sid = self.admin.read(dn, ["objectSid"]).raw("objectSid")
        return Account(name=name, dn=dn, password=password, realm=self.target.realm, sid=sid)

    def group(self, *members: str, **attributes: Any) -> str:
        """A new global security group; returns its DN."""
        name = unique("gg")
        dn = f"CN={name},{self.ou}"
        body: dict[str, Any] = {"objectClass": "group", "sAMAccountName": name}
        if members:
            body["member"] = list(members)
        self.admin.add(dn, {**body, **attributes})
        return dn

    def password_policy(
        self, applies_to: str, *, threshold: int = 0, precedence: int = 1, length: int = 7
    ) -> str:
        """A fine-grained password policy for a user or group; returns its DN, and it is removed at the end.

        It locks out after `threshold` wrong passwords (0: never), and wants `length` letters of a new one.

        It stands where such policies must stand (MS-ADTS 6.1.1.4.11.1), outside the bench's OU.
        """
        name = unique("gp")
        dn = f"CN={name},CN=Password Settings Container,CN=System,{self.target.base_dn}"
        day = str(-864_000_000_000)
        body = {
            "objectClass": "msDS-PasswordSettings",
            "msDS-PasswordSettingsPrecedence": str(precedence),
            "msDS-PasswordReversibleEncryptionEnabled": "FALSE",
            "msDS-PasswordHistoryLength": "1",
            "msDS-PasswordComplexityEnabled": "TRUE",
            "msDS-MinimumPasswordLength": str(length),
            "msDS-MinimumPasswordAge": "0",
            "msDS-MaximumPasswordAge": day,
            "msDS-LockoutThreshold": str(threshold),
            "msDS-LockoutObservationWindow": day,
            "msDS-LockoutDuration": day,
            "msDS-PSOAppliesTo": applies_to,
        }
        self.admin.add(dn, body)
        self._stack.callback(lambda: self.admin.delete(dn))
        return dn

    def close(self) -> None:
        """End everything, newest first; what fails is raised after the rest has been tried."""
        if "ldap" in self.__dict__:
            self.ldap.renew_admin()  # an interrupted check leaves half an answer on the old connection
        self._stack.close()


def unique(prefix: str) -> str:
    """A name that no other check, worker or checkpoint has: 10 letters at most with a prefix of two."""
    return f"{prefix}{secrets.token_hex(4)}"


def _maker(pid: int) -> str:
    """Which process of which host an OU is made by."""
    return f"{socket.gethostname()} {process_identity(pid)}"


def died(maker: str) -> bool:
    """Whether that was a process of this host which is there no more; of other hosts' processes nobody knows."""
    host, _, identity = maker.partition(" ")
    return host == socket.gethostname() and not process_lives(identity)


BENCH = pytest.StashKey[Bench]()


def bench_for(config: pytest.Config, place: Place, target: Target) -> Bench:
    """The bench of this place; one of another place is ended first."""
    current = config.stash.get(BENCH, None)
    if current is not None and current.place == place and current.target == target:
        return current
    end_bench(config)
    made = Bench(place, target, config)
    config.stash[BENCH] = made
    return made


def end_bench(config: pytest.Config) -> None:
    """End the current bench, if there is one."""
    current = config.stash.get(BENCH, None)
    if current is not None:
        del config.stash[BENCH]
        current.close()


def _folder() -> Path:
    """A private folder of this process; those that killed processes left are removed on the way."""
    base = Path(tempfile.gettempdir())
    for old in base.glob("galaxy-verify-*.*"):
        owner = old.name.removeprefix("galaxy-verify-").partition(".")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(old, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"galaxy-verify-{os.getpid()}."))

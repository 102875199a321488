"""The DCs of a cell's domain as partners: clients of each, and replication asked for and waited for.

The clients are loaded when the first step needs them: the process that only hands out cells never does.
"""

import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy.host.process import Completed
from galaxy.server.script import with_samba_tool
from scenarios.world import World
from verify.target import Target

if TYPE_CHECKING:
    from verify.clients.dns import Dns
    from verify.clients.kerberos import Kerberos
    from verify.clients.ldap import Ldap, Session

# What one change may take to reach a partner that is told of it: Samba waits five seconds before it tells
# (dreplsrv:notify_interval), and the partner may be at something else.
NOTIFIED_SECONDS = 30.0
_TOOL_SECONDS = 60.0
_LINK_ROUNDS = 5
_NEVER = "NTTIME(0)"
_SEVERAL = """
import json, sys
for words in json.loads(sys.argv[1]):
    if samba_tool(*words):
        sys.exit("failed: " + " ".join(words))
"""
_OPTIONS = {"inbound": 0x2, "outbound": 0x4}  # MS-ADTS 6.1.1.2.2.1.2.1.1, nTDSDSA options


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Partner:
    """One DC and clients that talk to it alone."""

    world: World
    target: Target
    kerberos: "Kerberos"
    ldap: "Ldap"
    dns: "Dns"

    @property
    def admin(self) -> "Session":
        """The administrator's session."""
        return self.ldap.admin

    @property
    def hostname(self) -> str:
        """Its name in the cell."""
        return self.target.hostname

    @property
    def ntds(self) -> str:
        """The DN of its NTDS settings."""
        return self.ldap.admin.read("", ["dsServiceName"]).one("dsServiceName")

    def tool(self, *words: str, admin: bool = False) -> Completed:
        """Run samba-tool on this DC: as the DC itself, or as the administrator; AssertionError with what it says.

        The password goes in by a descriptor, which Samba's credentials know of (auth/credentials, PASSWD_FD).
        """
        shell = self.target.shell
        assert shell is not None
        if admin:
            argv = (
                "/bin/sh",
                "-c",
                'PASSWD_FD=0 exec samba-tool "$@"',
                "sh",
                *words,
                f"-U{self.target.admin_user}",
            )
            done = shell(*argv, stdin=self.target.password, timeout=_TOOL_SECONDS)
        else:
            done = shell("samba-tool", *words, "-P", timeout=_TOOL_SECONDS)
        assert done.returncode == 0, f"samba-tool {' '.join(words)} on {self.hostname}: {done.output.strip()}"
        return done

    def runs_kcc(self) -> bool:
        """Let the DC think over its links now; whether it did."""
        from verify.clients.kcc import runs_kcc  # noqa: PLC0415 - see above

        assert self.target.shell is not None
        return runs_kcc(self.target.shell, self.hostname)

    def pull(self, source: "Partner", contexts: Sequence[str] = ()) -> None:
        """Fetch a partner's changes of these naming contexts now; the domain's own if none is named."""
        self.fetch([(source, context) for context in contexts or (self.target.base_dn,)])

    def fetch(self, wanted: Sequence[tuple["Partner", str]]) -> None:
        """Fetch from several partners, or several contexts, by one process: most of its time is its start."""
        shell = self.target.shell
        assert shell is not None
        commands = [["drs", "replicate", self.hostname, of.hostname, what, "-P"] for of, what in wanted]
        for _ in range(2):
            done = shell(*with_samba_tool(_SEVERAL), json.dumps(commands), timeout=_TOOL_SECONDS)
            # A DC may have kept a connection to the other one as it ran before (galaxy/upgrade/replicate.py).
            if "WERR_NETNAME_DELETED" not in done.output:
                break
        assert done.returncode == 0, f"drs replicate on {self.hostname}: {done.output.strip()}"

    def new_user(self, parent: str = "", password: str = "") -> tuple[str, str, str]:
        """Make a user with a password; its DN, its name and the password."""
        name = f"{self.hostname}-{secrets.token_hex(3)}"
        word = password or f"Aa1-{secrets.token_urlsafe(12)}"
        dn = f"CN={name},{parent or f'CN=Users,{self.target.base_dn}'}"
        self.admin.add(
            dn,
            {
                "objectClass": "user",
                "sAMAccountName": name,
                "unicodePwd": f'"{word}"'.encode("utf-16-le"),
                "userAccountControl": 0x200,
            },
        )
        return dn, name, word

    def new_object(self, kind: str, name: str, parent: str = "") -> str:
        """Make a group, a contact or an OU; its DN."""
        dn = f"{'OU' if kind == 'organizationalUnit' else 'CN'}={name},{parent or f'CN=Users,{self.target.base_dn}'}"
        named = {"sAMAccountName": name} if kind == "group" else {}
        self.admin.add(dn, {"objectClass": kind, **named})
        return dn

    def has(self, dn: str) -> bool:
        """Whether this DC has the object."""
        from verify.clients.ldap import LdapRefusedError  # noqa: PLC0415 - see above

        try:
            self.admin.read(dn, ["cn"])
        except LdapRefusedError as error:
            if error.code != 32:  # noSuchObject (RFC 4511 4.1.9)
                raise
            return False
        return True

    def members(self, group: str) -> set[str]:
        """The DNs in a group, as this DC has them."""
        return {dn.lower() for dn in self.admin.read(group, ["member"]).all("member")}


@contextmanager
def partners(world: World, *hostnames: str) -> Iterator[tuple[Partner, ...]]:
    """Clients for these DCs, ended with the block."""
    from verify.clients.dns import Dns  # noqa: PLC0415 - see above
    from verify.clients.kerberos import Kerberos  # noqa: PLC0415
    from verify.clients.ldap import Ldap  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="galaxy-partners-") as folder, ExitStack() as stack:
        found = []
        for hostname in hostnames:
            target = world.target(hostname)
            kerberos = Kerberos(target, Path(folder))
            ldap = Ldap(target, kerberos)
            stack.callback(ldap.close)
            found.append(
                Partner(world=world, target=target, kerberos=kerberos, ldap=ldap, dns=Dns(target, kerberos))
            )
        yield tuple(found)


def linked(hosts: Sequence[Partner], contexts: Sequence[str]) -> None:
    """Let the KCC of each DC make its links now, and replicate over each until both ends know of it.

    By themselves they take minutes: the KCC runs every five, and a link that it has made is first used by the next
    periodic run (kccsrv:periodic_interval, dreplsrv:periodic_interval). Each has to know the others' links: until then
    its KCC, at its next run, forgets again whom to notify (kcc/__init__.py, translate_ntdsconn). Once is not enough: a
    KCC that is at work while its DC is told whom to notify writes over that (kcc_utils.py, commit_repsTo), until the
    next pull.
    """
    for host in hosts:
        # A DC that has just started serves DRSUAPI last of all.
        arrival(f"the KCC of {host.hostname}", host.runs_kcc, 2 * NOTIFIED_SECONDS)
    settle(hosts, (f"CN=Configuration,{hosts[0].target.base_dn}",))
    for _ in range(_LINK_ROUNDS):
        missing = _missing(hosts, contexts)
        for host in hosts:
            if wanted := [(of, what) for to, of, what in missing if to is host]:
                host.fetch(wanted)
        if not missing:
            return
    raise AssertionError(f"no link for {[(to.hostname, of.hostname, what) for to, of, what in missing]}")


def _missing(hosts: Sequence[Partner], contexts: Sequence[str]) -> list[tuple[Partner, Partner, str]]:
    """Destination, source and context of each link that never carried anything, or that its source knows nothing of."""
    inbound, outbound = {}, {}
    for host in hosts:
        said = host.tool("drs", "showrepl", "--json").stdout
        told = json.loads(said[said.index("{") :])
        inbound[host] = {_end(link) for link in told["repsFrom"] if _NEVER not in link["last success"]}
        outbound[host] = {_end(link) for link in told["repsTo"]}
    return [
        (destination, source, context)
        for destination in hosts
        for source in hosts
        for context in contexts
        if source is not destination
        and not (
            (source.hostname, context.lower()) in inbound[destination]
            and (destination.hostname, context.lower()) in outbound[source]
        )
    ]


def _end(link: Mapping[str, str]) -> tuple[str, str]:
    """The host at the other end of a link (`DSA` is its site and its name), and its context."""
    return link["DSA"].rpartition("\\")[2].lower(), link["NC dn"].lower()


def settle(hosts: Sequence[Partner], contexts: Sequence[str] = (), *, rounds: int = 1) -> None:
    """Let each DC fetch from each other one; more rounds where resolving a conflict is a change of its own."""
    for _ in range(rounds):
        for host in hosts:
            places = contexts or (host.target.base_dn,)
            host.fetch([(of, what) for of in hosts if of is not host for what in places])


@contextmanager
def replication_off(hosts: Sequence[Partner]) -> Iterator[None]:
    """No change reaches any of these DCs for the block, as after `drs options --dsa-option=+DISABLE_INBOUND_REPL`."""
    before = {host.hostname: host.admin.read(host.ntds, ["options"]).one("options") or "0" for host in hosts}
    for host in hosts:
        host.admin.set(host.ntds, options=str(int(before[host.hostname]) | _OPTIONS["inbound"]))
    try:
        yield
    finally:
        for host in hosts:
            host.admin.set(host.ntds, options=before[host.hostname])


def arrival(what: str, arrived: Callable[[], bool], seconds: float = NOTIFIED_SECONDS) -> float:
    """Wait until something has arrived by itself; returns the seconds that it took."""
    began = time.monotonic()
    while not arrived():
        assert time.monotonic() - began < seconds, f"{what} has not arrived within {seconds:g} s"
        time.sleep(0.1)
    return time.monotonic() - began


@contextmanager
def ticket_cache(cache: str, config: Path) -> Iterator[None]:
    """Let libraries in this process use a credential cache and a krb5.conf."""
    wanted = {"KRB5CCNAME": f"FILE:{cache}", "KRB5_CONFIG": str(config)}
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value

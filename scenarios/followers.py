"""Clients that find their DCs by SRV records, as any member of a domain does, and log on again and again.

Each asks the domain's name servers, one after the other, then logs on with MIT's kinit, gets a service ticket, and
binds to a directory server by the records' order. A logon has failed when a client that tried everything it was told
of did not get in.
"""

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from scenarios.bounds import CLIENT_SECONDS, require_within
from scenarios.partners import Partner
from verify.target import Target

if TYPE_CHECKING:
    from verify.clients.kerberos import Kerberos

_CLIENTS = 2
# Between two logons of one client, in seconds: while the DCs change, and otherwise, so that the machine is not theirs
# alone; and how long the last one may take when the others have ended.
_PAUSE = 0.1
_CALM = 1.0
_END = 60.0
# As glibc's resolver asks: a server that says nothing costs a second, then the next one is asked.
_RESOLVER = "options timeout:1 attempts:2\n"
_PORTS = {"_ldap": 636}


@dataclass(slots=True)
class _Story:
    """What a client lived through: its logons, those of them in a rush, the longest in seconds, and what failed."""

    logons: int = 0
    rushed: int = 0
    longest: float = 0.0
    failures: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Day:
    """What the clients go by: whether they hurry, whether that is for a change under way, and whether it is over."""

    changing: threading.Event = field(default_factory=threading.Event)
    hurry: threading.Event = field(default_factory=threading.Event)
    over: threading.Event = field(default_factory=threading.Event)

    def rest(self) -> None:
        """Wait for the next logon, or for what comes before it."""
        if self.hurry.wait(_CALM):
            self.over.wait(_PAUSE)

    @contextmanager
    def rush(self) -> Iterator[None]:
        """The clients hurry while the block lasts."""
        self.changing.set()
        self.hurry.set()
        try:
            yield
        finally:
            self.hurry.clear()
            self.changing.clear()

    def end(self) -> None:
        """No further logon."""
        self.over.set()
        self.hurry.set()


@contextmanager
def following(
    hosts: tuple[Partner, ...], figures: dict[str, float]
) -> Iterator[AbstractContextManager[None]]:
    """Clients log on throughout the block, often while in what it gives.

    AssertionError when one logon of any of them failed.
    """
    _, name, password = hosts[0].new_user()
    for other in hosts[1:]:
        other.pull(hosts[0])
    day = _Day()
    stories = [_Story() for _ in range(_CLIENTS)]
    with tempfile.TemporaryDirectory(prefix="galaxy-followers-") as folder, _name_servers(hosts):
        known = tuple(host.target for host in hosts)
        threads = [
            threading.Thread(
                target=_live, args=(known, name, password, story, day, Path(folder)), daemon=True
            )
            for story in stories
        ]
        for thread in threads:
            thread.start()
        try:
            yield day.rush()
        finally:
            day.end()
            for thread in threads:
                thread.join(_END)
        assert not any(thread.is_alive() for thread in threads), "a client still waits for an answer"
    failures = [failure for story in stories for failure in story.failures]
    assert not failures, f"{len(failures)} logons failed: {failures[0]}"
    figures["logons"] = sum(story.logons for story in stories)
    figures["longest_logon_s"] = max(story.longest for story in stories)
    assert all(story.logons for story in stories), "a client never logged on"
    figures["meanwhile"] = sum(story.rushed for story in stories)
    assert figures["meanwhile"], "no client logged on while the DC changed"
    require_within(figures["longest_logon_s"], CLIENT_SECONDS, "a logon")


def _live(
    hosts: tuple[Target, ...], name: str, password: str, story: _Story, day: _Day, folder: Path
) -> None:
    """One client's life; the body of a thread."""
    from verify.clients.kerberos import Kerberos  # noqa: PLC0415 - see scenarios.partners

    kerberos = Kerberos(hosts[0], folder)
    config = kerberos.file("follower.")
    config.write_text(_config(hosts[0]), encoding="utf-8")
    while not day.over.is_set():
        began, rushed = time.monotonic(), day.changing.is_set()
        try:
            _log_on(hosts, kerberos, config, name, password)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; any trouble is a failed logon
            story.failures.append(f"{type(error).__name__}: {error}"[:500])
        else:
            story.logons += 1
            story.rushed += rushed or day.changing.is_set()
        story.longest = max(story.longest, time.monotonic() - began)
        day.rest()


def _log_on(hosts: tuple[Target, ...], kerberos: "Kerberos", config: Path, name: str, password: str) -> None:
    """A ticket by SRV records, one for a service, and a bind to the first directory server that lets in."""
    principal = f"{name}@{hosts[0].realm}"
    cache = kerberos.kinit(principal, password, config=config)
    try:
        for target in hosts:
            done = kerberos.run("kvno", f"cifs/{target.fqdn}", cache=cache, config=config)
            assert done.returncode == 0, f"no ticket for cifs at {target.hostname}: {done.output.strip()}"
    finally:
        Path(cache).unlink()
    _bind(hosts, principal, password)


def _bind(hosts: tuple[Target, ...], principal: str, password: str) -> None:
    """Bind over TLS where the SRV records of LDAP lead, in their order."""
    import ldap3  # noqa: PLC0415 - see scenarios.partners
    from ldap3.core.exceptions import LDAPException  # noqa: PLC0415

    known = {f"{target.fqdn}.": target.address for target in hosts}
    tried: list[str] = []
    for server in _servers(hosts, "_ldap"):
        place = ldap3.Server(
            known[server], port=_PORTS["_ldap"], use_ssl=True, get_info=ldap3.NONE, connect_timeout=5
        )
        try:
            with ldap3.Connection(place, user=principal, password=password, receive_timeout=5) as connection:
                assert connection.bound, f"{server} refuses {principal}: {connection.result}"
                return
        except (LDAPException, OSError) as error:
            tried.append(f"{server} {type(error).__name__}: {error}")
    raise AssertionError(f"no directory server lets in: {tried}")


def _servers(hosts: tuple[Target, ...], service: str) -> list[str]:
    """The names that a service's SRV records give, in the order in which to try them (RFC 2782, weights alike)."""
    import dns.resolver  # noqa: PLC0415 - see scenarios.partners

    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [target.address for target in hosts]
    resolver.timeout, resolver.lifetime = 1.0, 10.0
    answer = resolver.resolve(f"{service}._tcp.{hosts[0].dns_domain}", "SRV")
    found = sorted((record.priority, str(record.target).lower()) for record in answer)
    shift = int(time.monotonic() * 1000) % len(found)  # weights are alike: begin with any of them
    return [name for _, name in found[shift:] + found[:shift]]


def _config(target: Target) -> str:
    """A krb5.conf that names no KDC: all come by SRV records."""
    libdefaults: Mapping[str, str] = {
        "default_realm": target.realm,
        "dns_lookup_kdc": "true",
        "dns_lookup_realm": "false",
        "dns_canonicalize_hostname": "false",
        "rdns": "false",
        "udp_preference_limit": "1",
    }
    lines = [f"  {key} = {value}" for key, value in libdefaults.items()]
    mapped = [f"  .{target.dns_domain} = {target.realm}", f"  {target.dns_domain} = {target.realm}"]
    return "\n".join(["[libdefaults]", *lines, "[domain_realm]", *mapped, ""])


@contextmanager
def _name_servers(hosts: tuple[Partner, ...]) -> Iterator[None]:
    """Let programs in this lab ask these DCs for names: the lab's resolv.conf stands over the host's."""
    file = Path("/etc/resolv.conf")
    before = file.read_text(encoding="utf-8")
    servers = "".join(f"nameserver {host.target.address}\n" for host in hosts)
    file.write_text(f"search {hosts[0].target.dns_domain}\n{servers}{_RESOLVER}", encoding="utf-8")
    try:
        yield
    finally:
        file.write_text(before, encoding="utf-8")

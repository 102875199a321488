"""New connections wait instead of being refused, while their server is away.

A client whose first packet (a TCP SYN, a datagram) is dropped hears nothing, and its own kernel or library sends it
again: TCP after 1 s, MIT Kerberos after 1 s, resolvers after 1 to 5 s. So whoever comes in the middle is served up
to that second late, and nobody is told that nothing listens here. Nothing shortens that second: the SYN would have
to be answered or kept by somebody (a proxy, a queue in user space), who would then stand between clients and server
in the very moment in which things may go wrong.

Connections that are there already are let be: their end must come through at once, so that clients connect anew.
That is also why no answer of this kernel is dropped: what would be answered with a RST or an ICMP error is dropped on
its way in.
"""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from galaxy.host.errors import CommandError, HostError
from galaxy.host.journal import Entry, journal
from galaxy.host.netns import inside_network
from galaxy.host.process import find_tool, run
from galaxy.host.undo import undoes
from galaxy.server import running
from galaxy.server.config import HostNetwork, Server, server_of
from galaxy.server.listening import ANY, addresses
from galaxy.server.network import bring_up, namespace_of, take_down
from galaxy.server.ports import TCP, UDP
from galaxy.server.smbconf import smb_conf_text

# Where Samba's RPC services listen unless smb.conf says otherwise (smb.conf(5), rpc server dynamic port range).
_RPC_PORTS = ("49152", "65535")
_RPC_OPTION = re.compile(
    r"^\s*rpc\s*server\s*(?:dynamic\s*port\s*range|port(?:\s*:\s*\w+)?)\s*=\s*(\d+)(?:\s*-\s*(\d+))?\s*$",
    re.IGNORECASE | re.MULTILINE,
)
# Before every other chain, and before connection tracking.
_PRIORITY = -300


@contextmanager
def hold(entry: Entry, server: Server) -> Iterator[None]:
    """While the block lasts, a new connection from elsewhere is neither accepted nor refused: it waits.

    Traffic over lo passes, so that Galaxy's questions from inside, and the server's own to itself, are answered; on a
    host's network that is also what the host's other programs say to the server. There the hold is for the
    addresses alone that the server listens on, or for all if it may soon be others, and for Samba's ports, which
    include all that its RPC services may take: another service of such an address in that range waits too. In a
    network of its own every port is held.

    The caller holds the server's lock. A stopped server gets its network here, to be held before it starts in it.
    HostError when the host has no nftables. A killed galaxy's hold is lifted by `recover`.
    """
    if running.alive(server) is None:
        _give_network(entry, server)
    path, table = namespace_of(server), server.container
    text = rules(server, _at(server))
    _nft(path, text, "--check")  # before the entry: where nft fails, it fails at lifting a hold too
    with entry.temporarily("hold", f"{path or ''}:{table}"):
        _nft(path, text)
        yield


def _at(server: Server) -> tuple[str, ...]:
    """The addresses to hold on a host's network: all, unless it is known where the next start will listen."""
    if not isinstance(server.config.network, HostNetwork):
        return ()
    if running.alive(server) is None or not server.record.exists():
        return ANY
    written = max(path.lstat().st_mtime_ns for path in (server.etc, *server.etc.rglob("*")))
    return ANY if written > server.record.stat().st_mtime_ns else addresses(server)


def is_held(server: Server) -> bool:
    """Whether a hold is in place: a reload of the host's rules takes it away too (`flush ruleset`).

    Where it is not, and should be, clients may have written, though the server runs no more: it may have run since.
    """
    try:
        _nft(namespace_of(server), f"list table inet {server.container}\n")
    except (HostError, OSError):
        return False
    return True


def _give_network(entry: Entry, server: Server) -> None:
    """Make the network, in an entry of its own: from the start on it is the server's, whatever becomes of the hold."""
    entry.on_failure("idle network", f"{server.store.root}:{server.name}")
    with journal(server.store, "network", server.name) as own:
        bring_up(own, server)


@undoes("idle network")
def _take_idle_down(target: str) -> None:
    """Remove the network of a server that does not run in it."""
    server = server_of(target)
    if server is not None and running.alive(server) is None:
        take_down(server)


def rules(server: Server, at: tuple[str, ...] = ()) -> str:
    """The table in nftables' language (nft(8)). Written over an older one of the same name, in one transaction.

    `at` are the addresses of a server on the host's network; without them what is for any address waits.
    """
    syn = "tcp flags & (syn | ack) == syn drop"
    udp = f"udp dport {{ {', '.join(map(str, UDP))} }} drop"
    drops = [syn, udp]
    if at:
        # A rule a range: ranges that overlap cannot be in one set.
        ports = (f"{{ {', '.join(map(str, TCP))} }}", *_rpc_ports(server))
        here = [*(f"tcp dport {port} {syn}" for port in ports), udp]
        drops = [f"{to}{rule}" for to in _destinations(at) for rule in here]
    lines = "\n        ".join(["iif lo accept", *drops])
    return f"""{_without(server.container)}
table inet {server.container} {{
    chain arriving {{
        type filter hook input priority {_PRIORITY}; policy accept;
        {lines}
    }}
}}
"""


def _destinations(at: tuple[str, ...]) -> tuple[str, ...]:
    """How rules for these addresses begin, a family each; nothing for all."""
    if set(at) & set(ANY):
        return ("",)
    families = {"ip": [one for one in at if ":" not in one], "ip6": [one for one in at if ":" in one]}
    return tuple(f"{name} daddr {{ {', '.join(found)} }} " for name, found in families.items() if found)


def _rpc_ports(server: Server) -> tuple[str, ...]:
    """The ranges that the server's RPC services listen in: the default one, or those that smb.conf gives."""
    given = [(first, last) for first, last in _RPC_OPTION.findall(smb_conf_text(server))]
    if not any(last for _, last in given):
        given.append(_RPC_PORTS)  # fixed ports leave the dynamic range to the others
    return tuple(f"{first}-{last}" if last else first for first, last in given)


def _without(table: str) -> str:
    """Remove the table whether it is there or not: `destroy` came to nft only with 1.0.7."""
    return f"add table inet {table}\ndelete table inet {table}"


@undoes("hold")
def _lift(target: str) -> None:
    """Remove a hold, by `network namespace:table`; a hold has gone with its namespace."""
    namespace, _, table = target.rpartition(":")
    path = Path(namespace) if namespace else None
    try:
        _nft(path, _without(table))
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno != errno.EINVAL:  # a name that is left of a namespace
            raise


def _nft(namespace: Path | None, text: str, *options: str) -> None:
    tool = find_tool("nft", "nftables")
    try:
        with nullcontext() if namespace is None else inside_network(namespace):
            run([tool, *options, "-f", "-"], stdin=text)
    except CommandError as error:
        raise HostError(
            f"cannot hold connections back with nftables: {error.output.strip()}",
            "Run as root, on a kernel with CONFIG_NF_TABLES: galaxy doctor",
        ) from None

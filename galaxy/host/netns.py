"""Network namespaces, bridges and veth pairs; pyroute2, which speaks to the kernel, is imported only when needed.

Whoever makes something writes it into the journal first: the kinds are `netns` (a name), `link` (an interface
name), `bridge` (an interface name; removed only if Galaxy made it and once nothing is connected to it) and `subnet`
(bridge, space, address/prefix; the address is removed only once nothing of that subnet is connected). The last two
are undone under `LOCK`: somebody else may be just about to connect something.
"""

import ctypes
import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from galaxy.host.errors import CommandError, HostError
from galaxy.host.lock import host_locked
from galaxy.host.mounts import mount_points
from galaxy.host.process import run, undivided
from galaxy.host.undo import undoes

FOLDER = Path("/run/netns")
# The host's lock for what its servers share: bridges and their addresses.
LOCK = "network"
_CLONE_NEWNET = 0x40000000
_CLIENT_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
# Connections begin at these ports only: the kernel's own choice reaches into the range from which a DC's RPC services
# take theirs (smb.conf, rpc server dynamic port range: 49152-65535), and Samba ends when one of them is in use.
CLIENT_PORTS = (32768, 49151)
# EtherTypes (RFC 5342, appendix B).
_IPV4, _ARP = 0x0800, 0x0806
# 0.0.0.0/0, and the two halves that VPNs put in its place.
_DEFAULT_ROUTE_BITS = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """A network that this host has an address in or a route to; `link` is empty when no interface is named."""

    link: str
    network: ipaddress.IPv4Network


def path_of(name: str) -> Path:
    """Where a named network namespace can be opened."""
    return FOLDER / name


def enter_network(path: Path) -> None:
    """Move the calling thread, and it alone, into a network namespace. Sockets stay where they were made."""
    with path.open("rb") as handle:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.setns(handle.fileno(), _CLONE_NEWNET) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot enter the network namespace {path}: {os.strerror(code)}")


@contextmanager
def inside_network(path: Path) -> Iterator[None]:
    """The calling thread is in a network namespace for the block."""
    with Path("/proc/thread-self/ns/net").open("rb") as home:
        enter_network(path)
        try:
            yield
        finally:
            libc = ctypes.CDLL(None, use_errno=True)
            if libc.setns(home.fileno(), _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "cannot return to the network namespace before")


def add_namespace(name: str) -> Path:
    """Make a network namespace with lo up; returns its path. HostError when the kernel refuses.

    By ip(8): pyroute2 forks this process for it and ends the copy with SIGTERM, which our handlers would take for
    the user's and unwind everything.
    """
    try:
        run(["ip", "netns", "add", name])
        run(["ip", "-netns", name, "link", "set", "lo", "up"])
    except CommandError as error:
        raise HostError(
            f"cannot make the network namespace {name}: {error.output.strip()}",
            "Run as root, on a kernel with CONFIG_NET_NS: galaxy doctor",
        ) from None
    with inside_network(path_of(name)):
        _CLIENT_PORTS.write_text(f"{CLIENT_PORTS[0]} {CLIENT_PORTS[1]}", encoding="ascii")
    return path_of(name)


@undoes("netns")
def remove_namespace(name: str) -> None:
    """Remove a network namespace; its end of a veth pair goes with it, and so does the other.

    Of one that was made in a mount namespace that is gone, only the name is left.
    """
    path = path_of(name)
    if str(path) in mount_points():
        run(["umount", "--lazy", path])
    path.unlink(missing_ok=True)


def add_bridge(name: str, namespace: str | None = None) -> None:
    """Make a bridge and set it up; nothing happens when it is there.

    It has a MAC address of its own: it would take one of those that are connected to it otherwise, another one when
    that goes, and whoever knows the old one would send to it for half a minute.
    """
    with _links(namespace) as links:
        if not links.link_lookup(ifname=name):
            links.link("add", ifname=name, kind="bridge", br_forward_delay=0, address=local_mac(name))
        links.link("set", index=_index(links, name), state="up")


@undoes("bridge")
def _undo_bridge(name: str) -> None:
    with host_locked(LOCK):
        remove_idle_bridge(name)


def remove_idle_bridge(name: str) -> None:
    """Remove a bridge of this namespace, unless something is still connected to it. The caller holds `LOCK`.

    Another MAC address than `add_bridge` gives tells that somebody else made it: then it stays.
    """
    if name not in {known for _, known in socket.if_nameindex()}:
        return  # asked of the kernel: /sys shows the namespace that it was mounted in
    with _links(None) as links:
        index, known = _index(links, name), list(links.get_links())
        own = any(
            link["index"] == index and link.get_attr("IFLA_ADDRESS") == local_mac(name) for link in known
        )
        if own and not any(link.get_attr("IFLA_MASTER") == index for link in known):
            links.link("del", index=index)


def local_mac(name: str) -> str:
    """A MAC address for something of that name, locally administered, the same each time."""
    return ":".join(["02", *(f"{byte:02x}" for byte in sha256(name.encode()).digest()[:5])])


def may_need(subnet: ipaddress.IPv4Network, note: str | None) -> bool:
    """Whether what is behind a link with this note may be in the subnet; anything may without an address."""
    try:
        return ipaddress.IPv4Address(note or "") in subnet
    except ipaddress.AddressValueError:
        return True


@undoes("subnet")
def _undo_subnet(target: str) -> None:
    with host_locked(LOCK):
        remove_idle_subnet(target)


def remove_idle_subnet(target: str) -> None:
    """Take `bridge address/prefix` from a bridge, unless a link of that subnet (by its note) is connected.

    Asked of the kernel alone: several stores can share a bridge. The caller holds `LOCK`.
    """
    name, address = target.split(" ")
    own = ipaddress.IPv4Interface(address)
    if str(own.ip) not in addresses_of(name):
        return
    with _links(None) as links:
        index = _index(links, name)
        if not any(may_need(own.network, note) for note in _notes(links, index)):
            links.addr("del", index=index, address=str(own.ip), prefixlen=own.network.prefixlen)


def notes_on(name: str) -> tuple[str, ...]:
    """The notes of the links that are connected to a bridge of this namespace; none when there is no such bridge."""
    with _links(None) as links:
        found = links.link_lookup(ifname=name)
        return tuple(note for note in _notes(links, found[0]) if note) if found else ()


@undoes("link")
def remove_link(name: str) -> None:
    """Remove an interface of this namespace; nothing happens when there is none.

    One end of a veth pair may go while we look: the kernel takes a namespace that was removed apart in its own time.
    """
    from pyroute2.netlink.exceptions import NetlinkError  # noqa: PLC0415 - as in _links

    if name not in {known for _, known in socket.if_nameindex()}:
        return
    with _links(None) as links:
        for index in links.link_lookup(ifname=name):
            try:
                links.link("del", index=index)
            except NetlinkError as error:
                if error.code != errno.ENODEV:
                    raise


def add_veth(
    name: str,
    *,
    peer: str,
    into: str,
    namespace: str | None = None,
    bridge: str | None = None,
    note: str | None = None,
    mac: str | None = None,
) -> None:
    """Make a veth pair: `name` in `namespace` (None: this one), up and on `bridge`; `peer` in `into`, up.

    `note` is the address behind the pair, for `remove_idle_subnet`; ip(8) shows it as the link's alias. `mac` is the
    peer's; the kernel's choice otherwise.
    """
    with _links(namespace) as links, path_of(into).open("rb") as handle:
        end = {"ifname": peer, "net_ns_fd": handle.fileno(), **({"address": mac} if mac else {})}
        links.link("add", ifname=name, kind="veth", peer=end)
        index = _index(links, name)
        if note is not None:
            links.link("set", index=index, ifalias=note)
        if bridge is not None:
            links.link("set", index=index, master=_index(links, bridge))
        links.link("set", index=index, state="up")
    with _links(into) as links:
        links.link("set", index=_index(links, peer), state="up")


def add_address(link: str, address: str, prefix: int, namespace: str | None = None) -> None:
    """Give an interface an IPv4 address; nothing happens when it has it."""
    with _links(namespace) as links:
        links.addr("replace", index=_index(links, link), address=address, prefixlen=prefix)


def announce(link: str, address: str, namespace: str) -> None:
    """Tell the link's neighbours that an address is here now (a gratuitous ARP request, RFC 5227).

    Who had it before may have had another MAC address, to which their kernels would go on to send for half a minute.
    """
    ip = socket.inet_aton(address)
    with inside_network(path_of(namespace)), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((link, 0))
        mac: bytes = wire.getsockname()[4]
        request = struct.pack("!HHBBH", 1, _IPV4, len(mac), len(ip), 1) + mac + ip + bytes(len(mac)) + ip
        wire.send(b"\xff" * len(mac) + mac + struct.pack("!H", _ARP) + request)


def reaches() -> tuple[Reach, ...]:
    """Every IPv4 network of this namespace's addresses and routes, in all tables; default routes left out."""
    with _links(None) as links:
        names = {int(link["index"]): str(link.get_attr("IFLA_IFNAME")) for link in links.get_links()}
        found = [
            (names.get(item["index"], ""), item.get_attr("IFA_ADDRESS"), item["prefixlen"])
            for item in links.get_addr(family=socket.AF_INET)
        ]
        found += [
            (names.get(item.get_attr("RTA_OIF"), ""), item.get_attr("RTA_DST"), item["dst_len"])
            for item in links.get_routes(family=socket.AF_INET)
            if item["dst_len"] > _DEFAULT_ROUTE_BITS
        ]
    return tuple(
        Reach(link=link, network=ipaddress.IPv4Network(f"{address}/{bits}", strict=False))
        for link, address, bits in found
    )


def addresses_of(name: str) -> tuple[str, ...]:
    """The IPv4 addresses of an interface of this namespace; none when there is no such interface."""
    if name not in {known for _, known in socket.if_nameindex()}:
        return ()
    with _links(None) as links:
        found = links.get_addr(family=socket.AF_INET, index=_index(links, name))
        return tuple(str(item.get_attr("IFA_LOCAL") or item.get_attr("IFA_ADDRESS")) for item in found)


def link_with(address: str) -> str:
    """The name of the interface of this namespace that has an IPv4 address; '' when none has."""
    with _links(None) as links:
        found = links.get_addr(family=socket.AF_INET, address=address)
        return next((socket.if_indextoname(item["index"]) for item in found), "")


def add_default_route(gateway: str, namespace: str) -> None:
    """Send what is not local to a gateway."""
    with _links(namespace) as links:
        links.route("replace", dst="default", gateway=gateway)


@contextmanager
def _links(namespace: str | None) -> Iterator[Any]:
    from pyroute2 import IPRoute  # noqa: PLC0415 - 0.1 s that most commands need not pay

    # Its own `netns=` forks, as above; a socket stays in the namespace that it was made in. Undivided, for it talks to
    # the kernel from an event loop: a request that nobody waits for any more would be sent after all was undone.
    with ExitStack() as stack:
        stack.enter_context(undivided())
        if namespace is not None:
            stack.enter_context(inside_network(path_of(namespace)))
        yield stack.enter_context(IPRoute())


def _notes(links: Any, bridge: int) -> list[str | None]:
    """The notes of all links that are connected to the bridge with that index."""
    return [
        link.get_attr("IFLA_IFALIAS") for link in links.get_links() if link.get_attr("IFLA_MASTER") == bridge
    ]


def _index(links: Any, name: str) -> int:
    found = links.link_lookup(ifname=name)
    if not found:
        raise HostError(f"there is no network interface {name}", "See which there are: ip link")
    return int(found[0])

"""What a server's network is, before it starts and after it has stopped."""

import ipaddress
import socket
from hashlib import sha256
from pathlib import Path

from galaxy.host import netns
from galaxy.host.errors import InputError, ServerError
from galaxy.host.journal import Entry
from galaxy.host.lock import host_locked
from galaxy.host.mounts import mount_points
from galaxy.host.netns import Reach
from galaxy.server import names
from galaxy.server.config import HostNetwork, NamespaceNetwork, PrivateNetwork, Server, ServerConfig, servers
from galaxy.server.ports import host_addresses, require_free
from galaxy.server.sandbox import Joins, SharesHost

# Where private servers live unless told otherwise (RFC 1918).
PRIVATE_SUBNET = ipaddress.IPv4Network("10.213.0.0/24")
# The bridge is the host's: servers of all its stores are connected to it.
_BRIDGE = PrivateNetwork().bridge
# The interface in a private server's namespace.
_LINK = "eth0"


def namespace_of(server: Server) -> Path | None:
    """The network namespace to meet the server in; None for the host's own."""
    match server.config.network:
        case HostNetwork():
            return None
        case PrivateNetwork():
            return netns.path_of(server.container)
        case NamespaceNetwork(path=path):
            return path


def joined(server: Server) -> SharesHost | Joins:
    """The same, as the sandbox takes it."""
    path = namespace_of(server)
    return SharesHost() if path is None else Joins(path=path)


def bring_up(entry: Entry, server: Server) -> None:
    """Make or check the network that the server starts in; whatever is made is in the journal first."""
    match server.config.network:
        case HostNetwork():
            require_on_host(server.config.address)
            require_free(server.config.address)
        case PrivateNetwork() as network:
            _make_private(entry, server, network)
        case NamespaceNetwork(path=path):
            if not path.exists():
                raise ServerError(
                    f"the network namespace {path} of {server.name} is gone",
                    "Make it again, then start the server.",
                )


def link_of(server: Server) -> str:
    """The interface that has the server's address, as smb.conf may name it; '' when there is none."""
    match server.config.network:
        case HostNetwork():
            return netns.link_with(server.config.address)
        case PrivateNetwork():
            return _LINK
        case NamespaceNetwork(path=path):
            with netns.inside_network(path):
                return netns.link_with(server.config.address)


def network_is_up(server: Server) -> bool:
    """Whether the network that the server starts in is there: from a start on, until `take_down` or a reboot."""
    if not isinstance(server.config.network, PrivateNetwork):
        return True
    return str(netns.path_of(server.container)) in mount_points()


def take_down(server: Server) -> None:
    """Remove a private server's namespace; the last of a subnet takes the bridge's address, the last of all it.

    Nothing to do for servers of other networks.
    """
    if isinstance(network := server.config.network, PrivateNetwork):
        with host_locked(netns.LOCK):
            netns.remove_namespace(server.container)
            netns.remove_link(host_end(server))
            netns.remove_idle_subnet(_on_bridge(server, network))
            netns.remove_idle_bridge(network.bridge)


def require_on_host(address: str) -> None:
    """InputError unless the address is one of this host's that others can reach it at."""
    hint = "Give one that it has, or --network private."
    if ipaddress.IPv4Address(address).is_loopback:
        raise InputError(f"{address} is a loopback address: Samba serves no domain on one", hint)
    if address in netns.addresses_of(_BRIDGE):
        raise InputError(f"{address} belongs to {_BRIDGE}, the bridge of Galaxy's private servers", hint)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            have = ", ".join(_outside()) or "none beyond its own"
            raise InputError(f"{address} is not an address of this host (it has {have})", hint) from None


def default_address(network: HostNetwork | PrivateNetwork, taken: tuple[ServerConfig, ...]) -> str:
    """The address of a server that was given none: the host's only one, or the next free private one."""
    if isinstance(network, HostNetwork):
        outside = _outside()
        if len(outside) == 1:
            return outside[0]
        raise InputError(
            f"the host has {', '.join(outside) or 'no address beyond itself'}; which one shall the server have?",
            "Give one with --address, or take --network private.",
        )
    used = {config.address for config in taken} | set(netns.notes_on(network.bridge))
    free = (str(host) for host in list(PRIVATE_SUBNET.hosts())[1:] if str(host) not in used)
    if (address := next(free, None)) is None:
        raise InputError(
            f"every address of {PRIVATE_SUBNET} is taken", "Give one of another subnet with --address."
        )
    return address


def require_private(address: str, network: PrivateNetwork, taken: tuple[ServerConfig, ...]) -> None:
    """InputError when a private address cannot be a server's, is another one's, or its subnet is in use here.

    The bridge gets the subnet's first address, so a subnet that this host knows already would lose its routes.
    """
    names.private_ipv4(address)
    subnet = _subnet(address, network)
    reserved = {subnet.network_address, subnet.broadcast_address, next(subnet.hosts())}
    if ipaddress.IPv4Address(address) in reserved:
        raise InputError(
            f"{address} cannot be a server's in {subnet}: its first address is the host's, and the outer two "
            "are no host's",
            f"Give another one, such as {subnet.network_address + 2}.",
        )
    for config in taken:
        if config.address == address and isinstance(config.network, PrivateNetwork):
            raise InputError(
                f"{address} is the address of the server {config.name}",
                "Give another one: with --address, or in server.toml of a server that is there.",
            )
    if address in netns.notes_on(network.bridge):
        raise InputError(
            f"{address} is the address of a server that runs on this host, of another store",
            "Give another one: with --address, or in server.toml; or stop that server first.",
        )
    require_unused(subnet, network.bridge, netns.reaches())


def require_unused(subnet: ipaddress.IPv4Network, bridge: str, known: tuple[Reach, ...]) -> None:
    """InputError when a subnet overlaps what the host reaches otherwise than directly over the bridge."""
    for reach in known:
        own = reach.link == bridge and reach.network.subnet_of(subnet)
        if reach.network.overlaps(subnet) and not own:
            where = f" over {reach.link}" if reach.link else ""
            raise InputError(
                f"{subnet} cannot be a private network: this host already reaches {reach.network}{where}",
                "Give an address of a subnet that nothing else uses with --address, such as 10.214.0.2.",
            )


def _make_private(entry: Entry, server: Server, network: PrivateNetwork) -> None:
    with host_locked(netns.LOCK):
        others = tuple(other.config for other in servers(server.store) if other.container != server.container)
        name, end = server.container, host_end(server)
        netns.remove_namespace(name)  # what a crash has left; the server is known not to run
        netns.remove_link(end)
        require_private(server.config.address, network, others)
        gateway = str(next(_subnet(server.config.address, network).hosts()))
        entry.on_failure("bridge", network.bridge)
        netns.add_bridge(network.bridge)
        entry.on_failure("subnet", _on_bridge(server, network))
        netns.add_address(network.bridge, gateway, network.prefix)
        entry.on_failure("netns", name)
        netns.add_namespace(name)
        entry.on_failure("link", end)
        netns.add_veth(
            end,
            peer=_LINK,
            into=name,
            bridge=network.bridge,
            note=server.config.address,
            mac=netns.local_mac(name),
        )
        netns.add_address(_LINK, server.config.address, network.prefix, name)
        netns.add_default_route(gateway, name)
        netns.announce(_LINK, server.config.address, name)


def _on_bridge(server: Server, network: PrivateNetwork) -> str:
    """The bridge and its address in a server's subnet, as netns takes them."""
    subnet = _subnet(server.config.address, network)
    return f"{network.bridge} {next(subnet.hosts())}/{network.prefix}"


def _outside() -> list[str]:
    """The host's addresses that a server can have: neither loopback nor the private servers' bridge."""
    bridge = netns.addresses_of(_BRIDGE)
    return [a for a in host_addresses() if not a.startswith("127.") and a not in bridge]


def _subnet(address: str, network: PrivateNetwork) -> ipaddress.IPv4Network:
    return ipaddress.IPv4Network(f"{address}/{network.prefix}", strict=False)


def host_end(server: Server) -> str:
    """An interface name (15 characters at most) that no two servers of this host share."""
    return "gx" + sha256(server.container.encode()).hexdigest()[:10]

"""Which of a DC's ports are taken on this host, and by whom."""

import ipaddress
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import InputError
from galaxy.host.wording import first_of

# 137 and 138 (NetBIOS) too: Samba ends when it cannot have them.
TCP = (53, 88, 135, 139, 389, 445, 464, 636, 3268, 3269)
UDP = (53, 88, 137, 138, 389, 464)
_LISTEN = "0A"


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A bound socket of this network namespace."""

    protocol: str
    address: str
    port: int
    inode: str


def require_free(address: str) -> None:
    """InputError naming port and holder when a DC could not listen on this address."""
    taken = [listener for listener in listeners() if _in_the_way(listener, address)]
    if not taken:
        return
    owners = holders({listener.inode for listener in taken})
    words = [
        f"{item.port}/{item.protocol} by {owners.get(item.inode, 'a process of another namespace')}"
        for item in sorted(taken, key=lambda item: (item.port, item.protocol))
    ]
    unique = list(dict.fromkeys(words))
    raise InputError(
        f"ports that a DC needs on {address} are in use: {first_of(unique, 4)}",
        "Stop that service, or give the server another address or --network private.",
    )


def listeners(proc: Path = Path("/proc/self/net")) -> Iterator[Listener]:
    """Every listening TCP and bound UDP socket (proc(5), /proc/net/tcp)."""
    for protocol in ("tcp", "udp"):
        for file in (proc / protocol, proc / f"{protocol}6"):
            if not file.exists():
                continue
            for line in file.read_text(encoding="utf-8").splitlines()[1:]:
                fields = line.split()
                if protocol == "tcp" and fields[3] != _LISTEN:
                    continue
                raw, port = fields[1].split(":")
                yield Listener(protocol=protocol, address=_address(raw), port=int(port, 16), inode=fields[9])


def holders(inodes: set[str], proc: Path = Path("/proc")) -> dict[str, str]:
    """Who holds sockets: `name (process id)` by inode."""
    found: dict[str, str] = {}
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                inode = str(descriptor.readlink()).removeprefix("socket:[").removesuffix("]")
                if inode in inodes and inode not in found:
                    name = (folder / "comm").read_text(encoding="utf-8").strip()
                    found[inode] = f"{name} (process {folder.name})"
    return found


def host_addresses() -> tuple[str, ...]:
    """The IPv4 addresses of this host, from the kernel's routing table (/proc/net/fib_trie)."""
    found: list[str] = []
    last = ""
    for line in Path("/proc/self/net/fib_trie").read_text(encoding="utf-8").splitlines():
        if "|--" in line:
            last = line.split("|--")[1].strip()
        elif "/32 host LOCAL" in line and last not in found:
            found.append(last)
    return tuple(found)


def _in_the_way(listener: Listener, address: str) -> bool:
    ports = TCP if listener.protocol == "tcp" else UDP
    return listener.port in ports and listener.address in (address, "0.0.0.0", "::")  # noqa: S104 - compared, not bound


def _address(raw: str) -> str:
    """An address as /proc writes it: 32-bit words in host order, hexadecimal."""
    words = bytes.fromhex(raw)
    data = b"".join(words[i : i + 4][::-1] for i in range(0, len(words), 4))
    if len(data) == 4:
        return socket.inet_ntop(socket.AF_INET, data)
    value = ipaddress.IPv6Address(data)
    return str(value.ipv4_mapped or value)

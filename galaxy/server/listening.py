"""On which addresses a server can be reached: its smb.conf may name more than the one that it was made for."""

import ipaddress
from contextlib import suppress
from pathlib import Path

from galaxy.server import running
from galaxy.server.config import Server
from galaxy.server.ports import listeners

# Every address of the host.
ANY = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def addresses(server: Server) -> tuple[str, ...]:
    """Where a server on the host's network listens (TCP), without loopback; its own address while it does not run."""
    process = running.alive(server)
    if process is None:
        return (server.config.address,)
    own = _sockets(process.pid)
    found = {one.address for one in listeners() if one.protocol == "tcp" and one.inode in own}
    outside = {address for address in found if not ipaddress.ip_address(address).is_loopback}
    return tuple(sorted(outside | {server.config.address}))


def _sockets(first: int) -> set[str]:
    """The inodes of all sockets that the processes of a PID namespace have open; `first` is one of them."""
    found: set[str] = set()
    namespace = _target(Path(f"/proc/{first}/ns/pid"))
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or _target(folder / "ns" / "pid") != namespace:
            continue
        with suppress(OSError):
            for descriptor in (folder / "fd").iterdir():
                target = _target(descriptor)
                if target.startswith("socket:["):
                    found.add(target.removeprefix("socket:[").removesuffix("]"))
    return found


def _target(link: Path) -> str:
    """Where a link of /proc leads; '' when its process has ended, or has closed it."""
    try:
        return str(link.readlink())
    except OSError:
        return ""

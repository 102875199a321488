"""What runs in a server, and what it listens on."""

import re

from verify.check import check
from verify.clients.host import inside
from verify.target import Target

# Names as the kernel keeps them, 15 letters at most. A service is a master and its workers: ldap[master], ldap(0).
SERVICES = ("rpc", "cldap", "ldap", "kdc", "drepl", "winbindd", "kcc", "dns", "s3fs", "smbd")
MORE = re.compile(
    r"(init|samba|samba[-_:].*|tfork\(\d+\)|wb[\[-].*|wb-.*|nbt|wrepl|ntp_signd|dnsupdate|smbd.*|lpqd|rpcd_.*"
    r"|python3?|sh|nsupdate|task.*|web|notifyd|cleanupd|net"
    r"|ft_scanner)(\[.*|\(.*)?"  # the scanner of forest trusts, seen in 4.24
)
TCP = {53, 88, 135, 139, 389, 445, 464, 636, 3268, 3269}
UDP = {53, 88, 137, 138, 389, 464}
# `rpc server dynamic port range`, and the ports from which the DNS server asks its forwarders.
DYNAMIC = range(49152, 65536)
EPHEMERAL = range(1024, 65536)


def service(name: str) -> str:
    """The service that a process name belongs to."""
    return re.split(r"[\[(]", name)[0]


@check("host.processes", loses="a part of the server would be missing")
def test_processes(target: Target) -> None:
    found = {service(process.name) for process in inside(target).processes()}
    missing = [name for name in SERVICES if name not in found]
    assert not missing, f"expected processes for {missing} too, got {sorted(found)}"


@check(
    "host.no-foreign-processes",
    loses="something that is not the server would run with its rights and secrets",
)
def test_no_foreign_processes(target: Target) -> None:
    names = {process.name for process in inside(target).processes()}
    foreign = sorted(name for name in names if service(name) not in SERVICES and not MORE.fullmatch(name))
    assert not foreign, f"expected Samba's own processes only, got {foreign} too"


@check("host.no-foreign-listeners", loses="a port that nobody knows of would be open to the network")
def test_no_foreign_listeners(target: Target) -> None:
    listeners = inside(target).listeners()
    open_ports = {row.port for row in listeners if row.protocol == "tcp"}
    foreign = [
        f"{row.protocol} {row.port} {row.users}"
        for row in listeners
        if not (row.port in (TCP if row.protocol == "tcp" else UDP) or _dynamic(row.protocol, row.port))
    ]
    assert open_ports >= TCP, f"expected the ports {sorted(TCP - open_ports)} too, got {sorted(open_ports)}"
    assert not foreign, f"expected a domain controller's ports only, got {foreign} too"


def _dynamic(protocol: str, port: int) -> bool:
    return port in (DYNAMIC if protocol == "tcp" else EPHEMERAL)


@check(
    "host.own-address", loses="two servers could not share a host, or one would be open on another network"
)
def test_own_address(target: Target) -> None:
    broadcast = target.address.rpartition(".")[0] + "."
    listeners = inside(target).listeners()
    ours = {row.port for row in listeners if (row.protocol, row.address) == ("tcp", target.address)}
    assert ours >= TCP, f"expected {target.address} to listen on {sorted(TCP - ours)} too"
    elsewhere = [
        f"{row.protocol} {row.address}:{row.port}"
        for row in listeners
        if not (
            row.address in {target.address, "::1"}
            or row.address.startswith("127.")
            or (row.port in {137, 138} and row.address.startswith(broadcast))
            or (row.protocol == "udp" and row.port not in UDP)
        )
    ]
    assert not elsewhere, f"expected listeners on {target.address} and loopback, got {elsewhere} too"

"""What a domain controller tells anybody of its domain: the LDAP ping (MS-ADTS 6.3.3) and its rootDSE.

Both by datagram, so that an address at which nothing answers costs three seconds, not a connection's minute.
"""

import socket
import struct
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from galaxy.host.errors import InputError
from galaxy.host.netns import inside_network
from galaxy.server.wire import children, integer, read, tlv

_PORT = 389
_PATIENCE = 1.0
_TRIES = 3
# NETLOGON_NT_VERSION_5 and _5EX (MS-ADTS 6.3.1.1): the answer with names as DNS writes them.
_PING = tlv(0xA0, tlv(0xA3, tlv(0x04, b"NtVer"), tlv(0x04, b"\x06\0\0\0")))  # (&(NtVer=...))
_RESPONSE_EX = 23
_FACTS = ("currentTime", "domainFunctionality", "forestFunctionality")
_ENTRY = 0x64


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A domain as one of its DCs tells it.

    `dc` is that DC's full host name. `level` is the higher of the domain's and the forest's functional level, as
    MS-ADTS 6.1.4.2 numbers them (4: 2008 R2, 7: 2016). `skew` is how far the DC's clock is ahead, in seconds.
    """

    realm: str
    netbios: str
    dc: str
    site: str
    level: int
    skew: float


def survey(address: str, namespace: Path | None = None) -> Domain:
    """Ask the DC at an address, from a network namespace if one is given; InputError when no DC answers there."""
    try:
        with ExitStack() as stack:
            if namespace is not None:
                stack.enter_context(inside_network(namespace))
            ping = _search(address, _PING, ("Netlogon",))
            facts = _search(address, tlv(0x87, b"objectClass"), _FACTS)
        return _domain(ping["netlogon"], facts)
    except TimeoutError:
        why = f"silence for {_TRIES * _PATIENCE:g} s"
    except OSError as error:
        why = (error.strerror or str(error)).lower()
    except (KeyError, ValueError, IndexError, struct.error):
        why = "what answers is no domain controller"
    raise InputError(
        f"no domain controller answers at {address}: {why}",
        "Give --dc the address of a running DC of the domain; this host must reach its ports.",
    )


def _search(address: str, wanted: bytes, attributes: tuple[str, ...]) -> dict[str, bytes]:
    """The rootDSE's attributes by their names in small letters, one value each (RFC 1798: LDAP in a datagram)."""
    names = tlv(0x30, *(tlv(0x04, name.encode()) for name in attributes))
    limits = integer(0, 0x0A) * 2 + integer(0) * 2 + tlv(0x01, b"\0")
    request = tlv(0x30, integer(1), tlv(0x63, tlv(0x04), limits, wanted, names))
    kind, content = children(read(_ask(address, request))[1])[1]
    if kind != _ENTRY:
        raise ValueError("no entry")
    listed = [children(item) for _, item in children(children(content)[1][1])]
    return {name.decode().lower(): children(values)[0][1] for (_, name), (_, values) in listed}


def _ask(address: str, request: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect((address, _PORT))
        for attempt in range(1, _TRIES + 1):
            connection.send(request)
            try:
                return connection.recv(65535)
            except TimeoutError:
                if attempt == _TRIES:
                    raise
    raise AssertionError("unreachable")


def _domain(ping: bytes, facts: dict[str, bytes]) -> Domain:
    """MS-ADTS 6.3.1.9, NETLOGON_SAM_LOGON_RESPONSE_EX: 24 octets, then eight names."""
    if struct.unpack_from("<H", ping)[0] != _RESPONSE_EX:
        raise ValueError("not the answer that was asked for")
    names, place = [], 24
    for _ in range(8):
        name, place = _name(ping, place)
        names.append(name)
    _forest, realm, dc, netbios, _dc_netbios, _user, site, _client_site = names
    told = datetime.strptime(facts["currenttime"].decode(), "%Y%m%d%H%M%S.0Z").replace(tzinfo=UTC)
    return Domain(
        realm=realm.upper(),
        netbios=netbios.upper(),
        dc=dc.lower(),
        site=site,
        level=max(int(facts[name.lower()]) for name in _FACTS[1:]),
        skew=(told - datetime.now(UTC)).total_seconds(),
    )


def _name(data: bytes, place: int) -> tuple[str, int]:
    """A DNS name and where the next one begins (RFC 1035 4.1.4); a pointer leads backwards only."""
    labels: list[str] = []
    after, lowest = 0, place
    while size := data[place]:
        if size >= 0xC0:
            target = struct.unpack_from(">H", data, place)[0] & 0x3FFF
            if target >= lowest:  # also not back to where it was: nobody would come to an end
                raise ValueError("a pointer that leads nowhere")
            after, place, lowest = after or place + 2, target, target
        else:
            labels.append(data[place + 1 : place + 1 + size].decode())
            place += 1 + size
    return ".".join(labels), after or place + 1

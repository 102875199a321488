"""One real question to each service of a DC. A probe returns when the answer is right, and raises otherwise.

They speak the protocols by hand: the libraries that the checks use cost more to import than a DC takes to start.
"""

import secrets
import socket
import struct
from collections.abc import Callable

from galaxy.server.config import ServerConfig
from galaxy.server.wire import children, integer, read, tlv

# An answer that takes longer than this, in seconds, is asked for again.
_PATIENCE = 2.0
_PREAUTH_REQUIRED = 25  # RFC 4120 7.5.9


class NoAnswerError(Exception):
    """The service is not there yet, or answers something else."""


def ldap(config: ServerConfig) -> None:
    """Search the rootDSE (RFC 4512 5.1) and find the domain's own naming context in it."""
    wanted = b"defaultNamingContext"
    search = tlv(
        0x63,
        tlv(0x04),
        integer(0, 0x0A) * 2,
        integer(0) * 2,
        tlv(0x01, b"\0"),
        tlv(0x87, b"objectClass"),
        tlv(0x30, tlv(0x04, wanted)),
    )
    with _tcp(config.address, 389) as connection:
        connection.sendall(tlv(0x30, integer(1), search))
        messages = _ldap_messages(connection)
    done, entries = messages[-1], b"".join(content for _, content in messages[:-1])
    code = children(done[1])[0][1]
    if code != b"\0":
        raise NoAnswerError(f"the rootDSE search ended with {int.from_bytes(code, 'big')}")
    if config.base_dn.lower().encode() not in entries.lower():
        raise NoAnswerError(f"the rootDSE does not name {config.base_dn}")


def _ldap_messages(connection: socket.socket) -> list[tuple[int, bytes]]:
    """The operations answered up to the SearchResultDone."""
    data = b""
    found: list[tuple[int, bytes]] = []
    while not found or found[-1][0] != 0x65:
        try:
            _, content, rest = read(data)
        except ValueError:
            data += _more(connection)
            continue
        found.append(children(content)[1])
        data = rest
    return found


def smb(config: ServerConfig) -> None:
    """Negotiate SMB 2.0.2 to 3.0.2 (MS-SMB2 2.2.3) and be given one of them."""
    dialects = (0x0202, 0x0210, 0x0300, 0x0302)
    header = struct.pack("<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 0, 0, 0, 31, 0, 0, 0, 0, 0, 0, b"")
    body = struct.pack("<HHHHI16sQ", 36, len(dialects), 1, 0, 0, secrets.token_bytes(16), 0)
    packet = header + body + struct.pack(f"<{len(dialects)}H", *dialects)
    with _tcp(config.address, 445) as connection:
        connection.sendall(struct.pack(">I", len(packet)) + packet)
        size = struct.unpack(">I", _exactly(connection, 4))[0] & 0xFFFFFF
        answer = _exactly(connection, size)
    magic, status = struct.unpack_from("<4s4xI", answer)
    dialect = struct.unpack_from("<H", answer, 68)[0] if len(answer) >= 70 else 0
    if magic != b"\xfeSMB" or status != 0 or dialect not in dialects:
        raise NoAnswerError(f"SMB negotiate ended with status {status:#010x}, dialect {dialect:#06x}")


def kerberos(config: ServerConfig) -> None:
    """Ask the KDC for a ticket of the DC's own account (RFC 4120 3.1); it wants pre-authentication."""
    answer = _udp(config.address, 88, _as_req(f"{config.hostname.upper()}$", config.realm))
    tag, content, _ = read(answer)
    if tag == 0x6B:
        return
    code = dict(children(read(content)[1])).get(0xA6, b"")
    number = int.from_bytes(read(code)[1], "big") if code else -1
    if tag != 0x7E or number != _PREAUTH_REQUIRED:
        raise NoAnswerError(f"the KDC answers {config.hostname.upper()}$ with Kerberos error {number}")


def _as_req(client: str, realm: str) -> bytes:
    def principal(kind: int, *names: str) -> bytes:
        words = tlv(0x30, *(tlv(0x1B, name.encode()) for name in names))
        return tlv(0x30, tlv(0xA0, integer(kind)), tlv(0xA1, words))

    body = tlv(
        0x30,
        tlv(0xA0, tlv(0x03, b"\0\0\0\0\0")),
        tlv(0xA1, principal(1, client)),
        tlv(0xA2, tlv(0x1B, realm.encode())),
        tlv(0xA3, principal(2, "krbtgt", realm)),
        tlv(0xA5, tlv(0x18, b"20370913024805Z")),
        tlv(0xA7, integer(secrets.randbits(31))),
        tlv(0xA8, tlv(0x30, integer(18), integer(17), integer(23))),
    )
    request = tlv(0x30, tlv(0xA1, integer(5)), tlv(0xA2, integer(10)), tlv(0xA4, body))
    return tlv(0x6A, request)


def dns(config: ServerConfig) -> None:
    """Ask for the domain's LDAP servers (RFC 2782) and be given at least one."""
    number = secrets.token_bytes(2)
    name = b"".join(
        bytes((len(label),)) + label.encode() for label in f"_ldap._tcp.{config.dns_domain}".split(".")
    )
    question = number + struct.pack(">5H", 0x0100, 1, 0, 0, 0) + name + b"\0" + struct.pack(">2H", 33, 1)
    answer = _udp(config.address, 53, question)
    flags, _, count = struct.unpack_from(">3H", answer, 2)
    if answer[:2] != number or flags & 0x800F != 0x8000 or count == 0:
        raise NoAnswerError(f"no SRV record for _ldap._tcp.{config.dns_domain} (DNS code {flags & 0xF})")


PROBES: dict[str, Callable[[ServerConfig], None]] = {
    "ldap": ldap,
    "smb": smb,
    "kerberos": kerberos,
    "dns": dns,
}


def _tcp(address: str, port: int) -> socket.socket:
    return socket.create_connection((address, port), timeout=_PATIENCE)


def _udp(address: str, port: int, packet: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
        connection.settimeout(_PATIENCE)
        connection.connect((address, port))
        connection.send(packet)
        return connection.recv(65535)


def _more(connection: socket.socket, most: int = 65536) -> bytes:
    block = connection.recv(most)
    if not block:
        raise NoAnswerError("the connection was closed")
    return block


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        data += _more(connection, size - len(data))
    return data

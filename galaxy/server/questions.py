"""One real question to each service of a DC, and which answer is right: packets, without the sockets they travel by.

They speak the protocols by hand: the libraries that the checks use cost more to import than a DC takes to start.
"""

import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from galaxy.server.config import ServerConfig
from galaxy.server.wire import children, integer, read, tlv

_PREAUTH_REQUIRED = 25  # RFC 4120 7.5.9
# RFC 4120 7.5.9: what a server's own files are at fault for when its KDC says so of its own account.
_MEANINGS = {
    6: " (no such account): do the realm and the netbios name of smb.conf agree with server.toml?",
    68: " (another realm): does the realm of smb.conf agree with server.toml?",
}
# MS-SMB2 2.2.3: SMB 2.0.2 to 3.1.1. Whatever smb.conf leaves of them and of their algorithms, clients get it.
_DIALECTS = (0x0202, 0x0210, 0x0300, 0x0302, 0x0311)
# A negative session response (RFC 1002 4.3.4): smbd's answer to an address that `hosts allow` leaves out.
_NOT_LISTENING = 0x83
_SHA_512 = 1
_CIPHERS = (2, 1, 4, 3)  # AES-128-GCM, AES-128-CCM, AES-256-GCM, AES-256-CCM
_SIGNING = (2, 1, 0)  # AES-GMAC, AES-CMAC, HMAC-SHA256


class NoAnswerError(Exception):
    """The service is not there yet, or answers something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`packet` is what to send. `answered(config, packet, data)` is True for the right answer, False for a part of one.

    It raises NoAnswerError for anything else, or ValueError or struct.error for what makes no sense.
    """

    transport: Literal["tcp", "udp"]
    port: int
    packet: Callable[[ServerConfig], bytes]
    answered: Callable[[ServerConfig, bytes, bytes], bool]


def _root_dse(_config: ServerConfig) -> bytes:
    """Search the rootDSE (RFC 4512 5.1) for the domain's own naming context."""
    search = tlv(
        0x63,
        tlv(0x04),
        integer(0, 0x0A) * 2,
        integer(0) * 2,
        tlv(0x01, b"\0"),
        tlv(0x87, b"objectClass"),
        tlv(0x30, tlv(0x04, b"defaultNamingContext")),
    )
    return tlv(0x30, integer(1), search)


def _is_root_dse(config: ServerConfig, _packet: bytes, data: bytes) -> bool:
    """The entry, then the SearchResultDone (0x65): messages in any number of pieces."""
    entries = b""
    while True:
        try:
            _, message, data = read(data)
        except ValueError:
            return False
        tag, content = children(message)[1]
        if tag == 0x65:
            break
        entries += content
    code = children(content)[0][1]
    if code != b"\0":
        raise NoAnswerError(f"the rootDSE search ended with {int.from_bytes(code, 'big')}")
    if config.base_dn.lower().encode() not in entries.lower():
        raise NoAnswerError(f"the rootDSE does not name {config.base_dn}")
    return True


def _negotiate(_config: ServerConfig) -> bytes:
    """Negotiate (MS-SMB2 2.2.3), framed for TCP (2.1)."""
    header = struct.pack("<4sHHIHHIIQIIQ16s", b"\xfeSMB", 64, 0, 0, 0, 31, 0, 0, 0, 0, 0, 0, b"")
    salt = secrets.token_bytes(32)
    contexts = (
        _context(1, struct.pack("<3H", 1, len(salt), _SHA_512) + salt),
        _context(2, _counted(_CIPHERS)),
        _context(8, _counted(_SIGNING)),
    )
    dialects = struct.pack(f"<{len(_DIALECTS)}H", *_DIALECTS)
    begin = _aligned(header + bytes(36) + dialects)
    body = struct.pack(
        "<HHHHI16sIHH",
        *(36, len(_DIALECTS), 1, 0, 0, secrets.token_bytes(16)),
        *(len(begin), len(contexts), 0),
    )
    packet = _aligned(header + body + dialects) + b"".join(map(_aligned, contexts))
    return struct.pack(">I", len(packet)) + packet


def _context(kind: int, data: bytes) -> bytes:
    """One of the negotiate contexts that SMB 3.1.1 has (MS-SMB2 2.2.3.1)."""
    return struct.pack("<HHI", kind, len(data), 0) + data


def _counted(numbers: tuple[int, ...]) -> bytes:
    return struct.pack(f"<{len(numbers) + 1}H", len(numbers), *numbers)


def _aligned(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _is_negotiated(_config: ServerConfig, _packet: bytes, data: bytes) -> bool:
    """One of the dialects was chosen (MS-SMB2 2.2.4)."""
    if len(data) < 4 or len(data) < 4 + (struct.unpack_from(">I", data)[0] & 0xFFFFFF):
        return False
    if data[0] == _NOT_LISTENING:
        raise NoAnswerError("SMB does not listen to this address: see hosts allow and hosts deny in smb.conf")
    magic, status = struct.unpack_from("<4s4xI", data, 4)
    dialect = struct.unpack_from("<H", data, 72)[0] if len(data) >= 74 else 0
    if magic != b"\xfeSMB" or status != 0 or dialect not in _DIALECTS:
        raise NoAnswerError(f"SMB negotiate ended with status {status:#010x}, dialect {dialect:#06x}")
    return True


def _as_req(config: ServerConfig) -> bytes:
    """Ask the KDC for a ticket of the DC's own account (RFC 4120 3.1)."""

    def principal(kind: int, *names: str) -> bytes:
        words = tlv(0x30, *(tlv(0x1B, name.encode()) for name in names))
        return tlv(0x30, tlv(0xA0, integer(kind)), tlv(0xA1, words))

    body = tlv(
        0x30,
        tlv(0xA0, tlv(0x03, b"\0\0\0\0\0")),
        tlv(0xA1, principal(1, f"{config.hostname.upper()}$")),
        tlv(0xA2, tlv(0x1B, config.realm.encode())),
        tlv(0xA3, principal(2, "krbtgt", config.realm)),
        tlv(0xA5, tlv(0x18, b"20370913024805Z")),
        tlv(0xA7, integer(secrets.randbits(31))),
        tlv(0xA8, tlv(0x30, integer(18), integer(17), integer(23))),
    )
    return tlv(0x6A, tlv(0x30, tlv(0xA1, integer(5)), tlv(0xA2, integer(10)), tlv(0xA4, body)))


def _knows_itself(config: ServerConfig, _packet: bytes, data: bytes) -> bool:
    """A ticket, or the error that wants pre-authentication: either way the KDC has found the account."""
    tag, content, _ = read(data)
    if tag == 0x6B:
        return True
    code = dict(children(read(content)[1])).get(0xA6, b"")
    number = int.from_bytes(read(code)[1], "big") if code else -1
    if tag != 0x7E or number != _PREAUTH_REQUIRED:
        meaning = _MEANINGS.get(number, "")
        raise NoAnswerError(
            f"the KDC answers {config.hostname.upper()}$ with Kerberos error {number}{meaning}"
        )
    return True


def _srv_query(config: ServerConfig) -> bytes:
    """Ask for the domain's LDAP servers (RFC 2782)."""
    labels = f"_ldap._tcp.{config.dns_domain}".split(".")
    name = b"".join(bytes((len(label),)) + label.encode() for label in labels)
    head = secrets.token_bytes(2) + struct.pack(">5H", 0x0100, 1, 0, 0, 0)
    return head + name + b"\0" + struct.pack(">2H", 33, 1)


def _names_servers(config: ServerConfig, packet: bytes, data: bytes) -> bool:
    """At least one server, and no error."""
    flags, _, count = struct.unpack_from(">3H", data, 2)
    if data[:2] != packet[:2] or flags & 0x800F != 0x8000 or count == 0:
        raise NoAnswerError(f"no SRV record for _ldap._tcp.{config.dns_domain} (DNS code {flags & 0xF})")
    return True


QUESTIONS: dict[str, Question] = {
    "ldap": Question(transport="tcp", port=389, packet=_root_dse, answered=_is_root_dse),
    "smb": Question(transport="tcp", port=445, packet=_negotiate, answered=_is_negotiated),
    "kerberos": Question(transport="udp", port=88, packet=_as_req, answered=_knows_itself),
    "dns": Question(transport="udp", port=53, packet=_srv_query, answered=_names_servers),
}

"""Time that members of a domain believe: NTP replies with a signature by the member's own key (MS-SNTP).

Samba answers no NTP itself. The host's time server (chrony, ntpd) hands each reply over a local socket to Samba's
signing service and sends what comes back. So a check plays the time server, and then the member.
"""

import hashlib
import secrets
import socket
import struct
from dataclasses import dataclass

from impacket.ntlm import compute_nthash

from verify.check import NotApplicable
from verify.target import Target

SUCCESS, FAILURE = 3, 4
_SOCKET = "/var/lib/samba/ntp_signd/socket"
_SIGN_TO_CLIENT = 0
_REPLY_BYTES = 48
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """What the signing service says: its result, and the reply with key id and checksum; empty if it hung up."""

    result: int
    packet: bytes


def sign(target: Target, reply: bytes, rid: int) -> Signed:
    """Have an NTP reply of 48 bytes signed for the member with that RID; FAILURE also when nothing comes back."""
    if target.pid is None:
        raise NotApplicable("needs a server that runs on this host, for its signing socket is local")
    number = secrets.randbits(16)
    request = struct.pack(">IIHxx", 0, _SIGN_TO_CLIENT, number) + struct.pack("<I", rid) + reply
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(_PATIENCE)
        wire.connect(f"/proc/{target.pid}/root{_SOCKET}")
        wire.sendall(struct.pack(">I", len(request)) + request)
        with wire.makefile("rb") as answers:
            length = answers.read(4)
            body = answers.read(struct.unpack(">I", length)[0]) if length else b""
    if not body:
        return Signed(result=FAILURE, packet=b"")
    _version, result, same = struct.unpack_from(">III", body)
    assert same == number, f"the answer is to request {same}, not to {number}"
    return Signed(result=result, packet=body[12:])


def reply() -> bytes:
    """A time server's reply to a client: version 3, mode 4, and times that nobody reads."""
    return bytes([0x1C]) + secrets.token_bytes(_REPLY_BYTES - 1)


def signature(packet: bytes, password: str) -> bytes:
    """What a member expects after its key id: MD5 over its NT hash and the reply (MS-SNTP 3.2.5.1)."""
    return hashlib.md5(compute_nthash(password) + packet, usedforsecurity=False).digest()

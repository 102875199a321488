"""Single SMB messages, built by hand where smbprotocol can't be asked to say or to show such a thing."""

import secrets
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

_PATIENCE = 10.0
_PREAUTH, _POSIX = 1, 0x100
# MS-SMB2 has no name for it: the GUID of the SMB3 POSIX extensions, in a context of type 0x100.
POSIX_GUID = bytes.fromhex("93ad25509cb411e7b42383de968bcd7c")
LEASING, DIRECTORY_LEASING = 0x02, 0x20


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiated:
    """A server's answer to SMB2 NEGOTIATE (MS-SMB2 2.2.4): contexts are by type, still packed."""

    status: int
    dialect: int = 0
    security_mode: int = 0
    capabilities: int = 0
    contexts: Mapping[int, bytes] | None = None


@contextmanager
def _dialled(address: str) -> Iterator[socket.socket]:
    with socket.create_connection((address, 445), timeout=_PATIENCE) as wire:
        yield wire


def _exchange(address: str, message: bytes) -> bytes:
    """Send one message in a connection of its own; b'' when the server hangs up instead of answering."""
    with _dialled(address) as wire:
        wire.sendall(struct.pack(">I", len(message)) + message)
        try:
            return _exactly(wire, struct.unpack(">I", _exactly(wire, 4))[0])
        except (ConnectionError, EOFError):
            return b""


def _exactly(wire: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        more = wire.recv(count - len(data))
        if not more:
            raise EOFError
        data += more
    return data


def negotiate_smb1(address: str) -> bytes:
    """Offer `NT LM 0.12` and nothing newer (MS-CIFS 2.2.4.52); the raw answer, b'' for a hang-up."""
    header = b"\xffSMB\x72" + bytes(4) + b"\x18" + struct.pack("<H", 0xC853) + bytes(20)
    dialects = b"\x02NT LM 0.12\0"
    return _exchange(address, header + b"\0" + struct.pack("<H", len(dialects)) + dialects)


def negotiate(address: str, dialects: Sequence[int] = (0x311,), *, posix: bool = False) -> Negotiated:
    """Offer these dialects with leasing capabilities, and with `posix` the POSIX extensions."""
    header = b"\xfeSMB" + struct.pack("<HHIHHIIQIIQ", 64, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + bytes(16)
    body = _negotiate_body(dialects, _contexts(posix=posix) if 0x311 in dialects else [])
    answer = _exchange(address, header + body)
    if len(answer) < 64 + 65:
        return Negotiated(status=struct.unpack_from("<I", answer, 8)[0] if len(answer) >= 12 else -1)
    mode, dialect, count = struct.unpack_from("<HHH", answer, 66)
    return Negotiated(
        status=struct.unpack_from("<I", answer, 8)[0],
        dialect=dialect,
        security_mode=mode,
        capabilities=struct.unpack_from("<I", answer, 88)[0],
        contexts=_parsed(answer, count) if dialect == 0x311 else {},
    )


def _negotiate_body(dialects: Sequence[int], contexts: Sequence[tuple[int, bytes]]) -> bytes:
    """MS-SMB2 2.2.3."""
    listed = struct.pack(f"<{len(dialects)}H", *dialects)
    start = 36 + len(listed)
    gap = -start % 8 if contexts else 0
    offset = 64 + start + gap if contexts else 0
    packed = b""
    for kind, data in contexts:
        packed += bytes(-len(packed) % 8) + struct.pack("<HHI", kind, len(data), 0) + data
    capabilities = LEASING | DIRECTORY_LEASING | 0x45
    fixed = struct.pack("<HHHHI", 36, len(dialects), 1, 0, capabilities) + secrets.token_bytes(16)
    return fixed + struct.pack("<IHH", offset, len(contexts), 0) + listed + bytes(gap) + packed


def _contexts(*, posix: bool) -> list[tuple[int, bytes]]:
    sha512 = struct.pack("<HHH", 1, 32, 1) + secrets.token_bytes(32)
    return [(_PREAUTH, sha512), *([(_POSIX, POSIX_GUID)] if posix else [])]


def _parsed(answer: bytes, count: int) -> dict[int, bytes]:
    """The contexts of an answer; their offset stands behind the security buffer's fields."""
    found: dict[int, bytes] = {}
    position = struct.unpack_from("<I", answer, 64 + 60)[0]
    for _ in range(count):
        kind, length = struct.unpack_from("<HH", answer, position)
        found[kind] = answer[position + 8 : position + 8 + length]
        position += 8 + length
        position += -position % 8
    return found

"""Security descriptors as bytes (MS-DTYP 2.4): as much as checks need to set rights and compare them."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass

_SELF_RELATIVE, _DACL_PRESENT, _DACL_PROTECTED = 0x8000, 0x0004, 0x1000
_ALLOWED = 0


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ace:
    """Somebody's rights: `kind` 0 allows, 1 denies; `flags` say what inherits it."""

    sid: str
    mask: int
    kind: int = _ALLOWED
    flags: int = 0


def sid_text(raw: bytes) -> str:
    """S-1-5-... of a packed SID."""
    count = raw[1]
    parts = struct.unpack_from(f"<{count}I", raw, 8)
    return "-".join(["S", str(raw[0]), str(int.from_bytes(raw[2:8], "big")), *map(str, parts)])


def sid_bytes(text: str) -> bytes:
    """A packed SID of S-1-5-..."""
    _letter, revision, authority, *parts = text.split("-")
    head = bytes([int(revision), len(parts)]) + int(authority).to_bytes(6, "big")
    return head + struct.pack(f"<{len(parts)}I", *map(int, parts))


def descriptor(aces: Sequence[Ace]) -> bytes:
    """A descriptor with only these rights, which inherits none."""
    packed = b"".join(_packed(ace) for ace in aces)
    dacl = struct.pack("<BBHHH", 2, 0, 8 + len(packed), len(aces), 0) + packed
    control = _SELF_RELATIVE | _DACL_PRESENT | _DACL_PROTECTED
    return struct.pack("<BBHIIII", 1, 0, control, 0, 0, 0, 20) + dacl


def dacl_of(raw: bytes) -> list[Ace]:
    """The rights in a descriptor, in its order; object-specific entries are left out."""
    start = struct.unpack_from("<I", raw, 16)[0]
    if start == 0:
        return []
    count = struct.unpack_from("<H", raw, start + 4)[0]
    found, position = [], start + 8
    for _ in range(count):
        kind, flags, size, mask = struct.unpack_from("<BBHI", raw, position)
        if kind in (0, 1):
            found.append(
                Ace(sid=sid_text(raw[position + 8 : position + size]), mask=mask, kind=kind, flags=flags)
            )
        position += size
    return found


def _packed(ace: Ace) -> bytes:
    sid = sid_bytes(ace.sid)
    return struct.pack("<BBHI", ace.kind, ace.flags, 8 + len(sid), ace.mask) + sid

"""Security descriptors as bytes (MS-DTYP 2.4): as much as checks need to set rights and compare them."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

_SELF_RELATIVE, _DACL_PRESENT, _DACL_PROTECTED = 0x8000, 0x0004, 0x1000
_ALLOWED, _DENIED, _OBJECT, _WITH_TYPE = 0, 1, 5, 1


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Ace:
    """Somebody's rights: `kind` 0 allows, 1 denies; `flags` say what inherits it.

    With `right`, the GUID of an extended right or a property, it is an object-specific entry (MS-DTYP 2.4.4.3).
    """

    sid: str
    mask: int
    kind: int = _ALLOWED
    flags: int = 0
    right: str = ""


def sid_text(raw: bytes) -> str:
    """S-1-5-... of a packed SID (MS-DTYP 2.4.2), which LDAP filters take too: ldap3 can't send binary in those."""
    count = raw[1]
    parts = struct.unpack_from(f"<{count}I", raw, 8)
    return "-".join(["S", str(raw[0]), str(int.from_bytes(raw[2:8], "big")), *map(str, parts)])


def rid_of(raw: bytes) -> int:
    """The last part of a packed SID: who it is in its domain."""
    return int(struct.unpack("<I", raw[-4:])[0])


def sid_bytes(text: str) -> bytes:
    """A packed SID of S-1-5-..."""
    _letter, revision, authority, *parts = text.split("-")
    head = bytes([int(revision), len(parts)]) + int(authority).to_bytes(6, "big")
    return head + struct.pack(f"<{len(parts)}I", *map(int, parts))


def descriptor(aces: Sequence[Ace], *, owner: str = "") -> bytes:
    """A descriptor with only these rights, which inherits none; without an owner when none is named."""
    packed = b"".join(_packed(ace) for ace in aces)
    revision = 4 if any(ace.right for ace in aces) else 2
    dacl = struct.pack("<BBHHH", revision, 0, 8 + len(packed), len(aces), 0) + packed
    control = _SELF_RELATIVE | _DACL_PRESENT | _DACL_PROTECTED
    who = sid_bytes(owner) if owner else b""
    return struct.pack("<BBHIIII", 1, 0, control, 20 if who else 0, 0, 0, 20 + len(who)) + who + dacl


def dacl_of(raw: bytes) -> list[Ace]:
    """The rights in a descriptor, in its order; entries for inherited object types are left out."""
    start = struct.unpack_from("<I", raw, 16)[0]
    if start == 0:
        return []
    count = struct.unpack_from("<H", raw, start + 4)[0]
    found, position = [], start + 8
    for _ in range(count):
        size = struct.unpack_from("<H", raw, position + 2)[0]
        ace = _unpacked(raw[position : position + size])
        found += [ace] if ace is not None else []
        position += size
    return found


def _unpacked(raw: bytes) -> Ace | None:
    kind, flags, _size, mask = struct.unpack_from("<BBHI", raw, 0)
    if kind in (_ALLOWED, _DENIED):
        return Ace(sid=sid_text(raw[8:]), mask=mask, kind=kind, flags=flags)
    if kind in (_ALLOWED + _OBJECT, _DENIED + _OBJECT) and raw[8] == _WITH_TYPE:
        right = str(UUID(bytes_le=raw[12:28]))
        return Ace(sid=sid_text(raw[28:]), mask=mask, kind=kind - _OBJECT, flags=flags, right=right)
    return None


def _packed(ace: Ace) -> bytes:
    who = sid_bytes(ace.sid)
    if ace.right:
        what = struct.pack("<I", _WITH_TYPE) + UUID(ace.right).bytes_le
        head = struct.pack("<BBHI", ace.kind + _OBJECT, ace.flags, 8 + len(what) + len(who), ace.mask)
        return head + what + who
    return struct.pack("<BBHI", ace.kind, ace.flags, 8 + len(who), ace.mask) + who

"""LDAP controls that ldap3 has no builder for, as BER (X.690), and the answers to them."""

from typing import Any

from pyasn1.codec.ber import decoder

from verify.clients.ldap import Control, Session

_SORT = "1.2.840.113556.1.4.473"
_PAGED = "1.2.840.113556.1.4.319"
_VLV = "2.16.840.1.113730.3.4.9"
_VLV_ANSWER = "2.16.840.1.113730.3.4.10"
_DIRSYNC = "1.2.840.113556.1.4.841"
_EXTENDED_DN = "1.2.840.113556.1.4.529"
_SD_FLAGS = "1.2.840.113556.1.4.801"
_ASQ = "1.2.840.113556.1.4.1504"
_POLICY_HINTS = "1.2.840.113556.1.4.2066"
# MS-ADTS 3.1.1.3.4.1.3, LDAP_DIRSYNC_OBJECT_SECURITY: only what the caller may see, so that anybody may ask.
OBJECT_SECURITY = 0x1


def paged(size: int, cookie: bytes = b"") -> Control:
    """RFC 2696: one page of at most `size` objects, from where `cookie` ended."""
    return (_PAGED, True, _sequence(_integer(size), _octets(cookie)))


def page_cookie(session: Session) -> bytes:
    """Where the last page ended; b'' when it was the last."""
    return bytes(_answer(session, _PAGED)["cookie"])


def sort(attribute: str, *, reverse: bool = False) -> Control:
    """RFC 2891 with one key."""
    key = _octets(attribute.encode()) + (_tlv(0x81, b"\xff") if reverse else b"")
    return (_SORT, True, _sequence(_sequence(key)))


def window(offset: int, *, before: int = 0, after: int = 0) -> Control:
    """Virtual list view (draft-ietf-ldapext-ldapv3-vlv-09): the objects around the offset-th, counted from 1."""
    target = _tlv(0xA0, _integer(offset) + _integer(0))
    return (_VLV, True, _sequence(_integer(before), _integer(after), target))


def window_position(session: Session) -> tuple[int, int, int]:
    """Target position, size of the list and result code of the last virtual list view."""
    body, _rest = decoder.decode(_answer(session, _VLV_ANSWER))
    position, size, code = list(body.values())[:3]
    return int(position), int(size), int(code)


def dirsync(cookie: bytes = b"", *, flags: int = 0) -> Control:
    """MS-ADTS 3.1.1.3.4.1.3: what changed since the cookie; b'' for everything."""
    return (_DIRSYNC, True, _sequence(_integer(flags), _integer(1 << 20), _octets(cookie)))


def dirsync_cookie(session: Session) -> bytes:
    """Where the last DirSync ended."""
    return bytes(_answer(session, _DIRSYNC)["cookie"])


def extended_dn() -> Control:
    """MS-ADTS 3.1.1.3.4.1.5: DNs as <GUID=...>;<SID=...>;dn."""
    return (_EXTENDED_DN, True, _sequence(_integer(1)))


def sd_flags(flags: int) -> Control:
    """MS-ADTS 3.1.1.3.4.1.11: the parts of security descriptors wanted: 1 owner, 2 group, 4 DACL, 8 SACL."""
    return (_SD_FLAGS, True, _sequence(_integer(flags)))


def attribute_scope(attribute: str) -> Control:
    """MS-ADTS 3.1.1.3.4.1.18: search the objects that the base's attribute names."""
    return (_ASQ, True, _sequence(_octets(attribute.encode())))


def policy_hints() -> Control:
    """MS-ADTS 3.1.1.3.4.1.27, by the number that most clients use: a reset keeps to what a change has to."""
    return (_POLICY_HINTS, True, _sequence(_integer(1)))


def _answer(session: Session, oid: str) -> Any:
    """A control's answer: ldap3 decodes paged results and DirSync, and gives bytes for the rest."""
    assert oid in session.answered, f"the server did not answer the control {oid}"
    return session.answered[oid]["value"]


def _tlv(tag: int, body: bytes) -> bytes:
    size = len(body)
    if size < 0x80:
        return bytes([tag, size]) + body
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(length)]) + length + body


def _integer(value: int) -> bytes:
    return _tlv(2, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _octets(value: bytes) -> bytes:
    return _tlv(4, value)


def _sequence(*parts: bytes) -> bytes:
    return _tlv(0x30, b"".join(parts))

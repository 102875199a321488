"""Is a TDB file sound in itself? Looked at from outside, without a lock or a write, in some 10 ms a megabyte at most.

The same questions as tdb_check() asks (lib/tdb/common/check.c): records fill the file without a gap, and each is in
exactly one chain, the one that its hash belongs to. And for LDB: whether an object begins as one does
(lib/ldb/common/ldb_pack.c). A transaction that was cut off is first rolled back, in memory, as Samba will do. What was
changed inside of a value keeps the file sound: TDB has no checksums.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galaxy.server.mapped import FlawError, mapped

MAGIC = b"TDB file\n"
_VERSION = 0x26011967 + 6
_USED, _DEAD, _FREE = 0x26011999, 0xFEE1DEAD, 0xD9FEE666
_RECOVERY, _NONE, _FILL = 0xF53BC0E7, 0, 0x42424242
_PACKED = frozenset({0x26011966, 0x26011967, 0x26011968})
_PACKED_WITH_LENGTHS = 0x26011968
_RECORD = struct.Struct("<6I")  # next, rec_len, key_len, data_len, full_hash, magic
_HEADER = struct.Struct("<32s4I")  # magic, version, hash_size, rwlocks, recovery_start
_FREE_LIST = 168
_OBJECTS = (b"DN=", b"GUID=")


def require_sound_tdb(path: Path) -> None:
    """FlawError when a TDB file is damaged, or none."""
    with _mapped(path) as data:
        _require_sound(data)


def entries(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a TDB file, in no order; FlawError when it is damaged, or written to at this moment."""
    with _mapped(path) as data:
        _require_sound(data)
        _, _, size, _, recovery = _HEADER.unpack_from(data)
        for at in _records(data, _FREE_LIST + 4 * (size + 1), recovery)[0]:
            _, _, key, value, _, magic = _RECORD.unpack_from(data, at)
            start = at + _RECORD.size
            if magic == _USED:
                yield bytes(data[start : start + key]), bytes(data[start + key : start + key + value])


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    """The file in memory. What is put back there is put back in our copy of its pages only."""
    if path.stat().st_size < _FREE_LIST:
        raise FlawError("it is cut short")
    with mapped(path, mmap.ACCESS_COPY) as data:
        yield data


def _require_sound(data: mmap.mmap) -> None:
    word, version, size, _, recovery = _HEADER.unpack_from(data)
    if not word.startswith(MAGIC) or version != _VERSION or not 0 < size < len(data) // 4:
        raise FlawError("its header is damaged")
    start = _FREE_LIST + 4 * (size + 1)
    _roll_back(data, recovery)
    used, free = _records(data, start, recovery)
    heads = struct.unpack_from(f"<{size + 1}I", data, _FREE_LIST)
    _follow(data, heads[0], free, None)
    for bucket, head in enumerate(heads[1:]):
        _follow(data, head, used, (bucket, size))
    if used:  # free ones in no list are only lost space, which a crash may leave
        raise FlawError(f"{len(used)} records are in no list")


def _roll_back(data: mmap.mmap, recovery: int) -> None:
    """Put back what a transaction that was not completed has overwritten (tdb_transaction_recover)."""
    if not recovery:
        return
    if recovery + _RECORD.size > len(data):
        raise FlawError("its header is damaged")
    _, _, _, length, _, magic = _RECORD.unpack_from(data, recovery)
    if magic != _RECOVERY:
        return
    at, end = recovery + _RECORD.size, recovery + _RECORD.size + length
    while at + 8 < end:
        offset, count = struct.unpack_from("<2I", data, at)
        if at + 8 + count > len(data) or offset + count > len(data):
            raise FlawError("its recovery area is damaged")
        data[offset : offset + count] = data[at + 8 : at + 8 + count]
        at += 8 + count


def _records(data: mmap.mmap, start: int, recovery: int) -> tuple[set[int], set[int]]:
    """The offsets of the records in use and of the free ones."""
    used: set[int] = set()
    free: set[int] = set()
    at = start
    while at + _RECORD.size <= len(data):
        _, length, key, value, _, magic = _RECORD.unpack_from(data, at)
        end = at + _RECORD.size + length
        if magic in {_USED, _DEAD, _FREE}:
            _require_record(data, at, end, key + value if magic != _FREE else 0)
            (free if magic == _FREE else used).add(at)
            if magic == _USED:
                _require_object(data, at + _RECORD.size, key, value)
        elif at == recovery and magic in {_RECOVERY, _NONE}:
            pass
        elif magic in {_NONE, _FILL} and (dead := _dead_space(data, at)) >= _RECORD.size:
            end = at + dead
        else:
            raise FlawError(f"there is no record where one must be, at byte {at}")
        at = end
    if at != len(data):
        raise FlawError(f"its last record ends beyond it, at byte {at}")
    return used, free


def _require_record(data: mmap.mmap, at: int, end: int, inside: int) -> None:
    """A record says at its end how long it is, and what is in it fits."""
    if end > len(data) or end < at + _RECORD.size + 4:
        raise FlawError(f"the record at byte {at} has an impossible length")
    (whole,) = struct.unpack_from("<I", data, end - 4)
    if whole != end - at or inside > end - at - _RECORD.size:
        raise FlawError(f"the record at byte {at} is damaged")


def _require_object(data: mmap.mmap, at: int, key: int, value: int) -> None:
    """The value of an LDB object has the format's number and its DN."""
    if not data[at : at + 5].startswith(_OBJECTS) or value < 12:
        return
    packed, _, length = struct.unpack_from("<3I", data, at + key)
    if packed not in _PACKED:
        raise FlawError(f"the object at byte {at} cannot be read")
    if packed == _PACKED_WITH_LENGTHS and (12 + length >= value or data[at + key + 12 + length] != 0):
        raise FlawError(f"the object at byte {at} has no name")


def _dead_space(data: mmap.mmap, at: int) -> int:
    """How many bytes from here on a crash has left as they were when the file grew."""
    for fill in (b"\0", b"\x42"):
        if data[at] == fill[0]:
            rest = data[at:]
            return len(rest) - len(rest.lstrip(fill))
    return 0


def _follow(data: mmap.mmap, head: int, members: set[int], bucket: tuple[int, int] | None) -> None:
    """Every record of a list is one of the members, which it leaves, and belongs into that bucket."""
    at = head
    while at:
        if at not in members:
            raise FlawError(f"a list leads to byte {at}, where it has no record")
        members.remove(at)
        following, _, _, _, full, _ = _RECORD.unpack_from(data, at)
        if bucket is not None and full % bucket[1] != bucket[0]:
            raise FlawError(f"the record at byte {at} is in a wrong list")
        at = following

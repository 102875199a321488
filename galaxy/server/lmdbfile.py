"""Is an LMDB file sound in itself? Each page that its newest tree leads to is the page that it must be (mdb.c).

LMDB has no checksums: what was changed inside of a value keeps the file sound.
"""

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from galaxy.server.mapped import FlawError, mapped

_MAGIC, _VERSION = 0xBEEFC0DE, 1
_HEAD = 16  # a page's header
_META = struct.Struct("<IIQQ")  # magic, version, address, map size
_DB = struct.Struct(
    "<IHHQQQQQ"
)  # pad (in the first: the page size), flags, depth, pages by kind, entries, root
_BRANCH, _LEAF, _OVERFLOW = 1, 2, 4
_BIG = 1  # a node whose value has pages of its own
_NO_PAGE = 0xFFFFFFFFFFFFFFFF
_DEEP = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """Where a tree begins, and the pages that it has."""

    pages: int
    root: int


def is_lmdb(path: Path) -> bool:
    """Whether a file is an LMDB environment by its first page."""
    with path.open("rb") as file:
        head = file.read(_HEAD + 4)
    return len(head) == _HEAD + 4 and struct.unpack_from("<I", head, _HEAD)[0] == _MAGIC


def require_sound_lmdb(path: Path) -> None:
    """FlawError when an LMDB file is damaged."""
    with mapped(path, mmap.ACCESS_READ) as data:
        size, trees = _newest(data)
        for tree in trees:
            pages = _walk(data, size, tree.root, 0) if tree.root != _NO_PAGE else 0
            if pages != tree.pages:
                raise FlawError(f"a tree has {pages} pages, and should have {tree.pages}")


def _newest(data: mmap.mmap) -> tuple[int, tuple[_Tree, ...]]:
    """The page size, and the trees of the last transaction: that of free pages and the main one."""
    first = _meta(data, 0)
    if first is None:
        raise FlawError("its header is damaged")
    size = first[1]
    metas = [first, _meta(data, size)]
    if None in metas:
        raise FlawError("its header is damaged")
    _, _, trees = max(meta for meta in metas if meta is not None)
    return size, tuple(_Tree(pages=pages, root=root) for pages, root in trees)


def _meta(data: mmap.mmap, at: int) -> tuple[int, int, tuple[tuple[int, int], ...]] | None:
    """Transaction, page size and trees of a meta page; None when it is none."""
    if at + _HEAD + _META.size + 2 * _DB.size + 16 > len(data):
        return None
    magic, version, _, _ = _META.unpack_from(data, at + _HEAD)
    if magic != _MAGIC or version & 0xFFFF != _VERSION:
        return None
    place = at + _HEAD + _META.size
    databases = [_DB.unpack_from(data, place + number * _DB.size) for number in range(2)]
    (transaction,) = struct.unpack_from("<Q", data, place + 2 * _DB.size + 8)
    size = databases[0][0]
    if size < 512 or size & (size - 1):
        return None
    return transaction, size, tuple((sum(one[3:6]), one[7]) for one in databases)


def _walk(data: mmap.mmap, size: int, number: int, depth: int) -> int:
    """How many pages a tree has from this one on."""
    at = number * size
    if depth > _DEEP or at + size > len(data):
        raise FlawError(f"a tree leads to page {number}, which is beyond its end")
    own, _, flags, lower, upper = struct.unpack_from("<QHHHH", data, at)
    if own != number or flags & 7 not in {_BRANCH, _LEAF} or not _HEAD <= lower <= upper <= size:
        raise FlawError(f"page {number} is damaged")
    pages = 1
    for slot in range((lower - _HEAD) // 2):
        (offset,) = struct.unpack_from("<H", data, at + _HEAD + 2 * slot)
        if not lower <= offset <= size - 8:
            raise FlawError(f"page {number} is damaged")
        low, high, more, key = struct.unpack_from("<4H", data, at + offset)
        if flags & _BRANCH:
            pages += _walk(data, size, low | high << 16 | more << 32, depth + 1)
        elif offset + 8 + key > size:
            raise FlawError(f"page {number} is damaged")
        elif more & _BIG:
            pages += _overflow(data, size, struct.unpack_from("<Q", data, at + offset + 8 + key)[0])
    return pages


def _overflow(data: mmap.mmap, size: int, number: int) -> int:
    """How many pages a big value has."""
    at = number * size
    if at + size > len(data):
        raise FlawError(f"a value leads to page {number}, which is beyond its end")
    own, _, flags, pages = struct.unpack_from("<QHHI", data, at)
    if own != number or not flags & _OVERFLOW or at + pages * size > len(data):
        raise FlawError(f"page {number} is damaged")
    return int(pages)

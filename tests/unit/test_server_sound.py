"""Damaged databases are told from sound ones, from outside."""

import errno
import mmap
import os
import struct
from types import SimpleNamespace

import pytest

from galaxy.host.errors import ServerError
from galaxy.server import mapped, sound
from galaxy.server.mapped import FlawError
from galaxy.server.sound import require_sound
from galaxy.server.tdbfile import require_sound_tdb

USED, FREE, RECOVERY = 0x26011999, 0xD9FEE666, 0xF53BC0E7
BUCKETS, START = 7, 168 + 4 * 8
OBJECT = struct.pack("<3I", 0x26011968, 1, 4) + b"DC=x\0" + bytes(40)


def record(key: bytes, value: bytes, number: int, following: int = 0, magic: int = USED) -> bytes:
    length = (len(key) + len(value) + 4 + 7) // 4 * 4
    head = struct.pack("<6I", following, length, len(key), len(value), number, magic)
    body = (key + value).ljust(length - 4, b"\x42")
    return head + body + struct.pack("<I", 24 + length)


def database() -> bytearray:
    """Two objects in bucket 3, one after the other, and a free record."""
    first = record(b"DN=DC=X\0", OBJECT, 3)
    second = record(b"DN=CN=Y,DC=X\0", OBJECT, 3 + BUCKETS, following=START)
    free = record(b"", b"", 0, magic=FREE)
    heads = [START + len(first) + len(second), 0, 0, 0, START + len(first), 0, 0, 0]
    header = struct.pack("<32s9I", b"TDB file\n", 0x26011967 + 6, BUCKETS, *[0] * 7) + bytes(100)
    return bytearray(header + struct.pack("<8I", *heads) + first + second + free)


@pytest.fixture
def flaw(tmp_path):
    """What is wrong with these bytes as a database, '' for nothing."""

    def look(data: bytes) -> str:
        file = tmp_path / "some.tdb"
        file.write_bytes(data)
        try:
            require_sound_tdb(file)
        except FlawError as found:
            return str(found)
        assert file.read_bytes() == data
        return ""

    return look


def test_a_sound_database_passes(flaw) -> None:
    assert flaw(database()) == ""
    assert flaw(database() + bytes(4096)) == ""  # it has just grown


@pytest.mark.parametrize(
    ("at", "what", "words"),
    [
        (0, b"XXX", "header"),
        (32, b"\1\1", "header"),
        (168 + 16, bytes(4), "2 records are in no list"),
        (168 + 16, struct.pack("<I", START + 8), "leads to byte"),
        (168 + 4, struct.pack("<I", START), "wrong list"),
        (START + 4, struct.pack("<I", 4), "damaged"),
        (START + 4, struct.pack("<I", 1 << 30), "impossible length"),
        (START + 20, b"\0\1\2\3", "no record where one must be"),
        (START + 24 + 8, b"\0\0\0\0", "cannot be read"),
        (START + 24 + 8 + 16, b"y", "no name"),
    ],
)
def test_damage_is_told(flaw, at, what, words) -> None:
    data = database()
    data[at : at + len(what)] = what
    assert words in flaw(data)


def test_a_database_cut_short_is_damaged(flaw) -> None:
    data = database()
    assert all(flaw(data[:length]) for length in range(1, len(data) - 28, 13))


def test_a_transaction_that_was_cut_off_is_rolled_back_first(flaw) -> None:
    data = database()
    before = bytes(data[START : START + 32])
    undo = struct.pack("<2I", START, len(before)) + before
    at = len(data)
    head = struct.pack("<6I", 0, len(undo) + 8, at, len(undo) + 8, 0, RECOVERY)
    data[32 + 12 : 32 + 16] = struct.pack("<I", at)
    data += head + undo + bytes(8)
    data[START : START + 32] = b"Z" * 32
    assert flaw(data) == ""
    data[at + 20 : at + 24] = bytes(4)  # there was no transaction
    assert flaw(data) != ""


def test_the_server_is_told_which_file(tmp_path) -> None:
    private = tmp_path / "private/sam.ldb.d"
    private.mkdir(parents=True)
    (private.parent / "sam.ldb").write_bytes(database())
    (private / "DC=X.ldb").write_bytes(database()[:-30])
    server = SimpleNamespace(name="dc1", state=tmp_path)
    with pytest.raises(ServerError, match=r"sam\.ldb\.d/DC=X\.ldb of dc1 is damaged") as told:
        require_sound(server)
    assert "galaxy restore dc1" in told.value.hint


def test_what_the_disk_does_not_give_back_is_a_flaw_and_no_signal(tmp_path):
    """A page behind a file's end raises SIGBUS when it is touched, as one does that cannot be read."""
    file = tmp_path / "a.tdb"
    file.write_bytes(bytes(3 * mmap.PAGESIZE))
    with file.open("rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
        mapped._require_readable(data, 0, len(data))
        os.truncate(file, mmap.PAGESIZE)
        with pytest.raises(FlawError, match="does not give back"):
            mapped._require_readable(data, 0, len(data))


def test_a_file_that_cannot_be_read_is_damaged(server, monkeypatch):
    def fail(_file):
        raise OSError(errno.EIO, "Input/output error")

    (server.state / "private").mkdir(parents=True)
    (server.state / "private/secrets.tdb").write_bytes(b"x")
    monkeypatch.setattr(sound, "is_lmdb", fail)
    with pytest.raises(
        ServerError, match=r"secrets\.tdb of dc1 is damaged: it cannot be read: Input/output error"
    ):
        require_sound(server)

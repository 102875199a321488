"""A copied state is the state: contents, attributes, links, holes; and copied again, it is that again."""

import mmap
import os
import shutil
import socket
import stat
import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from galaxy.server import contents, copying
from galaxy.server.copying import copy_state, freshen, space_of

PRIVATE = Path("state/private")


@pytest.fixture
def source(bare_state: Path) -> Path:
    root = bare_state
    (root / PRIVATE).mkdir(mode=0o700)
    (root / "etc/smb.conf").write_text("[global]\n")
    (root / PRIVATE / "sam.ldb").write_bytes(os.urandom(300_000))
    (root / PRIVATE / "secrets.tdb").write_bytes(os.urandom(300_000))
    return root


def facts(root: Path) -> dict[str, object]:
    """Everything of a tree that a copy has to have."""
    known: dict[tuple[int, int], str] = {}
    found: dict[str, object] = {}
    for path in sorted(root.rglob("*")):
        here, name = path.lstat(), str(path.relative_to(root))
        twin = known.setdefault((here.st_dev, here.st_ino), name)
        attributes = {
            key: os.getxattr(path, key, follow_symlinks=False)
            for key in os.listxattr(path, follow_symlinks=False)
        }
        what = (
            path.read_bytes()
            if stat.S_ISREG(here.st_mode)
            else path.readlink()
            if path.is_symlink()
            else None
        )
        found[name] = (here.st_mode, here.st_uid, here.st_gid, here.st_mtime_ns, twin, attributes, what)
    return found


def acl(*entries: tuple[int, int, int]) -> bytes:
    """A POSIX ACL as the kernel keeps it: version 2, then tag, permissions and id of each entry (acl(5))."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


NOBODY = 0xFFFFFFFF
SHARED = acl((0x01, 7, NOBODY), (0x02, 5, 4321), (0x04, 5, NOBODY), (0x10, 5, NOBODY), (0x20, 0, NOBODY))


def test_everything_is_copied(source: Path, target: Path) -> None:
    sysvol = source / "state/sysvol"
    sysvol.mkdir(mode=0o750)
    policy = sysvol / "GPT.INI"
    policy.write_text("[General]\n")
    policy.chmod(0o640)
    os.setxattr(policy, "user.DOSATTRIB", b"\0\0\5")
    os.setxattr(policy, "system.posix_acl_access", SHARED)
    os.setxattr(sysvol, "system.posix_acl_default", SHARED)
    (sysvol / "twin").hardlink_to(policy)
    (sysvol / "link").symlink_to("GPT.INI")
    (sysvol / "broken").symlink_to("nowhere")
    os.mkfifo(sysvol / "pipe", 0o640)
    os.utime(sysvol / "link", ns=(1, 2), follow_symlinks=False)
    os.utime(policy, ns=(3, 4_000_000_005))
    os.utime(sysvol, ns=(5, 6_000_000_007))
    copy_state(source, target)
    assert facts(target) == facts(source)


def test_sockets_and_lock_files_of_lmdb_are_left_out(source: Path, target: Path, monkeypatch) -> None:
    monkeypatch.chdir(source / PRIVATE)  # a socket's path may have 108 bytes
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("ldapi")
    (source / PRIVATE / "x.ldb-lock").write_text("readers")
    (source / "state/sysvol").mkdir()
    (source / "state/sysvol/notes.ldb-lock").write_text("a user's own")
    copy_state(source, target)
    assert sorted(path.name for path in (target / PRIVATE).iterdir()) == ["sam.ldb", "secrets.tdb"]
    assert (target / "state/sysvol/notes.ldb-lock").read_text() == "a user's own"


def test_holes_stay_holes(source: Path, target: Path) -> None:
    sparse = source / "state/sparse"
    with sparse.open("wb") as file:
        file.write(b"begin")
        file.seek(50_000_000)
        file.write(b"end")
        file.truncate(90_000_000)
    copied = copy_state(source, target)
    there = (target / "state/sparse").stat()
    assert there.st_size == 90_000_000
    assert there.st_blocks * 512 < 1_000_000
    assert (target / "state/sparse").read_bytes() == sparse.read_bytes()
    assert target / "state/sparse" in copied.written


def test_reserved_space_stays_reserved(source: Path, target: Path) -> None:
    """A database that is written through a memory map would die of a hole on a full disk."""
    database = source / PRIVATE / "sam.ldb"
    with database.open("wb") as file:
        file.write(b"data")
        os.posix_fallocate(file.fileno(), 0, 8_000_000)
    copied = copy_state(source, target)
    assert (target / PRIVATE / "sam.ldb").stat().st_blocks * 512 >= 8_000_000
    with database.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, 16_000_000)
    freshen(source, target, copied.seen)
    assert (target / PRIVATE / "sam.ldb").stat().st_blocks * 512 >= 16_000_000
    assert facts(target) == facts(source)


def test_only_what_differs_is_written(source: Path, target: Path) -> None:
    copied = copy_state(source, target)
    with (source / PRIVATE / "sam.ldb").open("r+b") as file:
        file.seek(270_000)
        file.write(b"changed")
    again = freshen(source, target, copied.seen)
    assert facts(target) == facts(source)
    assert again.written == (target / PRIVATE / "sam.ldb",)


@pytest.mark.parametrize("name", ["sam.ldb", "secrets.tdb"])
def test_a_change_is_seen_though_size_and_time_are_as_before(
    settle, source: Path, target: Path, name: str
) -> None:
    database = source / PRIVATE / name
    settle()
    copied = copy_state(source, target)
    before = database.stat()
    with database.open("r+b") as file:
        file.write(b"changed")
    os.utime(database, ns=(before.st_atime_ns, before.st_mtime_ns))
    freshen(source, target, copied.seen)
    assert (target / PRIVATE / name).read_bytes() == database.read_bytes()


def test_a_tdb_is_compared_even_when_nothing_shows_a_change(settle, source: Path, target: Path) -> None:
    """A page that is dirty already takes another write through a memory map without a word (mmap(2), st_ctime)."""
    database = source / PRIVATE / "secrets.tdb"
    with database.open("r+b") as file, mmap.mmap(file.fileno(), 0) as memory:
        memory[0:5] = b"first"
        settle()
        copied = copy_state(source, target)
        seen = copied.seen["state/private/secrets.tdb"]
        memory[0:5] = b"later"
        assert not seen.still(database.stat())
        freshen(source, target, copied.seen)
    assert (target / PRIVATE / "secrets.tdb").read_bytes()[:5] == b"later"


def test_what_is_certain_to_be_unchanged_is_not_looked_into(settle, source: Path, target: Path) -> None:
    settle()
    copied = copy_state(source, target)
    copy = target / PRIVATE / "sam.ldb"
    copy.write_bytes(b"not touched")
    freshen(source, target, copied.seen)
    assert copy.read_bytes() == b"not touched"
    freshen(source, target, {})
    assert facts(target) == facts(source)


def test_what_has_only_just_changed_is_not_certain(source: Path, target: Path, monkeypatch) -> None:
    monkeypatch.setattr("galaxy.server.copying._TICK", 3600 * 10**9)  # a busy host's moment may be long
    copied = copy_state(source, target)
    (target / PRIVATE / "sam.ldb").write_bytes(b"not what was copied")
    freshen(source, target, copied.seen)
    assert (target / PRIVATE / "sam.ldb").read_bytes() == (source / PRIVATE / "sam.ldb").read_bytes()


@pytest.mark.parametrize(
    ("changed", "age", "certain"),
    [
        (7_400_000_000, 150_000_000, True),
        (7_400_000_000, 50_000_000, False),
        (7_000_000_000, 1_900_000_000, False),
        (7_000_000_000, 2_100_000_000, True),
    ],
)
def test_where_times_are_whole_seconds_it_takes_longer_until_one_is_certain(
    monkeypatch, changed: int, age: int, *, certain: bool
) -> None:
    monkeypatch.setattr(copying.time, "time_ns", lambda: changed + age)
    there = SimpleNamespace(st_ino=1, st_size=2, st_ctime_ns=changed)
    mirror = copying._Mirror(seen={})
    mirror._unchanged("state/x", there)
    assert mirror.found["state/x"].still(there) is certain


def test_what_has_gone_again_since_it_was_copied_need_not_be_durable(
    source: Path, target: Path, monkeypatch
) -> None:
    """Its name goes after its contents were read, before its attributes are: as Samba's temporary files do."""
    gone = source / "state/aaa.tmp"
    gone.write_text("x")
    real = contents.equal_contents

    def then_gone(there: int, here: int) -> bool:
        changed = real(there, here)
        if os.readlink(f"/proc/self/fd/{there}") == str(gone):  # noqa: PTH115 - a descriptor's file
            gone.unlink()
        return changed

    monkeypatch.setattr(copying, "equal_contents", then_gone)
    copied = copy_state(source, target)
    assert not (target / "state/aaa.tmp").exists()
    copied.sync()


@pytest.fixture
def clones(monkeypatch) -> list[int]:
    """A file system that shares blocks, as far as contents show it: the size of each file that was cloned."""
    sizes: list[int] = []

    def clone(source: int, target: int) -> bool:
        size = os.fstat(source).st_size
        sizes.append(size)
        os.ftruncate(target, size)
        os.pwrite(target, os.pread(source, size, 0), 0)
        return True

    monkeypatch.setattr(contents, "_clone", clone)
    return sizes


def test_blocks_are_shared_anew_only_where_something_differs(source: Path, target: Path, clones) -> None:
    (source / PRIVATE / "other.tdb").write_bytes(os.urandom(200_000))
    copied = copy_state(source, target)
    clones.clear()
    with (source / PRIVATE / "other.tdb").open("r+b") as file:
        file.seek(150_000)
        file.write(b"changed")
    again = freshen(source, target, copied.seen)
    assert facts(target) == facts(source)
    assert (clones, again.written) == ([200_000], (target / PRIVATE / "other.tdb",))
    assert freshen(source, target, again.seen).written == ()


def test_a_large_file_is_not_read_where_blocks_are_shared(source: Path, target: Path, clones) -> None:
    large = contents._STEP + 1
    with (source / PRIVATE / "secrets.tdb").open("r+b") as file:
        file.truncate(large)
    copied = copy_state(source, target)
    clones.clear()
    freshen(source, target, copied.seen)
    assert clones == [large]


def test_equal_contents_do_not_hide_that_space_is_reserved(source: Path, target: Path, clones) -> None:
    database = source / PRIVATE / "secrets.tdb"
    with database.open("wb") as file:
        file.truncate(8_000_000)
    copied = copy_state(source, target)
    with (target / PRIVATE / "secrets.tdb").open("wb") as file:
        file.truncate(8_000_000)
    with database.open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, 8_000_000)
    clones.clear()
    freshen(source, target, copied.seen)
    assert clones == [8_000_000]


def test_a_change_is_written_wherever_it_is(source: Path, target: Path) -> None:
    database = source / PRIVATE / "secrets.tdb"
    database.write_bytes(os.urandom(3 * contents._CHUNK + 17))
    copied = copy_state(source, target)
    for places in ((0,), (contents._CHUNK + 5,), (0, 2 * contents._CHUNK), (3 * contents._CHUNK + 16,)):
        with database.open("r+b") as file:
            for place in places:
                file.seek(place)
                byte = file.read(1)[0]
                file.seek(place)
                file.write(bytes([byte ^ 1]))
        copied = freshen(source, target, copied.seen)
        assert copied.written == (target / PRIVATE / "secrets.tdb",), places
        assert facts(target) == facts(source)


def test_what_is_gone_new_or_of_another_kind_follows(source: Path, target: Path) -> None:
    sysvol = source / "state/sysvol"
    (sysvol / "folder/deep").mkdir(parents=True)
    (sysvol / "folder/deep/file").write_text("x")
    (sysvol / "file").write_text("y")
    (sysvol / "gone").write_text("z")
    (sysvol / "to-link").write_text("w")
    copied = copy_state(source, target)
    shutil.rmtree(sysvol / "folder")
    (sysvol / "folder").write_text("a file now")
    (sysvol / "file").unlink()
    (sysvol / "file").mkdir()
    (sysvol / "file/inner").write_text("new")
    (sysvol / "gone").unlink()
    (sysvol / "to-link").unlink()
    (sysvol / "to-link").symlink_to("folder")
    freshen(source, target, copied.seen)
    assert facts(target) == facts(source)


def test_a_part_that_is_gone_goes(source: Path, target: Path) -> None:
    (source / "cache/browse.dat").write_text("x")
    copied = copy_state(source, target)
    shutil.rmtree(source / "cache")
    freshen(source, target, copied.seen)
    assert not (target / "cache").exists()


def test_attributes_alone_follow(source: Path, target: Path) -> None:
    file = source / "etc/smb.conf"
    os.setxattr(file, "user.old", b"1")
    copied = copy_state(source, target)
    os.removexattr(file, "user.old")
    os.setxattr(file, "user.new", b"2")
    file.chmod(0o600)
    os.setxattr(file, "system.posix_acl_access", SHARED)
    freshen(source, target, copied.seen)
    assert facts(target) == facts(source)


def test_hard_links_that_part_or_join_spoil_nothing(settle, source: Path, target: Path) -> None:
    folder = source / "state/sysvol"
    folder.mkdir()
    (folder / "a").write_text("one")
    (folder / "b").hardlink_to(folder / "a")
    (folder / "c").write_text("two")
    copied = copy_state(source, target)
    assert facts(target) == facts(source)
    (folder / "a").unlink()
    (folder / "a").hardlink_to(folder / "c")
    copied = freshen(source, target, copied.seen)
    assert facts(target) == facts(source)
    settle()
    copied = freshen(source, target, copied.seen)
    (folder / "new").write_text("three")
    copied = freshen(source, target, copied.seen)
    assert facts(target) == facts(source)
    (folder / "c").unlink()
    freshen(source, target, copied.seen)
    assert facts(target) == facts(source)


def test_files_may_shrink_and_grow(source: Path, target: Path) -> None:
    database = source / PRIVATE / "sam.ldb"
    copied = copy_state(source, target)
    for size in (100, 0, 1_000_000, 999_999):
        database.write_bytes(os.urandom(size))
        copied = freshen(source, target, copied.seen)
        assert facts(target) == facts(source)


def test_the_space_of_a_state_is_what_it_takes_on_disk(source: Path) -> None:
    with (source / "state/sparse").open("wb") as file:
        file.truncate(1_000_000_000)
    assert 600_000 <= space_of(source) < 2_000_000


def test_a_file_that_goes_while_the_space_is_counted_takes_none(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = [
        (place, folders, [*names, "msg.sock-187"]) for place, folders, names in os.walk(source / "state")
    ]
    before = space_of(source)
    monkeypatch.setattr(os, "walk", lambda folder: listed if folder.name == "state" else [])
    assert space_of(source) == before - (source / "etc/smb.conf").lstat().st_blocks * 512

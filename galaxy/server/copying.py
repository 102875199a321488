"""A server's state copied, and copied again quickly: what is certain to be unchanged is not even opened.

A state is what a server cannot be made again from: configuration, databases and sysvol, cache, secrets; with owners,
modes, POSIX ACLs, extended attributes (NTACLs), hard links and holes. Sockets are left out: Samba makes its own.
"""

import os
import re
import shutil
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from galaxy.host.files import sync_file
from galaxy.server.contents import equal_attributes, equal_contents, same_contents

PARTS = ("etc", "state", "cache", "secrets")
# Nanoseconds: a file changed no longer than this before we looked may change again without a later time; kernels
# take the time of a change from a clock that ticks every few milliseconds.
_TICK = 100_000_000
# The same where a file system keeps whole seconds only.
SECONDS_TICK = 2_000_000_000
# Where LMDB counts its readers, beside a database: it makes one when there is none.
_LMDB_LOCK = re.compile(r"state/private/.*\.ldb-lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What a file, folder or link looked like just before it was copied."""

    inode: int
    size: int
    changed: int
    settled: bool

    def still(self, now: os.stat_result) -> bool:
        """Whether nothing can have changed since: neither contents nor attributes."""
        same = (self.inode, self.size, self.changed) == (now.st_ino, now.st_size, now.st_ctime_ns)
        return same and self.settled


Survey = Mapping[str, Seen]


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """What a pass found (for the next one), which files of the target it wrote, and what else it changed there.

    `touched`: what got other attributes, and the folders in which something came or went. Not every file system makes
    that durable with the next file that is: btrfs does not.
    """

    seen: Survey
    written: tuple[Path, ...]
    touched: tuple[Path, ...]

    def sync(self) -> None:
        """Make what was changed durable; a file whose source vanished while it was copied is gone again."""
        for path in dict.fromkeys((*self.written, *self.touched)):
            with suppress(FileNotFoundError):
                sync_file(path)


def copy_state(source: Path, target: Path) -> Copied:
    """Copy a server's state from one folder into another, which is there.

    Files that come, go or change meanwhile are no error: `freshen` puts that right.
    """
    return freshen(source, target, {})


def freshen(source: Path, target: Path, seen: Survey, *, alike: Survey | None = None) -> Copied:
    """Make a copied state equal to its source again, writing only what differs.

    `seen` is from the pass before; what it shows to be unchanged is taken to be equal. So are the contents of the files
    that `alike` has found so in the target, as long as they look as they did.
    """
    mirror = _Mirror(seen=seen, alike=alike or {})
    for part in PARTS:
        if (source / part).is_dir():
            mirror.folder(source / part, target / part, part)
        else:
            mirror.remove(target / part)
    return Copied(seen=mirror.found, written=tuple(mirror.written), touched=tuple(mirror.touched))


def alike(source: Path, target: Path) -> Survey:
    """Which files of the target have the contents of the source's, and what they look like; both are only read.

    For who will `freshen` the target when nobody can wait: it may be a running server's state until then.
    """
    found: dict[str, Seen] = {}
    for part in PARTS:
        for place, _, names in os.walk(source / part):
            for file in (Path(place, name) for name in names):
                key = str(file.relative_to(source))
                with suppress(FileNotFoundError):
                    now = os.lstat(target / key)
                    if (
                        stat.S_ISREG(now.st_mode)
                        and now.st_nlink == 1  # what is linked in one state may not be in the other
                        and _is(file, stat.S_IFREG)
                        and same_contents(file, target / key)
                    ):
                        found[key] = _look(key, now)
    return found


def space_of(folder: Path, parts: tuple[str, ...] = PARTS) -> int:
    """The bytes on disk of a state, which may be a running server's: files come and go meanwhile."""
    return sum(
        _blocks(Path(place) / name)
        for part in parts
        for place, _, names in os.walk(folder / part)
        for name in names
    )


def _blocks(path: Path) -> int:
    try:
        return os.lstat(path).st_blocks * 512
    except FileNotFoundError:
        return 0


@dataclass(slots=True)
class _Mirror:
    """One pass over a tree."""

    seen: Survey
    alike: Survey = field(default_factory=dict)
    found: dict[str, Seen] = field(default_factory=dict)
    written: list[Path] = field(default_factory=list)
    touched: list[Path] = field(default_factory=list)
    links: dict[tuple[int, int], Path] = field(default_factory=dict)

    def folder(self, source: Path, target: Path, key: str) -> None:
        """Make a folder equal, with everything below it."""
        now = os.lstat(source)
        unchanged = self._unchanged(key, now)
        if not _is(target, stat.S_IFDIR):
            self.remove(target)
            target.mkdir(mode=0o700)
            self.touched.append(target.parent)
        with os.scandir(source) as listing:
            entries = [entry for entry in listing if not _LMDB_LOCK.fullmatch(f"{key}/{entry.name}")]
        names = {entry.name for entry in entries}
        if not unchanged:
            for path in target.iterdir():
                if path.name not in names:
                    self.remove(path)
        for entry in entries:
            self._entry(entry, target / entry.name, f"{key}/{entry.name}")
        if not unchanged:
            self._attributes(source, target)

    def _entry(self, entry: os.DirEntry[str], target: Path, key: str) -> None:
        source = Path(entry.path)
        try:
            now = entry.stat(follow_symlinks=False)
            match stat.S_IFMT(now.st_mode):
                case stat.S_IFDIR:
                    self.folder(source, target, key)
                case stat.S_IFREG:
                    self._file(source, target, key, now)
                case stat.S_IFLNK:
                    self._link(source, target, key, now)
                case stat.S_IFSOCK:
                    self.remove(target)
                case _:
                    self._node(source, target, now)
        except FileNotFoundError:
            if os.path.lexists(source):
                raise
            self.remove(target)  # it has just been removed or renamed

    def _file(self, source: Path, target: Path, key: str, now: os.stat_result) -> None:
        first = self.links.setdefault((now.st_dev, now.st_ino), target) if now.st_nlink > 1 else target
        unchanged = self._unchanged(key, now)
        if first != target:
            if not _same(first, target):
                self.remove(target)
                target.hardlink_to(first)
                self.touched.append(target.parent)
        elif not unchanged and self._is_alike(key, target):
            self._attributes(source, target)
        elif not unchanged:
            self._copy(source, target, now)

    def _is_alike(self, key: str, target: Path) -> bool:
        """Whether the target's contents were found to be the source's, and it looks as it did then."""
        before = self.alike.get(key)
        return before is not None and os.path.lexists(target) and before.still(os.lstat(target))

    def _copy(self, source: Path, target: Path, now: os.stat_result) -> None:
        if now.st_nlink > 1 or not _is(target, stat.S_IFREG) or os.lstat(target).st_nlink > 1:
            self.remove(target)  # what other names of the target's file are to show is not this file's
            self.touched.append(target.parent)
        there = os.open(source, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            here = os.open(target, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                if equal_contents(there, here):
                    self.written.append(target)
            finally:
                os.close(here)
        finally:
            os.close(there)
        self._attributes(source, target)

    def _link(self, source: Path, target: Path, key: str, now: os.stat_result) -> None:
        if self._unchanged(key, now):
            return
        self.remove(target)
        target.symlink_to(source.readlink())
        equal_attributes(source, target)
        self.touched.append(target.parent)

    def _node(self, source: Path, target: Path, now: os.stat_result) -> None:
        """A named pipe or a device."""
        self.remove(target)
        os.mknod(target, now.st_mode, now.st_rdev)
        equal_attributes(source, target)
        self.touched.append(target.parent)

    def remove(self, path: Path) -> None:
        """Take something away that may be there."""
        if os.path.lexists(path):
            _remove(path)
            self.touched.append(path.parent)

    def _attributes(self, source: Path, target: Path) -> None:
        if equal_attributes(source, target):
            self.touched.append(target)

    def _unchanged(self, key: str, now: os.stat_result) -> bool:
        """Whether the pass before saw it as it is; notes for the next one how it is."""
        before = self.seen.get(key)
        self.found[key] = _look(key, now)
        return before is not None and before.still(now)


def _look(key: str, now: os.stat_result) -> Seen:
    """What a file looks like; whether a later change would certainly show."""
    # Writes to a TDB outside of transactions go through a memory map, and don't always show in its times. What
    # an .ldb file gets comes in transactions, each of which sets them (tdb_transaction_commit).
    tick = _TICK if now.st_ctime_ns % 10**9 else SECONDS_TICK
    settled = time.time_ns() - now.st_ctime_ns > tick and not key.endswith(".tdb")
    return Seen(inode=now.st_ino, size=now.st_size, changed=now.st_ctime_ns, settled=settled)


def _is(path: Path, kind: int) -> bool:
    try:
        return stat.S_IFMT(os.lstat(path).st_mode) == kind
    except FileNotFoundError:
        return False


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(os.lstat(one), os.lstat(other))
    except FileNotFoundError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)

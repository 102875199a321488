"""What is in a file, and what is written on it: made equal to another file's with as little writing as will do."""

import errno
import fcntl
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

# ioctl_ficlonerange(2): the target shares the source's blocks until one of them is written.
_FICLONE = 0x40049409
_NO_CLONE = {errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV, errno.EINVAL, errno.ENOSYS}
_CHUNK = 1 << 20
# What is copied at once of a large file before it is written out. Databases sync at each commit, and on most file
# systems that waits for whatever else has been written: too much at a time, and clients notice the copy.
_STEP = 1 << 24


def shares_blocks(folder: Path) -> bool:
    """Whether copies in a folder cost no space of their own: the file system can share blocks."""
    with tempfile.TemporaryFile(dir=folder) as one, tempfile.TemporaryFile(dir=folder) as other:
        try:
            os.write(one.fileno(), bytes(1 << 16))
        except OSError as error:
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                return False  # who asks will find out that there is no space
            raise
        return _clone(one.fileno(), other.fileno())


def equal_contents(source: int, target: int) -> bool:
    """Make an open file's contents equal to another's; returns whether anything was written.

    Blocks are shared where the file system can. Holes stay holes, and space that is reserved stays reserved: a
    database that is written through a memory map dies of a hole that cannot be filled. What is quickly read is
    compared first: shared blocks would have to be written out, also where nothing differs.
    """
    there, here = os.fstat(source), os.fstat(target)
    if there.st_size == 0 and here.st_size == 0:
        return False
    if here.st_size > there.st_size:
        os.ftruncate(target, there.st_size)
    begin = 0
    if here.st_size == there.st_size <= _STEP:
        begin = next((at for at, _ in _differences(source, target, there.st_size)), there.st_size)
        if begin == there.st_size and not _lacks_space(there, here):
            return False
    if _clone(source, target):
        return True
    if here.st_size == 0:
        _copy_data(source, target, there.st_size)
        changed = True
    else:
        changed = _copy_differences(source, target, there.st_size, begin) or here.st_size != there.st_size
    os.ftruncate(target, there.st_size)
    if _lacks_space(there, os.fstat(target)):
        os.posix_fallocate(target, 0, there.st_size)
    return changed


def same_contents(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes; both are only read."""
    with one.open("rb") as here, other.open("rb") as there:
        size = os.fstat(here.fileno()).st_size
        if size != os.fstat(there.fileno()).st_size:
            return False
        return size == 0 or next(_differences(here.fileno(), there.fileno(), size), None) is None


def _lacks_space(there: os.stat_result, here: os.stat_result) -> bool:
    """Whether the target has holes where all of the source is on disk, or reserved."""
    return there.st_blocks * 512 >= there.st_size > here.st_blocks * 512


def equal_attributes(source: Path, target: Path) -> bool:
    """Make owner, mode, extended attributes (POSIX ACLs and NTACLs are such) and times equal; links aren't followed.

    Returns whether there was a difference, other than in the times.
    """
    wanted, have = source.lstat(), target.lstat()
    alike = (wanted.st_uid, wanted.st_gid, wanted.st_mode) == (have.st_uid, have.st_gid, have.st_mode)
    if (wanted.st_uid, wanted.st_gid) != (have.st_uid, have.st_gid):
        os.chown(target, wanted.st_uid, wanted.st_gid, follow_symlinks=False)
        have = target.lstat()  # the kernel has taken set-user-ID away
    if wanted.st_mode != have.st_mode and not stat.S_ISLNK(have.st_mode):
        target.chmod(stat.S_IMODE(wanted.st_mode))
    same = _equal_xattrs(source, target)
    os.utime(target, ns=(wanted.st_atime_ns, wanted.st_mtime_ns), follow_symlinks=False)
    return not (alike and same)


def _equal_xattrs(source: Path, target: Path) -> bool:
    """Make them equal; returns whether they were."""
    wanted, have = _xattrs(source), _xattrs(target)
    for name in have.keys() - wanted.keys():
        os.removexattr(target, name, follow_symlinks=False)
    for name, value in wanted.items():
        if have.get(name) != value:
            os.setxattr(target, name, value, follow_symlinks=False)
    return wanted == have


def _xattrs(path: Path) -> dict[str, bytes]:
    names = os.listxattr(path, follow_symlinks=False)
    return {name: os.getxattr(path, name, follow_symlinks=False) for name in names}


def _clone(source: int, target: int) -> bool:
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in _NO_CLONE:
            return False
        raise
    return True


def _copy_data(source: int, target: int, size: int) -> None:
    """Copy all data, and no holes, into an empty file."""
    for start, end in extents(source, size):
        at = start
        while at < end:
            copied = _copy_range(source, target, at, min(end - at, _STEP))
            if copied == 0:
                break  # it has become shorter meanwhile
            at += copied
            if size > _STEP:
                os.fdatasync(target)


def _copy_range(source: int, target: int, at: int, count: int) -> int:
    """Copy up to so many bytes, in the kernel if it can: not every one does it between two file systems."""
    try:
        return os.copy_file_range(source, target, count, at, at)
    except OSError as error:
        if error.errno not in _NO_CLONE:
            raise
    block = os.pread(source, min(count, _CHUNK), at)
    _write(target, memoryview(block), at)
    return len(block)


def _copy_differences(source: int, target: int, size: int, begin: int) -> bool:
    """Write the chunks of the source, from one on, that differ; returns whether there were any."""
    changed = False
    for at, block in _differences(source, target, size, begin):
        _write(target, block, at)
        changed = True
    return changed


def _differences(source: int, target: int, size: int, begin: int = 0) -> Iterator[tuple[int, memoryview]]:
    """Where chunks differ, and what the source has there, until the next one is asked for.

    Read into memory that is used again: getting new memory for each chunk takes several times as long as all the rest.
    """
    there, here = (bytearray(min(_CHUNK, size)) for _ in range(2))
    for at in _chunks(source, target, size, begin):
        got = os.preadv(source, [there], at)
        had = os.preadv(target, [here], at)
        if got != had or (there != here if got == len(there) else there[:got] != here[:got]):
            yield at, memoryview(there)[:got]


def _chunks(source: int, target: int, size: int, begin: int) -> Iterator[int]:
    """Where to compare: chunk by chunk, but for what is a hole in both, which may be larger than the disk."""
    at = begin
    while at < size:
        at = max(at, min(_data_from(source, at, size), _data_from(target, at, size)))
        if at < size:
            yield at
        at += _CHUNK


def _data_from(handle: int, at: int, size: int) -> int:
    """Where a file's next data begins, at a place or behind it; its size when there is only a hole."""
    try:
        return os.lseek(handle, at, os.SEEK_DATA)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return size
        raise


def _write(target: int, block: memoryview, at: int) -> None:
    done = 0
    while done < len(block):
        done += os.pwrite(target, block[done:], at + done)


def extents(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Where a file has data, as start and end."""
    at = 0
    while (start := _data_from(handle, at, size)) < size:
        at = os.lseek(handle, start, os.SEEK_HOLE)
        yield start, at

"""Files that are never half there: written beside, synced, renamed."""

import ctypes
import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import stat
import sys
from pathlib import Path
from typing import BinaryIO

from galaxy.host.errors import HostError, InputError

_BLOCK = 1 << 20
# Ends the name of a file that is being written; before it stands the writer's process.
_WRITING = ".writing"
_WRITER = re.compile(r"\.(\d+)-[^.]*\.writing")
# A file system that is full, over quota or read-only.
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS})
_FULL_WORDS = re.compile("No space left on device|Disk quota exceeded")
# ioctl_iflags(2): FS_IOC_GETFLAGS; FS_IMMUTABLE_FL and FS_APPEND_FL.
_GET_FLAGS = 0x80086601
_UNCHANGEABLE = 0x10 | 0x20
READ_ONLY = "See what made it so (dmesg), then mount it for writing again."
MORE_SPACE = "Free some space, or point GALAXY_ROOT to a larger file system."


def says_full(text: str) -> bool:
    """Whether a program's output or log tells that a write failed for lack of space (strerror(3))."""
    return _FULL_WORDS.search(text) is not None


def write_atomic(path: Path, data: str | bytes, mode: int = 0o644) -> None:
    """Replace `path` by `data` so that a reader sees the old or the new file, also after a crash."""
    raw = data.encode() if isinstance(data, str) else data
    path.parent.mkdir(parents=True, exist_ok=True)
    # Named before it is there: an interruption may come between any two lines.
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{_WRITING}")
    try:
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as sink:
            os.fchmod(sink.fileno(), mode)
            sink.write(raw)
            sink.flush()
            os.fsync(sink.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename is None:
            error.filename = str(path)  # a write that fails does not say which file
        raise
    sync_folder(path.parent)


def open_log(path: Path) -> BinaryIO:
    """A log to append to, made if absent. HostError when its name leads elsewhere.

    Others than Galaxy write into folders of logs: a link there would have root write to what it leads to.
    """
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        handle = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno not in {errno.ELOOP, errno.ENXIO}:  # a link, a pipe that nobody reads
            raise
        raise _no_log(path) from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _no_log(path)
    return os.fdopen(handle, "ab")


def _no_log(path: Path) -> HostError:
    return HostError(f"{path} is no plain file, and has a log's name", "See who made it, and remove it.")


def sweep(folder: Path) -> None:
    """Remove what `write_atomic` left in a folder when its process was killed in the middle."""
    for path in folder.glob(f".*{_WRITING}"):
        writer = _WRITER.search(path.name)
        if writer and not Path("/proc", writer[1]).exists():
            path.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    _sync(folder, os.O_DIRECTORY)


def sync_file(file: Path) -> None:
    """Make durable what a program has written to a file."""
    _sync(file, 0)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, os.O_RDONLY | flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_immutable(path: Path) -> bool:
    """Whether a file or folder is one that nobody may change, root neither (chattr(1), `i` and `a`)."""
    try:
        if stat.S_IFMT(path.lstat().st_mode) not in {stat.S_IFREG, stat.S_IFDIR}:
            return False
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        told = fcntl.ioctl(handle, _GET_FLAGS, bytes(8))
    except OSError as error:
        if error.errno in {errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL}:
            return False  # this file system knows no such thing
        raise
    finally:
        os.close(handle)
    return bool(int.from_bytes(told, sys.byteorder) & _UNCHANGEABLE)


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file, 64 hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as source:
        while block := source.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def sha256_text(text: str) -> str:
    """The SHA-256 of a text in UTF-8, 64 hex digits."""
    return hashlib.sha256(text.encode()).hexdigest()


def require_space(folder: Path, need: int, purpose: str) -> None:
    """HostError when fewer than `need` bytes are free where `folder` is (or will be)."""
    place = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    if free < need:
        raise HostError(
            f"no space left: {purpose} needs {size(need)} under {place}, and {size(free)} are free",
            MORE_SPACE,
        )


def size(count: int) -> str:
    """A number of bytes in kB, MB or GB (powers of 1000) with one decimal: 20971520 -> '21.0 MB'."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1e3:.1f} kB"


def read_password(file: Path) -> str:
    """The password in a file: its one line. InputError when that is not what is in it."""
    hint = "Put the password alone on its first line."
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()  # what Windows writes begins with a mark
    except UnicodeDecodeError:
        raise InputError(f"{file} is not text in UTF-8", hint) from None
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}", "Name a file that can be read.") from None
    if not lines or not lines[0]:
        raise InputError(f"{file} has no password in it", hint)
    if len(lines) > 1:
        raise InputError(f"{file} has more than one line", hint)
    if not lines[0].isprintable():
        raise InputError(f"the password in {file} has characters that nobody can type", hint)
    return lines[0]


def sync_file_system(folder: Path) -> None:
    """Make everything on a folder's file system durable: quicker than file by file when there are many."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).syncfs(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, f"cannot sync {folder}: {os.strerror(code)}")
    finally:
        os.close(handle)

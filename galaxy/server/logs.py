"""A server's logs: where they are, following them, and the lines that tell why it is not well."""

import os
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from galaxy.server.config import Server

_TELLING = re.compile(
    r"fail|error|unable|cannot|can't|could not|couldn't|invalid|unknown|refus|denied|no such|not found|panic"
    r"|in use|corrupt|no space|exit_daemon|\bdied\b|_terminate:",
    re.IGNORECASE,
)
# Said by healthy DCs too.
_USUAL = re.compile(
    r"Failed to bind to uuid|ldb_wrap open|did not find domain|OBJECT_NAME_NOT_FOUND", re.IGNORECASE
)
_HEADER = re.compile(r"^\[\d{4}/\d\d/\d\d ")
_TAIL = 64 * 1024

Marks = Mapping[Path, int]


def log_files(server: Server) -> tuple[Path, ...]:
    """The server's log files: what the processes said on their streams, Samba's main log, then the rest."""
    first = {"console.log": 0, "log.samba": 1}
    files = [path for path in server.log.rglob("*") if path.is_file()]
    return tuple(sorted(files, key=lambda path: (first.get(path.name, 2), str(path))))


def marks(server: Server) -> Marks:
    """How far each log is written now, so that later only what came after is looked at."""
    return {path: size for path in log_files(server) for _, size in _known(path)}


def telling_lines(server: Server, since: Marks, most: int = 4) -> list[str]:
    """The last few lines after `since` that name a trouble, each once; the headers of Samba's log left out."""
    found: list[str] = []
    for path in log_files(server):
        lines = [line.strip() for line in _after(path, since.get(path, 0)).splitlines()]
        troubles = [line for line in lines if _tells(line)]
        found += [line for line in dict.fromkeys(troubles[-most:]) if line not in found]
    return found[:most]


def last_lines(path: Path, count: int) -> list[str]:
    """The last `count` lines of a log."""
    return _after(path, 0, 256 * count + _TAIL).splitlines()[-count:] if count > 0 else []


def follow(
    files: Callable[[], tuple[Path, ...]], alive: Callable[[], bool], every: float = 0.2
) -> Iterator[tuple[str, str]]:
    """Yield (file name, line) as they are written, from new files too, until the server has ended."""
    # By inode: a log that is rotated gets another name, and goes on where we were.
    places = {number: size for path in files() for number, size in _known(path)}
    going = True
    while going:
        going = alive()
        for path in files():
            with suppress(FileNotFoundError), path.open("rb") as source:
                status = os.fstat(source.fileno())
                place = places.get(status.st_ino, 0)
                source.seek(place if place <= status.st_size else 0)
                for raw in source:
                    yield path.name, raw.decode(errors="replace").rstrip("\n")
                places[status.st_ino] = source.tell()
        if going:
            time.sleep(every)


def _known(path: Path) -> Iterator[tuple[int, int]]:
    """The inode and the length of a log; nothing of one that was rotated away just now."""
    with suppress(FileNotFoundError):
        status = path.stat()
        yield status.st_ino, status.st_size


def _tells(line: str) -> bool:
    return bool(_TELLING.search(line)) and not _HEADER.match(line) and not _USUAL.search(line)


def _after(path: Path, start: int, most: int = _TAIL) -> str:
    try:
        with path.open("rb") as source:
            source.seek(max(start, os.fstat(source.fileno()).st_size - most))
            return source.read().decode(errors="replace")
    except FileNotFoundError:
        return ""  # rotated away just now

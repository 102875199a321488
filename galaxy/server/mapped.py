"""A database's file in memory, every page of it there before anything looks at one.

A page that the disk does not give back ends the process that touches it (SIGBUS). Found beforehand it is a flaw.
"""

import errno
import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galaxy.server.contents import extents

# madvise(2): fails instead of SIGBUS; EINVAL before Linux 5.14, where nobody can ask.
_POPULATE_READ = 22


class FlawError(Exception):
    """What is wrong with a database's file, in words."""


@contextmanager
def mapped(path: Path, access: int) -> Iterator[mmap.mmap]:
    """The file for the block, by one of mmap's ACCESS_ kinds; FlawError when a part of it cannot be read."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=access) as data:
        for start, end in extents(file.fileno(), len(data)):
            _require_readable(data, start - start % mmap.PAGESIZE, end)
        yield data


def _require_readable(data: mmap.mmap, start: int, end: int) -> None:
    try:
        data.madvise(_POPULATE_READ, start, end - start)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise FlawError(f"its disk does not give back what is at byte {start} or behind") from None

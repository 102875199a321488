"""Are a server's databases sound? Asked of a stopped server, before Samba meets them.

Samba itself starts on a damaged database, serves what it can still read of it, and writes into the rest.
"""

import errno
from collections.abc import Iterator
from pathlib import Path

from galaxy.host.errors import ServerError
from galaxy.server.config import Server
from galaxy.server.kept import Snapshot
from galaxy.server.lmdbfile import is_lmdb, require_sound_lmdb
from galaxy.server.mapped import FlawError
from galaxy.server.tdbfile import require_sound_tdb

# The databases that change in transactions only, so that they are sound whenever Samba ends; in state/private.
_PATTERNS = ("*.ldb", "sam.ldb.d/*.ldb", "sam.ldb.d/*.tdb", "secrets.tdb")

_DIRECTORY = "state/private/sam.ldb"


def require_sound(server: Server) -> None:
    """ServerError names the first database of the server that is damaged."""
    damaged = damage_in(server.state)
    if damaged is not None:
        file, flaw = damaged
        raise ServerError(
            f"the database {file} of {server.name} is damaged: {flaw}. Samba would lose more on it",
            f"Go back to a snapshot (galaxy snapshots {server.name}, galaxy restore {server.name} ID), or put the "
            "file back from a backup.",
        )


def damage_in(state: Path) -> tuple[Path, FlawError] | None:
    """The first database of a state that is damaged, and how; None when all are sound."""
    for file in _databases(state):
        try:
            (require_sound_lmdb if is_lmdb(file) else require_sound_tdb)(file)
        except FlawError as flaw:
            return file, flaw
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return file, FlawError(f"it cannot be read: {error.strerror}")
    return None


def require_sound_snapshot(server: Server, snapshot: Snapshot, copy: Path | None = None) -> None:
    """ServerError when a database of a snapshot, or of a copy of it, is damaged or missing; the file is named."""
    folder = copy or snapshot.path
    damaged: tuple[Path, FlawError | str] | None = damage_in(folder / "state")
    if damaged is None and not (folder / _DIRECTORY).is_file():
        damaged = folder / _DIRECTORY, "it is missing"
    if damaged is not None:
        file, flaw = damaged
        where = snapshot.path / file.relative_to(folder)
        raise ServerError(
            f"the snapshot {snapshot.id} of {server.name} is damaged: {where}: {flaw}",
            f"Nothing was changed. Take another one: galaxy snapshots {server.name}",
        )


def _databases(state: Path) -> Iterator[Path]:
    for pattern in _PATTERNS:
        yield from sorted(path for path in (state / "private").glob(pattern) if path.is_file())

"""Are a server's databases sound? Asked of a stopped server, before Samba meets them.

Samba itself starts on a damaged database, serves what it can still read of it, and writes into the rest.
"""

from collections.abc import Iterator
from pathlib import Path

from galaxy.host.errors import ServerError
from galaxy.server.config import Server
from galaxy.server.lmdbfile import is_lmdb, require_sound_lmdb
from galaxy.server.tdbfile import FlawError, require_sound_tdb

# The databases that change in transactions only, so that they are sound whenever Samba ends; in state/private.
_PATTERNS = ("*.ldb", "sam.ldb.d/*.ldb", "sam.ldb.d/*.tdb", "secrets.tdb")


def require_sound(server: Server, state: Path | None = None) -> None:
    """ServerError names the first database that is damaged, in the server's state or in that of a copy."""
    for file in _databases(state or server.state):
        try:
            (require_sound_lmdb if is_lmdb(file) else require_sound_tdb)(file)
        except FlawError as flaw:
            raise ServerError(
                f"the database {file} of {server.name} is damaged: {flaw}. Samba would lose more on it",
                f"Go back to a snapshot (galaxy snapshots {server.name}, galaxy restore {server.name} ID), or put the "
                "file back from a backup.",
            ) from None


def _databases(state: Path) -> Iterator[Path]:
    for pattern in _PATTERNS:
        yield from sorted(path for path in (state / "private").glob(pattern) if path.is_file())

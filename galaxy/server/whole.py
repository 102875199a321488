"""What a server must have to be started: its data, which only a copy can bring back, and room to write."""

import os

from galaxy.host.errors import HostError, ServerError
from galaxy.host.files import READ_ONLY, require_space
from galaxy.server.config import Server
from galaxy.server.smbconf import require_own_names

# Bytes: what a start itself writes; Samba without room to write ends in ways that nobody understands.
_SPACE = 4_000_000


def require_whole(server: Server) -> None:
    """ServerError when something of its files is gone or another's, HostError for a full or read-only disk.

    A lost cache or log is made anew.
    """
    require_data(server, "cannot be started")
    require_own_names(server, f"{server.name} cannot be started")
    for folder in (server.folder, server.state):
        if not os.access(folder, os.W_OK):  # root may write everywhere but on a read-only file system
            raise HostError(
                f"{server.name} cannot be started: {folder} is on a read-only file system",
                READ_ONLY,
            )
    require_space(server.folder, _SPACE, f"starting {server.name}")
    for folder in (server.cache, server.log):
        folder.mkdir(mode=0o755, exist_ok=True)


def require_data(server: Server, so: str) -> None:
    """ServerError when its configuration or its directory is gone; `so` says what follows from that."""
    files = (server.etc / "smb.conf", server.state / "private/sam.ldb")
    for path in (server.etc, server.state, server.state / "private", *files):
        if not path.exists():
            raise ServerError(
                f"{server.name} {so}: {path} is missing",
                f"Put it back from a copy. To give the server up: galaxy rm {server.name}",
            )
    for file in files:
        if not file.is_file():
            raise ServerError(f"{server.name} {so}: {file} is no file", "Put it back from a copy.")

"""What a server must still have to be started: its data, which only a copy can bring back."""

from galaxy.host.errors import ServerError
from galaxy.server.config import Server


def require_whole(server: Server) -> None:
    """ServerError when something of the configuration or the state is gone; a lost cache or log is made anew."""
    for path in (server.etc, server.etc / "smb.conf", server.state, server.state / "private"):
        if not path.exists():
            raise ServerError(
                f"{server.name} cannot be started: {path} is missing",
                f"Put it back from a copy. To give the server up: galaxy rm {server.name}",
            )
    for folder in (server.cache, server.log):
        folder.mkdir(mode=0o755, exist_ok=True)

"""Restart: what would keep the server from coming back is looked for before it stops."""

from galaxy.host.errors import GalaxyError
from galaxy.host.journal import journal
from galaxy.host.progress import say
from galaxy.host.settings import Settings, load_settings
from galaxy.host.undo import undoes
from galaxy.server import running
from galaxy.server.config import Server, server_of
from galaxy.server.configuration import require_smb_conf
from galaxy.server.lifecycle import held, require_begun, start_held, stop_held
from galaxy.server.ready import Readiness
from galaxy.server.sound import require_sound
from galaxy.server.whole import require_whole


def restart(server: Server, settings: Settings) -> Readiness:
    """Stop and start under one lock; one that has ended by itself is started.

    Cut off in between, it ends with the server running. ServerError as `start` has it, or with the server untouched
    when it could not start again.
    """
    with held(server):
        require_begun(server, f"Start it: galaxy start {server.name}")
        require_whole(server)
        if running.alive(server) is None:
            require_sound(server)
        else:
            require_smb_conf(server, f"{server.name} was not restarted")
        return _restart(server, settings)


def _restart(server: Server, settings: Settings) -> Readiness:
    with (
        journal(server.store, "restart", server.name) as entry,
        entry.until_done("restart", f"{server.store.root}:{server.name}"),
    ):
        stop_held(server, settings)
        try:
            return start_held(server, settings)
        except GalaxyError as error:
            failure = error  # to try once more would do no better
    raise failure


@undoes("restart")
def _start_again(target: str) -> None:
    """Do what an interrupted restart has begun: the server may have been told to stop, and ends soon."""
    server = server_of(target)
    if server is None:
        return
    say(f"{server.name}: restarting it, as was asked for")
    settings = load_settings()  # those of the command that was cut off went with it
    stop_held(server, settings)
    start_held(server, settings)

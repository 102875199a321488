"""galaxy recover."""

from galaxy.cli.render import found_store, need_root
from galaxy.host.errors import PolicyError
from galaxy.host.lock import at_work
from galaxy.host.recovery import mentioned
from galaxy.host.recovery import recover as undo_interrupted
from galaxy.server.config import servers
from galaxy.server.lifecycle import unsettled, way_out


def recover() -> None:
    """Finish or undo whatever an interrupted command left: mounts, networks, containers, half-made folders.

    Commands that change things do the same before they begin; this is for wanting nothing else.
    """
    need_root("Undoing what a command left")
    store = found_store()
    lines = undo_interrupted(store)
    idle = [server for server in servers(store) if not at_work(store, server.lock)]
    stuck = [server for server in idle if server.pending.exists() and not mentioned(store, server.name)]
    for line in lines or ([] if stuck else ["nothing was left behind"]):
        print(line)
    if stuck:
        raise PolicyError(f"{stuck[0].name} {unsettled(stuck[0])}", way_out(stuck[0]))

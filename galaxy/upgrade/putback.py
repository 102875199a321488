"""Going back to a snapshot of any day: what has to be true before, and what must not be given a second time after."""

from galaxy.host.errors import ServerError
from galaxy.host.journal import LOOK, Entry, journal
from galaxy.host.progress import say
from galaxy.host.settings import Settings
from galaxy.server.config import Server
from galaxy.server.kept import Snapshot
from galaxy.server.restore import Restored, restore
from galaxy.upgrade.consult import ConfigurationError
from galaxy.upgrade.numbers import Numbers, go_on_after, numbers_of
from galaxy.upgrade.partners import require_no_partners, usn_rollback
from galaxy.upgrade.since import Loss, newest_known, require_no_more, state_then


def put_back(server: Server, wanted: Snapshot, settings: Settings, loss: Loss) -> Restored:
    """Restore a snapshot whose `loss` somebody has agreed to.

    PolicyError, with nothing changed, when the domain has other DCs, or more was written since the list was made.
    """
    found: list[Numbers | None] = []

    def seen(entry: Entry, stopped: Server) -> None:
        _require_seen(entry, stopped, loss)
        found.append(numbers_of(stopped))

    return restore(
        server,
        wanted,
        settings,
        # Asked again: a DC may have joined while somebody thought about it.
        require_allowed=lambda: require_alone(server, wanted),
        require_seen=seen,
        adapt=lambda restored: go_on_after(restored, *found),
    )


def require_alone(server: Server, wanted: Snapshot) -> None:
    """Refuse a USN rollback. A server whose databases cannot be read any more is judged by its snapshots'."""
    try:
        require_no_partners(server)
    except ConfigurationError:
        raise
    except ServerError as error:
        say(f"warning: {error.message}; looking for other domain controllers in the snapshots")
        with journal(server.store, LOOK, server.name) as entry:
            known = newest_known(entry, server) or state_then(entry, server, wanted)
        if known is not None and known.partners:
            raise usn_rollback(server.name, known.partners) from None


def _require_seen(entry: Entry, stopped: Server, loss: Loss) -> None:
    if loss.changes is not None:
        again = f"{stopped.name} goes on as before. Try again."
        require_no_more(entry, stopped, loss.changes, None, again)

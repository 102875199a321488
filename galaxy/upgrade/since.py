"""What a server holds that one of its snapshots lacks: what going back to that would lose."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import GalaxyError, InputError, PolicyError, ServerError
from galaxy.host.journal import LOOK, Entry, journal
from galaxy.image.catalogue import Catalogue, Image
from galaxy.server import lifecycle
from galaxy.server.config import Server
from galaxy.server.copying import SECONDS_TICK
from galaxy.server.history import parting
from galaxy.server.kept import Snapshot, find_snapshot, snapshots
from galaxy.server.sound import require_sound, require_sound_snapshot
from galaxy.upgrade.changes import Changes, changes_since, late, lost
from galaxy.upgrade.consult import ConfigurationError
from galaxy.upgrade.partners import Directory, look


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What a server in a snapshot's state would lack: `lines` for people, none when nothing.

    `changes` is None when they cannot be read.
    """

    changes: Changes | None
    lines: tuple[str, ...]


def lost_by(server: Server, snapshot: Snapshot) -> Loss:
    """Compare a server with one of its snapshots."""
    with journal(server.store, LOOK, server.name) as entry:
        then = state_then(entry, server, snapshot)
        usn = usn_in_common(entry, server, snapshot, then)
        _, changes, unreadable = compare_now(entry, server, snapshot, then, usn)
    lines = lost(changes, f"{snapshot.taken:%Y-%m-%d %H:%M} UTC", unreadable)
    return Loss(changes=changes, lines=lines)


def require_no_more(entry: Entry, server: Server, listed: Changes, before: Path | None, again: str) -> None:
    """PolicyError when a server, by now stopped, has changes that are not `listed`. `again`: what to do.

    `before` is the snapshot's folder; without it only the directory is asked. Clients wait: what is older than the list
    is not looked at again.
    """
    touched = listed.read - SECONDS_TICK
    now = changes_since(entry, server, listed.usn, before, touched=touched, in_place=True)
    if unseen := late(listed, now):
        raise PolicyError(f"{len(unseen)} changes came after the list was made: {unseen[0].strip()}", again)


def image_by_id(server: Server, image_id: str) -> Image | None:
    """The store's image of that id; None when it is not there any more."""
    return next((one for one in Catalogue(store=server.store).images() if one.id == image_id), None)


def usn_in_common(
    entry: Entry, server: Server, snapshot: Snapshot | None, then: Directory | None
) -> int | None:
    """The USN of the last state that both the present one and the snapshot's come from; None when it is not known.

    Each branch of states counts on for itself: what has a higher USN here than the snapshot is not all that it lacks.
    """
    if snapshot is None or then is None:
        return None
    common = parting(server, snapshot)
    if common is None:
        return then.usn
    try:
        older = state_then(entry, server, find_snapshot(server, common)) if common else None
    except (InputError, PolicyError, ServerError):
        return None  # it is not there any more, or cannot be read
    return older.usn if older is not None else None


def compare_now(
    entry: Entry, server: Server, snapshot: Snapshot | None, then: Directory | None, usn: int | None
) -> tuple[Directory | None, Changes | None, str]:
    """What the databases say of now and of what has changed; a broken one leaves the snapshots' word, and a why.

    ConfigurationError stays one: behind a mistake in smb.conf there may be a good database, and other DCs in it.
    """
    try:
        if lifecycle.status(server).state != "running":
            require_sound(server)
        now = look(entry, server)
        changes = None
        if snapshot is not None and usn is not None:
            changes = changes_since(entry, server, usn, snapshot.path)
    except ConfigurationError:
        raise
    except ServerError as error:
        return newest_known(entry, server) or then, None, error.message
    return now, changes, ""


def newest_known(entry: Entry, server: Server) -> Directory | None:
    """What the newest of a server's snapshots says that can be read: a DC may have joined since an older one."""
    for snapshot in reversed(snapshots(server)):
        with suppress(GalaxyError, OSError):
            if (found := state_then(entry, server, snapshot)) is not None:
                return found
    return None


def state_then(entry: Entry, server: Server, snapshot: Snapshot) -> Directory | None:
    """What the snapshot's database says, read by its own image; None without that. ServerError when it is damaged."""
    if image_by_id(server, snapshot.image_id) is None:
        return None
    require_sound_snapshot(server, snapshot)
    config = server.config.model_copy(update={"image_id": snapshot.image_id})
    return look(entry, Server(store=server.store, config=config, home=snapshot.path))

"""Going back to a snapshot: the server has its old state or the snapshot's, whole, whenever it is cut off.

The snapshot is copied beside the state while the server runs; then it stops, the two are exchanged by renaming, and it
starts. Until it is ready `pending` is there, and whatever happens leads back to the state of before; what was replaced
becomes a snapshot itself.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from galaxy.host.errors import ServerError
from galaxy.host.files import sync_folder, write_atomic
from galaxy.host.journal import Entry, journal, undoes
from galaxy.host.progress import say
from galaxy.host.settings import Settings
from galaxy.server import lifecycle, running
from galaxy.server.config import Server, load, pending_server
from galaxy.server.copying import copy_state, space_of, sync_file_system
from galaxy.server.history import RESTORE, UpgradeRecord, forget
from galaxy.server.history import record as remember
from galaxy.server.kept import Snapshot, config_of
from galaxy.server.ready import Readiness
from galaxy.server.rootfs import image_of, rootfs_of
from galaxy.server.snapshot import free_id, need_space
from galaxy.server.sound import require_sound
from galaxy.server.swap import exchange

_INCOMING = ".restoring"
_OUTGOING = ".replaced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore did: `kept` is the snapshot of the state before; `ready` is None for a server that was stopped."""

    server: Server
    kept: Snapshot
    ready: Readiness | None
    seconds: float


class RestoreRecord(BaseModel):
    """In `pending` while a restore is under way: how to get back. `kept` will be the snapshot of the state before."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    doing: Literal["restore"] = "restore"
    snapshot: str
    kept: str = ""
    running: bool
    ready_timeout: float
    stop_timeout: float

    @property
    def settings(self) -> Settings:
        """The timeouts of the command that was interrupted."""
        return Settings(ready_timeout=self.ready_timeout, stop_timeout=self.stop_timeout)


def restore(server: Server, snapshot: Snapshot, settings: Settings) -> Restored:
    """Give a server the state, the configuration and the image of a snapshot, which stays; it runs if it ran.

    Whether going back is safe for the domain is not looked at here: other DCs would take it for a USN rollback.
    Raises ServerError when the server doesn't start on that state; then it has the one of before, and runs if it ran.
    """
    began = time.monotonic()
    with lifecycle.held(server), journal(server.store, "restore", server.name) as entry:
        incoming, outgoing = server.folder / _INCOMING, server.folder / _OUTGOING
        _copy_in(entry, server, snapshot, incoming)
        entry.on_failure("replaced", outgoing)
        with _returning(entry, server, snapshot, _record(server, snapshot, settings)) as record:
            _end(server, settings, runs=record.running)
            exchange(server.folder, incoming, outgoing)
            restored = load(server.store, server.name)
            ready = _start(restored, settings) if record.running else None
        shutil.rmtree(incoming)
        kept = _keep(server, outgoing, record)
    return Restored(server=restored, kept=kept, ready=ready, seconds=time.monotonic() - began)


def _copy_in(entry: Entry, server: Server, snapshot: Snapshot, incoming: Path) -> None:
    """Put a copy of the snapshot beside the state. Its image has to be there; the network stays what it is now."""
    config = config_of(snapshot).model_copy(update={"name": server.name, "network": server.config.network})
    coming = Server(store=server.store, config=config, home=incoming)
    image_of(coming)
    rootfs_of(coming)
    need_space(snapshot.path, server.folder, f"restoring {snapshot.id} of {server.name}")
    entry.on_failure("tree", incoming)
    if incoming.exists():
        shutil.rmtree(incoming)
    incoming.mkdir(mode=0o700)
    copied = copy_state(snapshot.path, incoming)
    if space_of(incoming) == 0 or not copied.written:
        raise ServerError(f"the snapshot {snapshot.path} is empty", "Take another one.")
    require_sound(server, incoming / "state")
    coming.write()
    sync_file_system(incoming)


def _record(server: Server, snapshot: Snapshot, settings: Settings) -> RestoreRecord:
    return RestoreRecord(
        snapshot=snapshot.id,
        kept=free_id(server),
        running=running.alive(server) is not None,
        ready_timeout=settings.ready_timeout,
        stop_timeout=settings.stop_timeout,
    )


@contextmanager
def _returning(
    entry: Entry, server: Server, snapshot: Snapshot, record: RestoreRecord
) -> Iterator[RestoreRecord]:
    """The block's end, when `pending` goes, is the commit point."""
    with entry.until_done("restore", f"{server.store.root}:{server.name}"):
        write_atomic(server.pending, record.model_dump_json() + "\n", 0o600)
        yield record
        remember(server, _change(server, snapshot, record))
        server.pending.unlink()
        sync_folder(server.folder)


def _change(server: Server, snapshot: Snapshot, record: RestoreRecord) -> UpgradeRecord:
    return UpgradeRecord(
        from_image=server.config.image_id,
        to_image=snapshot.image_id,
        snapshot=record.kept,
        committed=datetime.now(UTC),
        way=RESTORE,
        restored=snapshot.id,
    )


def _end(server: Server, settings: Settings, *, runs: bool) -> None:
    """End the server's last run; its network stays, where it will start again at once."""
    if runs:
        lifecycle.stop_quickly(server, settings)
    else:
        lifecycle.clear(server)


def _start(server: Server, settings: Settings) -> Readiness:
    return lifecycle.start_held(server, settings, in_network=True)


def _keep(server: Server, outgoing: Path, record: RestoreRecord) -> Snapshot:
    """Make a snapshot of the state that was replaced."""
    before = server.config
    kept = Snapshot(
        id=record.kept,
        name=server.name,
        reason=f"before restore of {record.snapshot}",
        taken=datetime.now(UTC).replace(microsecond=0),
        image_id=before.image_id,
        version=image_of(server).ref,
        running=record.running,
        size=space_of(outgoing),
        seconds=0.0,
        held=0.0,
        path=outgoing,
    )
    kept.write()
    final = server.snapshots / kept.id
    outgoing.rename(final)
    sync_folder(server.snapshots)
    return kept.model_copy(update={"path": final})


@undoes("restore")
def _return(target: str) -> None:
    """Back to the state of before, running if it ran; can be cut off and done again."""
    server = pending_server(target)
    if server is None:
        return
    record = RestoreRecord.model_validate_json(server.pending.read_bytes())
    say(f"{server.name}: going back to the state before the restore")
    if record.kept:
        forget(server, record.kept)  # written just before the commit point
    if lifecycle.status(server).state == "running":
        lifecycle.kill(server)
    lifecycle.clear(server)
    exchange(server.folder, server.folder / _OUTGOING, server.folder / _INCOMING)
    if record.running:
        lifecycle.start_held(load(server.store, server.name), record.settings)
    server.pending.unlink()


@undoes("replaced")
def _discard(target: str) -> None:
    """Remove what a restore replaced, once it is certain that the server doesn't need it."""
    outgoing = Path(target)
    if (outgoing.parent / "switch.json").exists():
        raise ServerError(f"{outgoing} may hold the state of a server", "Run: galaxy recover")
    if outgoing.exists():
        shutil.rmtree(outgoing)

"""Going back to a snapshot: the server has its old state or the snapshot's, whole, whenever it is cut off.

The snapshot is copied beside the state while the server runs; then it stops, the two are exchanged by renaming, and it
starts. Until it is ready `pending` is there, new connections wait, and whatever happens leads back to the state of
before; what was replaced becomes a snapshot itself.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from galaxy.host.errors import InputError, ServerError
from galaxy.host.files import sync_file_system, sync_folder, write_atomic
from galaxy.host.journal import Entry, journal
from galaxy.host.progress import say
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.host.undo import undoes
from galaxy.image.sealed import require_unchanged
from galaxy.server import lifecycle, running
from galaxy.server.config import PENDING, Server, ServerConfig, load, pending_server
from galaxy.server.copying import PARTS, copy_state, space_of
from galaxy.server.history import RESTORE, UpgradeRecord, forget, history
from galaxy.server.history import record as remember
from galaxy.server.hold import hold, is_held
from galaxy.server.kept import RECORD, Snapshot, config_of, read_record
from galaxy.server.ready import Readiness
from galaxy.server.rootfs import image_of, rootfs_of
from galaxy.server.snapshot import adopt_written, described, free_id, need_space, shelve
from galaxy.server.sound import require_sound_snapshot
from galaxy.server.swap import exchange, require_movable

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
    written: str = ""
    running: bool
    ready_timeout: float
    stop_timeout: float

    @property
    def settings(self) -> Settings:
        """The timeouts of the command that was interrupted."""
        return Settings(ready_timeout=self.ready_timeout, stop_timeout=self.stop_timeout)


def restore(
    server: Server,
    snapshot: Snapshot,
    settings: Settings,
    *,
    require_allowed: Callable[[], None] = lambda: None,
    require_seen: Callable[[Entry, Server], None] = lambda _entry, _server: None,
    adapt: Callable[[Server], None] = lambda _server: None,
) -> Restored:
    """Give a server the state, the configuration and the image of a snapshot, which stays; it runs if it ran.

    Whether going back is safe for the domain is not looked at here: other DCs would take it for a USN rollback.
    `require_allowed` raises when it is not; it is called at the last moment before the server stops. `require_seen`
    raises when something was written since somebody has agreed; it is called when nothing can be any more.
    `adapt` does to the restored state what has to be done before it starts. Raises ServerError when the server doesn't
    start on that state; then it has the one of before, and runs if it ran.
    """
    began = time.monotonic()
    with lifecycle.held(server), journal(server.store, "restore", server.name) as entry:
        incoming, outgoing = server.folder / _INCOMING, server.folder / _OUTGOING
        _copy_in(entry, server, snapshot, incoming)
        require_allowed()
        history(server)  # it has to be readable: it is written at the commit point
        entry.on_failure("replaced", outgoing)
        record = _record(server, snapshot, settings)
        with (
            hold(entry, server) if record.running else nullcontext(),
            _returning(entry, server, snapshot, record),
        ):
            _end(server, settings, runs=record.running)
            require_seen(entry, server)
            exchange(server.folder, incoming, outgoing)
            restored = load(server.store, server.name)
            adapt(restored)
            ready = _start(restored, settings) if record.running else None
            why = f"before restore of {record.snapshot}"
            described(server, outgoing, record.kept, why, running=record.running).write()
        shutil.rmtree(incoming)
        kept = shelve(server, read_record(outgoing))
    return Restored(server=restored, kept=kept, ready=ready, seconds=time.monotonic() - began)


def _copy_in(entry: Entry, server: Server, snapshot: Snapshot, incoming: Path) -> None:
    """Put a copy of the snapshot beside the state. Its image has to be there; the network stays what it is now."""
    require_movable(server)
    config = config_of(snapshot).model_copy(update={"name": server.name, "network": server.config.network})
    _require_reachable(server, snapshot, config)
    coming = Server(store=server.store, config=config, home=incoming)
    require_unchanged(image_of(coming))
    rootfs_of(coming)
    need_space(snapshot.path, server.folder, f"restoring {snapshot.id} of {server.name}")
    entry.on_failure("tree", incoming)
    if incoming.exists():
        shutil.rmtree(incoming)
    incoming.mkdir(mode=0o700)
    copied = copy_state(snapshot.path, incoming)
    if space_of(incoming) == 0 or not copied.written:
        raise ServerError(f"the snapshot {snapshot.path} is empty", "Take another one.")
    require_sound_snapshot(server, snapshot, incoming)
    coming.write()
    sync_file_system(incoming)


def _require_reachable(server: Server, snapshot: Snapshot, coming: ServerConfig) -> None:
    """InputError when a running server would get another address: it starts again in the network that it is in."""
    if running.alive(server) is not None and coming.address != server.config.address:
        raise InputError(
            f"{server.name} runs at {server.config.address}, and the snapshot {snapshot.id} is of {coming.address}: "
            "it would not answer in the network that it is in",
            f"Stop it first (galaxy stop {server.name}), then restore.",
        )


def _record(server: Server, snapshot: Snapshot, settings: Settings) -> RestoreRecord:
    return RestoreRecord(
        snapshot=snapshot.id,
        kept=free_id(server),
        running=running.alive(server) is not None,
        ready_timeout=settings.ready_timeout,
        stop_timeout=settings.stop_timeout,
    )


@contextmanager
def _returning(entry: Entry, server: Server, snapshot: Snapshot, record: RestoreRecord) -> Iterator[None]:
    """The block's end, when `pending` goes, is the commit point."""
    with entry.until_done("restore", f"{server.store.root}:{server.name}"):
        write_atomic(server.pending, record.model_dump_json() + "\n", 0o600)
        yield
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


@undoes("restore")
def _return(target: str) -> None:
    """Back to the state of before, running if it ran; can be cut off and done again."""
    server = pending_server(target)
    if server is None:
        return
    record = RestoreRecord.model_validate_json(server.pending.read_bytes())
    say(f"{server.name}: going back to the state before the restore")
    if record.running and not record.written and _is_exchanged(server) and not is_held(server):
        record = record.model_copy(update={"written": free_id(server)})
        with suppress(OSError):  # as after a switch: a full disk keeps nobody from going back
            write_atomic(server.pending, record.model_dump_json() + "\n", 0o600)
    lifecycle.kill_if_running(server)
    lifecycle.clear(server)
    if record.kept:
        forget(server, record.kept)  # written just before the commit point
    (server.folder / _OUTGOING / RECORD).unlink(missing_ok=True)
    exchange(server.folder, server.folder / _OUTGOING, server.folder / _INCOMING)
    if record.written:
        adopt_written(server, server.folder / _INCOMING, record.written)
    shutil.rmtree(server.folder / _INCOMING, ignore_errors=True)  # before the start, which may need its room
    if record.running:
        _start_again(load(server.store, server.name), record.settings)
    server.pending.unlink()
    sync_folder(server.folder)


def _is_exchanged(server: Server) -> bool:
    """Whether parts of the state of before are still aside: then what is in their place may have run."""
    return any((server.folder / _OUTGOING / part).exists() for part in PARTS)


def _start_again(server: Server, settings: Settings) -> None:
    """Start what ran; it may not have been well, which is why somebody wants an older state."""
    try:
        lifecycle.start_held(server, settings)
    except ServerError as error:
        say(f"warning: {error.message}; {server.name} is started as it is")
        lifecycle.start_unasked(server, settings, in_network=False)


@undoes("replaced")
def _settle(target: str) -> None:
    """Make a snapshot of what a committed restore replaced, if it was cut off before that; else nothing is there."""
    outgoing = Path(target)
    if (outgoing.parent / PENDING).exists():
        raise ServerError(f"{outgoing} may hold the state of a server", "Run: galaxy recover")
    if (outgoing / RECORD).exists():
        store = Store(root=outgoing.parent.parent.parent)
        shelve(load(store, outgoing.parent.name), read_record(outgoing))
    elif outgoing.exists():
        shutil.rmtree(outgoing)

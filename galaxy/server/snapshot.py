"""Consistent copies of a server, running or not: a clone to try things on, and snapshots to go back to.

A running server's state is copied ahead as it comes, which takes its time and disturbs nobody; then, while writers are
held for some milliseconds, what has changed since.
"""

import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from galaxy.host.errors import InputError
from galaxy.host.files import require_space, sync_file_system, sync_folder, write_atomic
from galaxy.host.journal import Entry, journal
from galaxy.host.mounts import require_no_mount
from galaxy.host.progress import say
from galaxy.host.settings import parse_toml
from galaxy.server import lifecycle, running
from galaxy.server.config import CONFIG, Network, Server, ServerConfig
from galaxy.server.container import handle
from galaxy.server.contents import shares_blocks
from galaxy.server.copying import PARTS, Copied, copy_state, freshen, space_of
from galaxy.server.history import history
from galaxy.server.kept import ID_TIME, Snapshot, snapshots
from galaxy.server.rootfs import image_of, ref_of
from galaxy.server.sound import damage_in
from galaxy.server.swap import require_movable, require_own_parts
from galaxy.server.whole import require_data
from galaxy.server.writers import first_in_line, writers_held

_PASSES = 4
_ID = re.compile(r"\d{8}-\d{6}(-\d\d)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clone:
    """A copy of a server that can be started beside it; `seconds` it took, of which writers waited `held`."""

    server: Server
    seconds: float
    held: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A snapshot in the making, under its later id: copied from a server that may have gone on writing."""

    id: str
    reason: str
    path: Path
    copied: Copied
    running: bool
    began: float


def clone(entry: Entry, server: Server, home: Path, network: Network) -> Clone:
    """Copy a running or stopped server into `home`, a new folder; `remove` takes the copy away again."""
    need_space(server.folder, home, f"a copy of {server.name}")
    began = time.monotonic()
    config = server.config.model_copy(update={"network": network})
    copy = Server(store=server.store, config=config, home=home)
    entry.on_failure("tree", home)
    entry.on_failure("container", handle(copy))
    home.mkdir(mode=0o700, parents=True)
    for folder in (copy.log, copy.etc_host, copy.bundle):
        folder.mkdir(mode=0o755)
    copied = _copy_ahead(server, home)
    with writers_held(server) as held:
        freshen(server.folder, home, copied.seen)
    copy.write()
    return Clone(server=copy, seconds=time.monotonic() - began, held=held.seconds)


def snapshot(server: Server, reason: str = "by hand", *, pinned: bool = False) -> Snapshot:
    """Keep a consistent copy of a running or stopped server; a pinned one is never pruned."""
    with (
        lifecycle.held(server),
        journal(server.store, "snapshot", server.name) as entry,
    ):
        ahead = _prepare(entry, server, reason)
        with writers_held(server) as held:
            copied = freshen(server.folder, ahead.path, ahead.copied.seen)
        made = _finish(server, ahead, copied, held=held.seconds, pinned=pinned)
    _tell_damage(server, made)
    return made


def _tell_damage(server: Server, made: Snapshot) -> None:
    """A damaged state is kept too, for whoever mends it; but nobody shall take it for a way back."""
    damaged = damage_in(made.path / "state")
    if damaged is not None:
        file, flaw = damaged
        where = server.folder / file.relative_to(made.path)
        say(f"warning: the snapshot is of a damaged server: {where}: {flaw}")


def prepare(entry: Entry, server: Server, reason: str) -> Prepared:
    """Copy ahead of a stop, while the server runs: `complete` makes a snapshot of it. The caller holds the lock.

    It may have to be put back by renaming, so that the folder of snapshots has to be movable too.
    """
    require_movable(server)
    return _prepare(entry, server, reason)


def _prepare(entry: Entry, server: Server, reason: str) -> Prepared:
    require_data(server, "cannot be kept in a snapshot")
    # What can be made anew is no reason for a snapshot without it.
    server.cache.mkdir(mode=0o755, exist_ok=True)
    server.secrets.mkdir(mode=0o700, exist_ok=True)
    require_own_parts(server)
    need_space(server.folder, server.snapshots, f"a snapshot of {server.name}")
    began = time.monotonic()
    server.snapshots.mkdir(mode=0o700, exist_ok=True)
    name = free_id(server)
    making = server.snapshots / f".{name}.making"
    entry.on_failure("tree", making)
    making.mkdir(mode=0o700)
    copied = _copy_ahead(server, making)
    sync_file_system(making)
    return Prepared(
        id=name,
        reason=reason,
        path=making,
        copied=copied,
        running=running.alive(server) is not None,
        began=began,
    )


def complete(server: Server, ahead: Prepared) -> Snapshot:
    """Copy what a server, stopped by now, has changed since `prepare`; from then on the snapshot is there."""
    with first_in_line():
        copied = freshen(server.folder, ahead.path, ahead.copied.seen)
    return _finish(server, ahead, copied, held=0.0, pinned=False)


def abandon(server: Server, name: str) -> None:
    """Remove a snapshot that `prepare` has begun, complete or not; can be cut off, and called again."""
    for folder in (server.snapshots / f".{name}.making", server.snapshots / name):
        if folder.exists():
            shutil.rmtree(folder)


def described(replaced: Server, aside: Path, name: str, reason: str, *, running: bool) -> Snapshot:
    """What a server's state that was put aside will be as a snapshot; `shelve` counts its size."""
    return Snapshot(
        id=name,
        name=replaced.name,
        reason=reason,
        taken=datetime.now(UTC).replace(microsecond=0),
        image_id=replaced.config.image_id,
        version=ref_of(replaced),
        running=running,
        size=0,
        seconds=0.0,
        held=0.0,
        path=aside,
    )


def shelve(server: Server, made: Snapshot) -> Snapshot:
    """Put a state that lies aside on the server's disk among its snapshots."""
    kept = made.model_copy(update={"size": space_of(made.path)})
    kept.write()
    final = server.snapshots / kept.id
    kept.path.rename(final)
    sync_folder(server.snapshots)
    return kept.model_copy(update={"path": final})


def adopt_written(server: Server, aside: Path, name: str) -> None:
    """Keep a state that was put aside, because clients may have written to it; tells of it.

    Can be cut off, and called again. A full disk keeps nobody from going back: then the state stays beside the server.
    """
    final, beside = server.snapshots / name, aside.with_name(f"written-{name}")
    if not (aside.is_dir() or final.is_dir() or beside.is_dir()):
        return
    try:
        if not final.is_dir() and not beside.is_dir():
            replaced = Server(store=server.store, config=parse_toml(aside / CONFIG, ServerConfig))
            why = "clients may have written to it before it went back"
            shelve(server, described(replaced, aside, name, why, running=True))
    except (InputError, OSError) as error:  # a swap that was cut off leaves a part of a state
        aside.rename(beside)
        say(f"{beside} cannot be made a snapshot: {error}")
    place = beside if beside.is_dir() else final
    say(
        f"warning: {server.name}: the hold on clients was gone; what they may have written since is in {place}"
    )


def prune(server: Server, keep: int, days: float) -> tuple[Snapshot, ...]:
    """Remove the snapshots older than `days`, but never the newest `keep` nor pinned ones; returns what went.

    The caller holds the lock.
    """
    oldest = datetime.now(UTC) - timedelta(days=days)
    loose = [one for one in snapshots(server) if not one.pinned]
    gone = [one for one in loose[: max(0, len(loose) - keep)] if one.taken <= oldest]
    for one in gone:
        discard(server, one)
    return tuple(gone)


def discard(server: Server, unwanted: Snapshot) -> None:
    """Remove a snapshot, and what was left of removing others: on a full disk there is no entry for that."""
    require_no_mount(unwanted.path, f"the snapshot {unwanted.id} of {server.name} cannot be removed")
    for left in server.snapshots.glob(".*.removing"):
        shutil.rmtree(left)
    away = unwanted.path.with_name(f".{unwanted.id}.removing")
    with journal(server.store, "prune", server.name, freeing=True) as entry:
        entry.on_failure("tree", away)
        unwanted.path.rename(away)
        shutil.rmtree(away)


def need_space(source: Path, target: Path, purpose: str, parts: tuple[str, ...] = PARTS) -> None:
    """HostError when a state does not fit beside itself; where blocks are shared, it takes next to nothing."""
    place = next(parent for parent in (target, *target.parents) if parent.exists())
    if not shares_blocks(place):
        require_space(place, space_of(source, parts), purpose)


def _copy_ahead(server: Server, target: Path) -> Copied:
    """Copy, and copy again what changed meanwhile, until nothing does: then nothing is left for the last pass.

    A large directory that is written to all the time never comes to rest; its clients wait for one comparison.
    """
    copied = copy_state(server.folder, target)
    for _ in range(_PASSES):
        copied = freshen(server.folder, target, copied.seen)
        if not copied.written:
            break
    return copied


def _finish(server: Server, ahead: Prepared, copied: Copied, *, held: float, pinned: bool) -> Snapshot:
    copied.sync()
    write_atomic(ahead.path / CONFIG, (server.folder / CONFIG).read_bytes(), 0o600)
    made = Snapshot(
        id=ahead.id,
        name=server.name,
        reason=ahead.reason,
        taken=datetime.now(UTC).replace(microsecond=0),
        image_id=server.config.image_id,
        version=image_of(server).ref,
        running=ahead.running,
        pinned=pinned,
        size=space_of(ahead.path),
        seconds=round(time.monotonic() - ahead.began, 3),
        held=round(held, 4),
        path=ahead.path,
    )
    made.write()
    final = server.snapshots / ahead.id
    ahead.path.rename(final)
    sync_folder(server.snapshots)
    return made.model_copy(update={"path": final})


def free_id(server: Server) -> str:
    """The id of a new snapshot: its time in UTC, and a number where a second has several; in the order of age.

    It comes after all that were given, whatever the clock says: it may have been put back since.
    """
    first = datetime.now(UTC).strftime(ID_TIME)
    newest = max(_ids(server), default="")
    if (last := newest[: len(first)]) > first:
        after = datetime.strptime(last, ID_TIME).replace(tzinfo=UTC) + timedelta(seconds=1)
        first = after.strftime(ID_TIME)
    candidates = (first, *(f"{first}-{number:02}" for number in range(2, 100)))
    return next(name for name in candidates if name > newest)


def _ids(server: Server) -> Iterator[str]:
    """The ids of all snapshots: those too that are half made or half gone, and those that the history knows."""
    for path in server.snapshots.glob("*"):
        if found := _ID.search(path.name):
            yield found[0]
    with suppress(InputError):  # a history that cannot be read is no reason for no snapshot
        yield from (entry.snapshot for entry in history(server))

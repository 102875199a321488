"""The switch: from one image to another under clients, with one way back for errors and interruptions alike.

Clients can write until the server stops, and again from the commit point on. In between new connections are held, so
the snapshot, taken after the stop, has every write that was acknowledged, and going back to it loses none.

`switch.json` in the server's folder says how far it is: it is there from before the stop, and its removal is the commit
point. While it is there without its command, no other command touches the server before `recover`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict

from galaxy.host.errors import GalaxyError, InterruptedByUser
from galaxy.host.files import sync_folder, write_atomic
from galaxy.host.journal import Entry
from galaxy.host.progress import say
from galaxy.host.settings import Settings
from galaxy.host.undo import undoes
from galaxy.server import lifecycle, snapshot
from galaxy.server.config import Server, pending_server
from galaxy.server.history import UpgradeRecord, forget, history
from galaxy.server.history import record as remember
from galaxy.server.hold import hold, is_held
from galaxy.server.network import network_is_up
from galaxy.server.rootfs import rootfs_of
from galaxy.server.swap import exchange, swap_back
from galaxy.upgrade.plan import UpgradePlan
from galaxy.upgrade.smoke import start_smoked

# Seconds: an upgrade converts nothing, and need not say so.
_TOLD = 0.005


class SwitchRecord(BaseModel):
    """How to get back: the image and the snapshot of before, and whether the new version may have touched the state.

    `held`: whether it starts with clients held; `kept`: the snapshot that its state becomes, if they may have written.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_id: str
    snapshot: str
    running: bool
    sound: bool = True
    touched: bool
    held: bool = False
    kept: str = ""
    ready_timeout: float
    stop_timeout: float

    @property
    def settings(self) -> Settings:
        """The timeouts of the command that was interrupted."""
        return Settings(ready_timeout=self.ready_timeout, stop_timeout=self.stop_timeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Back:
    """What the history says of a switch: the way back that it is, and the snapshot that it goes to, if it does."""

    way: str = ""
    restored: str = ""


FORWARD = Back()


class Switched(BaseModel):
    """Seconds that each part of the switch took; `away` is from the stop's begin to the commit point.

    `converted` is what a rollback does to the stopped server's state.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    snapshot: str
    stopped: float = 0.0
    snapshotted: float = 0.0
    converted: float = 0.0
    started: float = 0.0
    probed: float = 0.0
    away: float = 0.0

    def __str__(self) -> str:
        converted = f", state set back {self.converted:.2f}" if self.converted >= _TOLD else ""
        return (
            f"away for {self.away:.2f} s: stopped {self.stopped:.2f}, snapshot {self.snapshotted:.2f}{converted}, "
            f"started {self.started:.2f}, probed {self.probed:.2f}"
        )


def switch(
    entry: Entry,
    server: Server,
    plan: UpgradePlan,
    settings: Settings,
    *,
    convert: Callable[[Server], None] = lambda _server: None,
    start: bool | None = None,
    sound: bool = True,
    back: Back = FORWARD,
) -> Switched:
    """Move a server to the plan's image. The caller holds the server's lock.

    Returns after the commit point. Whatever fails before it (or interrupts) ends with the old version, the old state,
    running and checked if it ran before; then the error is raised. A rollback is a switch that has to `convert` the
    stopped server's state first; it may `start` what was stopped, and doesn't insist that what was not `sound` when it
    began answers again. `back` is how the history tells it from an upgrade.
    """
    start = plan.running if start is None else start
    history(server)  # it has to be readable: it is written at the commit point
    warm(server.as_image(plan.target.id))
    ahead = snapshot.prepare(entry, server, f"before {plan.target.ref}")
    record = _back_to(plan, ahead.id, settings, sound=sound, held=start)
    with ExitStack() as stack:
        if start:
            stack.enter_context(hold(entry, server))
        stack.enter_context(_returning(entry, server, record, plan.target.id, back))
        began = time.monotonic()
        stopped = lifecycle.stop_quickly(server, settings) if plan.running else 0.0
        kept = snapshot.complete(server, ahead)
        snapshotted = time.monotonic() - began - stopped
        _note(server, record.model_copy(update={"touched": True}))
        converted = _seconds(lambda: convert(server))
        moved = with_image(server, plan.target.id)
        started, probed = _started(moved, settings) if start else (0.0, 0.0)
    return Switched(
        snapshot=kept.id,
        stopped=stopped,
        snapshotted=snapshotted,
        converted=converted,
        started=started,
        probed=probed,
        away=time.monotonic() - began if start else 0.0,
    )


def _back_to(plan: UpgradePlan, kept: str, settings: Settings, *, sound: bool, held: bool) -> SwitchRecord:
    return SwitchRecord(
        image_id=plan.source.id,
        snapshot=kept,
        running=plan.running,
        sound=sound,
        touched=False,
        held=held,
        ready_timeout=settings.ready_timeout,
        stop_timeout=settings.stop_timeout,
    )


def _seconds(work: Callable[[], None]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began


def _started(server: Server, settings: Settings) -> tuple[float, float]:
    """Seconds until the server was ready, and those that its first users' questions took beyond that."""
    ready, probed = start_smoked(server, settings, in_network=True)
    return ready.all, probed


def warm(server: Server) -> None:
    """Mount a server's image and read it once, so that nothing waits for the disk when every second counts."""
    root = rootfs_of(server)
    for folder in ("usr/sbin", "usr/libexec", "usr/lib"):
        for file in (root / folder).rglob("*"):
            if file.is_file() and not file.is_symlink():
                file.read_bytes()


def with_image(server: Server, image_id: str) -> Server:
    """The server with another image in its server.toml."""
    moved = server.as_image(image_id)
    moved.write()
    return moved


@contextmanager
def _returning(entry: Entry, server: Server, record: SwitchRecord, target: str, back: Back) -> Iterator[None]:
    """The block is the switch: the way back is known before it, and forgotten at its end, the commit point."""
    with entry.until_done("switch", f"{server.store.root}:{server.name}"):
        _note(server, record)
        yield
        remember(server, _committed(record, target, back))
        server.pending.unlink()
        sync_folder(server.folder)


def _committed(record: SwitchRecord, target: str, back: Back) -> UpgradeRecord:
    return UpgradeRecord(
        from_image=record.image_id,
        to_image=target,
        snapshot=record.snapshot,
        committed=datetime.now(UTC),
        way=back.way,
        restored=back.restored,
    )


def _note(server: Server, record: SwitchRecord) -> None:
    write_atomic(server.pending, record.model_dump_json() + "\n", 0o600)


@contextmanager
def stays_moved(server: Server) -> Iterator[None]:
    """After the commit point: who interrupts the block is told that nothing goes back."""
    try:
        yield
    except InterruptedByUser as wish:
        wish.add_note(
            f"{server.name} has been moved, and stays so; to check it: galaxy verify --server {server.name}"
        )
        raise


@undoes("switch")
def _return(target: str) -> None:
    """Back to the old version with the old state, running if it ran; can be interrupted and done again."""
    server = pending_server(target)
    if server is None:
        return
    record = SwitchRecord.model_validate_json(server.pending.read_bytes())
    say(f"{server.name}: going back to the version and the state from before that change")
    # Used up, the state is back already: a start of it has failed, or was cut off.
    used_up = not (server.snapshots / record.snapshot).is_dir()
    if record.touched and record.held and not record.kept and not used_up and not is_held(server):
        record = record.model_copy(update={"kept": snapshot.free_id(server)})
        # A full disk must not keep anybody from going back; this process knows it anyway.
        with suppress(OSError):
            _note(server, record)
    lifecycle.kill_if_running(server)  # its end may be under way already
    lifecycle.clear_but_network(server)
    forget(server, record.snapshot)  # written just before the commit point
    if record.touched:
        if record.kept:
            aside = server.snapshots / f".{record.kept}.making"
            if not (server.snapshots / record.kept).is_dir():
                exchange(server.folder, server.snapshots / record.snapshot, aside)
            snapshot.adopt_written(server, aside, record.kept)
        swap_back(server, record.snapshot)
        server = with_image(server, record.image_id)
    else:
        snapshot.abandon(server, record.snapshot)  # before the start, which may need its room
    if record.running:
        start_again(server, record.settings, sound=record.sound)
    server.pending.unlink()
    sync_folder(server.folder)


def start_again(server: Server, settings: Settings, *, sound: bool) -> None:
    """Start what ran before a change that is taken back. What was not `sound` then is not asked how it is."""
    there = network_is_up(server)
    if sound:
        start_smoked(server, settings, in_network=there)
        return
    try:
        lifecycle.start_unasked(server, settings, in_network=there)
    except GalaxyError as error:
        say(f"warning: {server.name} was not well before, and does not start now: {error.message}")
    else:
        say(f"{server.name} has been started again; it was not well before: galaxy status {server.name}")

"""Start, stop, kill, remove, status: a server's life after its creation."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import InputError, InterruptedByUser, PolicyError, ServerError
from galaxy.host.journal import journal
from galaxy.host.lock import at_work, locked
from galaxy.host.mounts import require_no_mount
from galaxy.host.progress import say
from galaxy.host.recovery import mentioned, require_uninterrupted
from galaxy.host.settings import Settings
from galaxy.host.undo import undoes
from galaxy.server import running
from galaxy.server.config import CONFIG, Server, load, server_of
from galaxy.server.container import delete, forget, handle, launch, sandbox, write_bundle
from galaxy.server.logs import marks
from galaxy.server.network import bring_up, joined, take_down
from galaxy.server.options import samba_options
from galaxy.server.provision import INIT
from galaxy.server.ready import Readiness, wait_ready
from galaxy.server.rootfs import require_unchanged_image, rootfs_of
from galaxy.server.sound import require_sound
from galaxy.server.whole import require_whole
from galaxy.server.writers import writers_held

_KILL_SECONDS = 10.0
_UNDO_SECONDS = 10.0
# Far beyond what a write of a client takes, short of what a check of the whole database does.
_WRITES_SECONDS = 1.0
_LEFT = "is in the middle of a change that was interrupted; clients may not be able to connect to it"
_SAMBA = (running.SAMBA, "--foreground", "--no-process-group")


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a server is doing: `running`, `stopped`, or `ended` (nobody stopped it, it is gone)."""

    name: str
    state: str
    why: str = ""
    since: str = ""
    pid: int | None = None
    processes: int = 0


@contextmanager
def held(server: Server, *, begins: bool = True) -> Iterator[None]:
    """Hold a server's lock for the block; PolicyError when something on it was interrupted and not undone yet.

    Its command held the lock until it was killed, so whoever waited for it comes before `recover`; or `recover` could
    not undo it. PolicyError too when the one that was waited for has given the server another version or state than the
    caller knows of. `begins` is False for what a later undoing cannot harm.
    """
    with locked(server.store, server.lock):
        if server.pending.exists():
            raise PolicyError(f"{server.name} {_LEFT}", way_out(server))
        if begins:
            require_uninterrupted(server.store, server.name)
        if server.home is None and load(server.store, server.name).config != server.config:
            raise PolicyError(
                f"{server.name} was changed by another command meanwhile", "Look at it, and try again."
            )
        if begins and server.joining.exists():
            server.joining.unlink()  # it has a password; the join was killed at its very end
        yield


def require_settled(server: Server) -> None:
    """PolicyError while a switch of versions is under way: what is written now may be taken back."""
    words = unsettled(server)
    if words == _LEFT:
        raise PolicyError(f"{server.name} {_LEFT}", way_out(server))
    if words:
        raise PolicyError(
            f"{server.name} {words}", "Wait for the command that is at work, or run: galaxy recover"
        )


def way_out(server: Server) -> str:
    """What to do about a change of it that was interrupted; without its journal entry nothing can settle that."""
    if mentioned(server.store, server.name):
        return "Run: galaxy recover"
    return (
        "Look at it first: its journal entry is gone, so nothing knows how to go on or back, and its state may be "
        f"half changed (to see what there is to go back to: galaxy snapshots {server.name}); "
        f"then remove {server.pending}, and it can be used again."
    )


def unsettled(server: Server) -> str:
    """Of a server that is between two versions or states: what is at work on it, or was; '' of any other."""
    if not server.pending.exists():
        return ""
    who = at_work(server.store, server.lock)
    return f"is being changed by {who}" if who else _LEFT


def start(server: Server, settings: Settings) -> Readiness:
    """Start a server and wait until it is ready; returns the seconds that each service took.

    InputError when it runs already, ServerError when one of its databases is damaged, or with the log's own reason
    when it does not come up; then it is stopped again and nothing is left.
    """
    with held(server):
        require_stopped(server)
        require_unchanged_image(server)
        require_sound(server)
        return start_held(server, settings)


def stop(server: Server, settings: Settings) -> float:
    """Stop a server: SIGTERM, `stop_timeout` seconds, SIGKILL with a word; returns the seconds it took.

    Of one that has ended by itself only what it left is cleared. InputError when it was stopped already.
    """
    with held(server, begins=False):
        require_begun(server, "There is nothing to stop.")
        return stop_held(server, settings)


def kill(server: Server) -> None:
    """SIGKILL everything that the server runs, as a power cut would; its files stay as they are."""
    require_running(server)
    kill_if_running(server)


def kill_if_running(server: Server) -> None:
    """As `kill`, of a server that may be ending by itself just now: it is no error that nothing runs."""
    process = running.alive(server)
    # The kernel kills the rest of a PID namespace with its first process (pid_namespaces(7)).
    if process is not None and not running.end(process, signal.SIGKILL, _KILL_SECONDS):
        raise ServerError(f"{server.name} outlived SIGKILL", "A process hangs in the kernel; see: dmesg")


def remove(server: Server, settings: Settings, *, force: bool = False, former: Server | None = None) -> None:
    """Remove a server with everything it holds. InputError while it runs, unless `force`; HostError for a mount in it.

    `former` is what the server was before somebody renamed its folder: its network has its name from that.
    """
    with locked(server.store, server.lock):
        require_no_mount(server.folder, f"{server.name} cannot be removed")
        if running.alive(server):
            if not force:
                raise InputError(
                    f"{server.name} is running", f"Stop it first: galaxy stop {server.name}, or use --force."
                )
            stop_held(server, settings)
        clear(server)
        if former is not None:
            clear(former)
        with journal(server.store, "remove", server.name, freeing=True) as entry:
            entry.on_failure("tree", server.folder)  # once begun, an interruption finishes it
            try:
                (server.folder / CONFIG).unlink(missing_ok=True)  # its loss may be why it is removed
                shutil.rmtree(server.folder)
            except InterruptedByUser as wish:
                wish.hint = f"{server.name} is removed all the same: what is half gone is of no use"
                raise


def status(server: Server) -> Status:
    """What the server is doing, without asking it anything."""
    record = running.recorded(server)
    if record is None:
        return Status(name=server.name, state="stopped")
    if record.alive:
        count = len(running.processes(record))
        return Status(name=server.name, state="running", since=record.since, pid=record.pid, processes=count)
    return Status(name=server.name, state="ended", why=_why_ended(record), since=record.since)


def require_running(server: Server) -> running.Running:
    """The server's process; InputError when there is none."""
    process = running.alive(server)
    if process is None:
        raise InputError(f"{server.name} is not running", f"Start it: galaxy start {server.name}")
    return process


def require_begun(server: Server, hint: str) -> None:
    """InputError when the server was never started, or stopped since: it neither runs nor has it ended."""
    if running.recorded(server) is None:
        raise InputError(f"{server.name} is not running", hint)


def require_stopped(server: Server) -> None:
    """InputError when the server runs."""
    if process := running.alive(server):
        raise InputError(
            f"{server.name} is running already, since {process.since}",
            f"To stop it: galaxy stop {server.name}",
        )


def clear(server: Server) -> None:
    """Forget a server's last run: its container, its network, its record. It must not be running."""
    clear_but_network(server)
    take_down(server)


def clear_but_network(server: Server) -> None:
    """As `clear`, for a server that starts again at once in the network that it has, and in which clients wait."""
    delete(server)
    server.record.unlink(missing_ok=True)


def stop_quickly(server: Server, settings: Settings) -> float:
    """Stop a running server that starts again at once; returns the seconds. The caller holds the lock.

    Its network stays, and what holds clients back in it; so does its container, which the next start takes over.

    A process of Samba's that gets SIGTERM ends only once it has done what it is at, be it a search through the whole
    domain or a run of the KCC, and then takes its memory apart piece by piece. So here nobody is asked: the databases
    are closed to writers, and then everything is killed, between two writes.

    What is lost by that is what SIGTERM loses too: requests that have not been answered. Every transaction has
    either ended, and is in its file, or has not begun: whoever waits for its turn dies waiting, and its client was
    promised nothing. No database has anything to recover. That is more than a kill at any moment would leave, which
    Samba's databases are made for and the gate's kills prove (a commit over several partitions may then be half
    there). What a process keeps outside databases is of its own run (/run is a tmpfs), or made anew.

    When something writes for longer than `_WRITES_SECONDS`, the server gets its SIGTERM and its time.
    """
    began = time.monotonic()
    try:
        with writers_held(server, _WRITES_SECONDS):
            kill_if_running(server)
    except ServerError:
        _end(server, settings)
    server.record.unlink(missing_ok=True)
    return time.monotonic() - began


@undoes("server")
def _remove_by_name(target: str) -> None:
    """Remove a server by `store root:name`, running or not; nothing happens when there is none."""
    server = server_of(target)
    if server is not None:
        remove(server, Settings(stop_timeout=_UNDO_SECONDS), force=True)


def start_held(
    server: Server,
    settings: Settings,
    *,
    in_network: bool = False,
    answered: Callable[[str], None] = lambda _service: None,
) -> Readiness:
    """As `start`, by a caller that holds the lock and knows that the server does not run.

    `in_network`: the server's network is there already. `answered` is told of each service that answers, from any
    thread.
    """
    before = marks(server)
    with _launched(server, settings, in_network=in_network) as (process, began):
        return wait_ready(
            server,
            settings.ready_timeout,
            process,
            began=began,
            since=before,
            answered=answered,
        )


def start_unasked(server: Server, settings: Settings, *, in_network: bool) -> None:
    """As `start_held`, of a server that did not answer well before either: nobody waits for it to."""
    with _launched(server, settings, in_network=in_network):
        pass


@contextmanager
def _launched(
    server: Server, settings: Settings, *, in_network: bool
) -> Iterator[tuple[running.Running, float]]:
    """The server's process, and when it began; an error in the block ends it, and undoes what was made for it."""
    if server.record.exists():  # it died, or the host did
        (clear_but_network if in_network else clear)(server)
    require_whole(server)
    with journal(server.store, "start", server.name) as entry:
        if not in_network:
            bring_up(entry, server)
        args = (INIT, "-t", f"{settings.stop_timeout:g}", *_SAMBA, *samba_options(server))
        bundle = write_bundle(server, sandbox(server, rootfs_of(server), args, joined(server)))
        entry.on_failure("tree", server.record)
        entry.on_failure("container", handle(server))
        forget(server)
        began = time.monotonic()
        yield running.note(server, launch(server, bundle)), began


def stop_held(server: Server, settings: Settings) -> float:
    """As `stop`, by a caller that holds the lock."""
    began = time.monotonic()
    _end(server, settings)
    took = time.monotonic() - began
    clear(server)
    return took


def _end(server: Server, settings: Settings) -> None:
    """SIGTERM to a server that may run, and SIGKILL when it has not ended in time."""
    process = running.alive(server)
    if process is not None and not running.end(process, signal.SIGTERM, settings.stop_timeout):
        say(f"{server.name} did not stop within {settings.stop_timeout:g} s: killing it")
        kill_if_running(server)


def _why_ended(record: running.Running) -> str:
    boot = record.identity.rpartition(":")[2]
    now = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return "the host was restarted" if boot and boot != now else "it ended by itself or was killed"

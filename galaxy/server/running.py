"""Which process runs a server: written down at the start, believed only while that very process lives.

What is written down names its container too: in a folder that was copied from a running server's it is of another. And
a folder that was put in the place of a running server's says nothing of it: then the OCI runtime is asked.
"""

import json
import os
import select
import signal
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from galaxy.host.files import write_atomic
from galaxy.host.process import process_identity
from galaxy.server.config import Server

SAMBA = "/usr/sbin/samba"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """The first process of a started server, as the host sees it, and since when."""

    pid: int
    identity: str
    since: str
    container: str

    @property
    def alive(self) -> bool:
        """Whether that process, and no later one of the same number, is there.

        One that had ended before it was noted has no identity, and is as dead as all others without one.
        """
        return self.identity != "" and process_identity(self.pid) == self.identity


def note(server: Server, pid: int) -> Running:
    """Write down that the server runs as process `pid`."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    running = Running(pid=pid, identity=process_identity(pid), since=now, container=server.container)
    write_atomic(server.record, json.dumps(asdict(running)), 0o600)
    return running


def recorded(server: Server) -> Running | None:
    """What runs, or was written down at the last start, alive or not; None after a stop.

    What cannot be read names no process, and counts as ended: whatever runs ends with its container.
    """
    written = _written(server)
    return written if written is not None and written.alive else _by_runtime(server) or written


def alive(server: Server) -> Running | None:
    """The running server's process; None when it is stopped or has died."""
    running = recorded(server)
    return running if running is not None and running.alive else None


def _written(server: Server) -> Running | None:
    nothing = Running(pid=0, identity="", since="", container=server.container)
    try:
        written = Running(**json.loads(server.record.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError):
        return nothing
    return written if written.container == server.container else nothing


def _by_runtime(server: Server) -> Running | None:
    """The Samba that the OCI runtime has in the server's container; None when there is none."""
    try:
        state = json.loads(
            (server.runtime_root / server.container / "state.json").read_text(encoding="utf-8")
        )
        pid, began = int(state["init_process_pid"]), str(state["init_process_start"])
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, KeyError, TypeError, ValueError):
        return None
    identity = process_identity(pid)
    # Other programs run in that container too, a provision say, while the server does not.
    if SAMBA.encode() not in argv or identity.split(":")[1:2] != [began]:
        return None
    since = f"{str(state.get('created', ''))[:19]}+00:00"
    return Running(pid=pid, identity=identity, since=since, container=server.container)


def end(running: Running, sign: signal.Signals, wait: float) -> bool:
    """Send a signal to exactly that process and wait for its end; True when it has ended in time (seconds)."""
    try:
        handle = os.pidfd_open(running.pid)
    except ProcessLookupError:
        return True
    try:
        if not running.alive:
            return True
        signal.pidfd_send_signal(handle, sign)
        waiter = select.poll()
        waiter.register(handle, select.POLLIN)
        return bool(waiter.poll(wait * 1000))
    except ProcessLookupError:
        return True
    finally:
        os.close(handle)


def processes(running: Running, proc: Path = Path("/proc")) -> list[int]:
    """All processes of the server, by its PID namespace, as the host sees them."""
    own = _namespace(proc, running.pid)
    return sorted(pid for pid in _pids(proc) if own and _namespace(proc, pid) == own)


def _pids(proc: Path) -> list[int]:
    return [int(folder.name) for folder in proc.iterdir() if folder.name.isdigit()]


def _namespace(proc: Path, pid: int) -> str:
    try:
        return str((proc / str(pid) / "ns" / "pid").readlink())
    except OSError:
        return ""

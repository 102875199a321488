"""One command of galaxy in a process of its own that may die at any moment, started in milliseconds by forking."""

import os
import select
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# Longer than any single command here on a busy machine; a process that hangs is a finding.
_DEADLINE = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a forked command ended: killed, with 0 (done) or 1 (an error, told in its log), after so many seconds."""

    killed: bool
    code: int
    seconds: float


def forked(work: Callable[[], None], *, log: Path, kill_after: float = _DEADLINE) -> Ended:
    """Do `work` in a forked process, which gets SIGKILL after some seconds unless it has ended before."""
    began = time.monotonic()
    with warnings.catch_warnings():
        # Threads of clients that have ended their work may linger; the child waits for none of them.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        _work(work, log)
    handle = os.pidfd_open(pid)
    try:
        waiter = select.poll()
        waiter.register(handle, select.POLLIN)
        if not waiter.poll(kill_after * 1000):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(handle)
    seconds = time.monotonic() - began
    if seconds > _DEADLINE:
        raise TimeoutError(f"the command did not end within {_DEADLINE:g} s; see {log}")
    return Ended(killed=os.WIFSIGNALED(status), code=os.waitstatus_to_exitcode(status), seconds=seconds)


def _work(work: Callable[[], None], log: Path) -> None:
    """The child: streams to the log, no way back into the parent's code."""
    code = 1
    try:
        sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(sink, 1)
        os.dup2(sink, 2)
        work()
        code = 0
    except SystemExit:
        pass  # it has said why
    except BaseException:  # noqa: BLE001 - told in the log; nothing may escape into the parent's frames
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def die() -> None:
    """SIGKILL to this very process."""
    os.kill(os.getpid(), signal.SIGKILL)

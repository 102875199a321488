"""How the processes of a run end: with the one that started them, and so that everything unwinds."""

import ctypes
import os
import signal
from pathlib import Path
from types import FrameType

# A DC's proportional share of memory while it is checked, with room for its worker.
_SERVER_BYTES = 350 * 1024 * 1024
_PR_SET_PDEATHSIG = 1


def end_with_parent() -> None:
    """Take SIGTERM, now or when the parent dies, as an interrupt that unwinds; a second one does nothing."""
    parent = os.getppid()
    signal.signal(signal.SIGTERM, _interrupt)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        raise KeyboardInterrupt


def memory_for_servers() -> int:
    """How many servers fit into the memory that is available now (proc(5), meminfo)."""
    lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    available = next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    return max(1, available * 1024 // _SERVER_BYTES)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    # A handler rather than SIG_IGN: what teardown starts must not inherit deafness.
    signal.signal(signal.SIGTERM, lambda _number, _frame: None)
    raise KeyboardInterrupt

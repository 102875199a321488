"""Single processes of a running server: found by the titles that Samba gives them, killed, and waited for."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

from galaxy.server.probes import PROBES, NoAnswerError
from galaxy.server.running import processes, recorded
from scenarios.world import World

# A pre-fork master restarts a worker at once, after repeated deaths with a delay (smb.conf, prefork backoff).
_BACK_SECONDS = 20.0
_EVERY = 0.02
_PROBE_OF = {"ldap": "ldap", "kdc": "kerberos"}


def workers(world: World, service: str) -> frozenset[int]:
    """The pre-forked workers of a service, as the host sees them."""
    record = recorded(world.dc)
    assert record is not None, "the server is not running"
    title = f"task[{service}] pre-forked worker"
    return frozenset(pid for pid in processes(record) if title in _title(pid))


def kill_worker(world: World, service: str) -> frozenset[int]:
    """SIGKILL one worker of a service; returns the workers that there were."""
    before = workers(world, service)
    assert before, f"no worker of {service} is running"
    os.kill(min(before), signal.SIGKILL)
    return before


def wait_for_worker(world: World, service: str, before: frozenset[int]) -> float:
    """Wait until the service has as many workers as before, one of them new, and answers; returns the seconds."""
    began = time.monotonic()
    while not _recovered(world, service, before):
        now = workers(world, service)
        assert time.monotonic() - began < _BACK_SECONDS, (
            f"{service} has {len(now)} of {len(before)} workers {_BACK_SECONDS:g} s after one was killed"
        )
        time.sleep(_EVERY)
    return time.monotonic() - began


def _recovered(world: World, service: str, before: frozenset[int]) -> bool:
    now = workers(world, service)
    if len(now) < len(before) or not now - before:
        return False
    with suppress(OSError, NoAnswerError, ValueError):
        PROBES[_PROBE_OF[service]](world.dc.config)
        return True
    return False


def _title(pid: int) -> str:
    """A process's title; '' when it has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""

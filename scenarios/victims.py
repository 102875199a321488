"""Single processes of a running server: found by the names that Samba gives them, killed, and waited for."""

import os
import re
import signal
import time
from contextlib import suppress
from pathlib import Path

from galaxy.server.probes import PROBES
from galaxy.server.questions import NoAnswerError
from galaxy.server.running import processes, recorded
from scenarios.world import World
from verify.clients.waiting import within

# A pre-fork master restarts a worker at once, after repeated deaths with a delay (smb.conf, prefork backoff).
_BACK_SECONDS = 20.0
_PROBE_OF = {"ldap": "ldap", "kdc": "kerberos"}


def workers(world: World, service: str) -> frozenset[int]:
    """The pre-forked workers of a service, as the host sees them."""
    record = recorded(world.dc)
    assert record is not None, "the server is not running"
    # As in prctl_set_comment("%s(%d)") of source4/samba/process_prefork.c. The longer title that ps shows is there
    # only in builds with libbsd.
    name = re.compile(rf"{service}\(\d+\)")
    return frozenset(pid for pid in processes(record) if name.fullmatch(_name(pid)))


def kill_worker(world: World, service: str) -> frozenset[int]:
    """SIGKILL one worker of a service; returns the workers that there were."""
    before = workers(world, service)
    assert before, f"no worker of {service} is running"
    os.kill(min(before), signal.SIGKILL)
    return before


def wait_for_worker(world: World, service: str, before: frozenset[int]) -> float:
    """Wait until the service has as many workers as before, one of them new, and answers; returns the seconds."""
    began = time.monotonic()
    back = within(_BACK_SECONDS, lambda: _recovered(world, service, before))
    now = workers(world, service)
    assert back, f"{service} has {len(now)} of {len(before)} workers {_BACK_SECONDS:g} s after one was killed"
    return time.monotonic() - began


def _recovered(world: World, service: str, before: frozenset[int]) -> bool:
    now = workers(world, service)
    if len(now) < len(before) or not now - before:
        return False
    with suppress(OSError, NoAnswerError, ValueError):
        PROBES[_PROBE_OF[service]](world.dc.config)
        return True
    return False


def _name(pid: int) -> str:
    """A process's name (proc(5), comm; at most 15 characters); '' when it has gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").rstrip("\n")
    except OSError:
        return ""

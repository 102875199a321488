"""What confinement costs: a server started by Galaxy against the same binaries in a bare chroot, in one run.

    python benchmarks/server.py NAME [ROUNDS]

NAME is a stopped server. Rounds alternate, so that a busy machine slows both. Prints medians and their ratios.
"""

import json
import os
import signal
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from galaxy.host.journal import process_identity
from galaxy.host.process import background, run
from galaxy.host.settings import Settings, load_settings
from galaxy.host.store import default_store
from galaxy.server import lifecycle, running
from galaxy.server.config import Server, load
from galaxy.server.network import namespace_of
from galaxy.server.ready import wait_ready
from galaxy.server.rootfs import rootfs_of
from galaxy.server.sandbox import FOLDERS, HOST_FILES

_SAMBA = "/usr/sbin/samba --foreground --no-process-group"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Seconds from the start to the last service's answer, MiB of proportional memory then, seconds to stop."""

    ready: float
    pss: float
    stop: float


def measure(server: Server, settings: Settings, rounds: int) -> dict[str, dict[str, float]]:
    """Medians of both ways, and galaxy / bare."""
    confined_once(server, settings)  # the first start after a creation does more
    pairs = [(confined_once(server, settings), bare_once(server, settings)) for _ in range(rounds)]
    galaxy, bare = (_median([asdict(pair[side]) for pair in pairs]) for side in (0, 1))
    return {
        "galaxy": galaxy,
        "bare": bare,
        "ratio": {key: round(galaxy[key] / bare[key], 3) for key in galaxy},
    }


def confined_once(server: Server, settings: Settings) -> Measure:
    """One start and stop by Galaxy."""
    ready = lifecycle.start(server, settings)
    process = lifecycle.require_running(server)
    pss = _pss(process)
    return Measure(ready=ready.all, pss=pss, stop=lifecycle.stop(server, settings))


def bare_once(server: Server, settings: Settings) -> Measure:
    """One start and stop in a chroot: mounts are made before the clock starts."""
    with _chroot(server) as (go, pid):
        began = time.monotonic()
        go.write_text("go\n", encoding="utf-8")
        process = running.Running(pid=pid, identity=process_identity(pid), since="")
        ready = wait_ready(server, settings.ready_timeout, alive=lambda: process.alive, began=began)
        pss = _pss(process)
        stopping = time.monotonic()
        assert running.end(process, signal.SIGTERM, settings.stop_timeout)
        return Measure(ready=ready.all, pss=pss, stop=time.monotonic() - stopping)


@contextmanager
def _chroot(server: Server) -> Iterator[tuple[Path, int]]:
    """A shell that has made the mounts and waits for a word to become samba; its process id on the host."""
    root = rootfs_of(server)
    go = server.folder / "go"
    os.mkfifo(go)
    binds = [(server.folder / source, f"{root}{place}") for place, source in FOLDERS.items()]
    binds += [(server.etc_host / name, f"{root}/etc/{name}") for name in HOST_FILES]
    lines = [f"mount --bind {source} {place}" for source, place in binds]
    lines += [f"mount -t tmpfs tmpfs {root}{place}" for place in ("/run", "/tmp", "/var/lock")]  # noqa: S108 - inside
    lines += [f"mount -t proc proc {root}/proc", f"mount --rbind /dev {root}/dev"]
    script = "set -e; " + "; ".join(lines) + f"; read word <{go}; exec chroot {root} {_SAMBA}"
    network = [f"--net={namespace_of(server)}"] if namespace_of(server) else []
    argv = ["nsenter", *network, "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", script]
    try:
        with background(argv, log=server.log / "console.log") as process:
            yield go, _child(process.pid)
    finally:
        go.unlink()


def _child(pid: int) -> int:
    """The only child of a process, once it is there."""
    deadline = time.monotonic() + 10
    while not (found := run(["pgrep", "-P", str(pid)], check=False).stdout.split()):
        assert time.monotonic() < deadline, "the chroot's shell did not come up"
        time.sleep(0.01)
    return int(found[0])


def _pss(process: running.Running) -> float:
    """MiB of memory of all processes, shared pages divided among those who share them (proc(5), smaps_rollup)."""
    total = 0
    for pid in running.processes(process):
        with suppress(
            ProcessLookupError, FileNotFoundError
        ):  # helpers of a DC that has just started come and go
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
            total += next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total / 1024


def _median(rows: list[dict[str, float]]) -> dict[str, float]:
    return {key: round(statistics.median(row[key] for row in rows), 3) for key in rows[0]}


if __name__ == "__main__":
    name, rounds = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 5
    print(json.dumps(measure(load(default_store(), name), load_settings(), rounds), indent=2))

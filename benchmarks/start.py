"""A server's start to ready, and its memory, against the same binaries and state in a bare chroot."""

import time
from pathlib import Path

from benchmarks.bare import bare_start
from benchmarks.figure import Figure, figure
from galaxy.host.journal import Entry, journal
from galaxy.host.netns import add_namespace, path_of
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.server.config import NamespaceNetwork, Server
from galaxy.server.create import CreateRequest, create
from galaxy.server.lifecycle import remove, require_running, start, stop
from galaxy.server.running import Running, processes

_NETWORK = "galaxy-bench"
# Loopback addresses need no link, and the namespace keeps them from the host's own services.
_ADDRESS = "127.0.0.1"
# Seconds: how long nothing must change, at most to wait for that, and between two looks.
_QUIET, _SETTLES, _LOOKS = 2.0, 20.0, 0.1


def measure(store: Store, settings: Settings, image: Image, rounds: int = 5) -> tuple[Figure, ...]:
    """Seconds to ready and MiB of proportional set size: medians, galaxy and bare in turns."""
    with journal(store, "benchmark", "start") as entry, entry.temporarily("netns", _NETWORK):
        add_namespace(_NETWORK)
        server = _server(store, settings, image, entry)
        _galaxy(server, settings)  # the first start makes keys, the second fills caches; no later one does
        _bare(server, settings)
        pairs = [(_galaxy(server, settings), _bare(server, settings)) for _ in range(rounds)]
        remove(server, settings, force=True)
    ready, pss = ([(galaxy[part], bare[part]) for galaxy, bare in pairs] for part in (0, 1))
    return (
        _paired("start to ready vs bare chroot", "s", 1.1, ready),
        _paired("PSS vs bare chroot", "MiB", 1.05, pss),
    )


def _paired(name: str, unit: str, goal: float, pairs: list[tuple[float, float]]) -> Figure:
    return figure(name, unit, goal, [one for one, _ in pairs], [other for _, other in pairs])


def _server(store: Store, settings: Settings, image: Image, entry: Entry) -> Server:
    entry.on_failure("server", f"{store.root}:bench1")
    request = CreateRequest(
        name="bench1",
        image=image.id,
        realm="BENCH.TEST",
        address=_ADDRESS,
        network=NamespaceNetwork(path=path_of(_NETWORK)),
    )
    return create(store, settings, request)


def _galaxy(server: Server, settings: Settings) -> tuple[float, float]:
    ready = start(server, settings)
    pss = _pss(require_running(server))
    stop(server, settings)
    return ready.all, pss


def _bare(server: Server, settings: Settings) -> tuple[float, float]:
    with bare_start(server, settings) as (process, ready):
        return ready.all, _pss(process)


def _pss(running: Running) -> float:
    """MiB of proportional set size over all processes of a settled server (proc(5), smaps_rollup)."""
    _settle(running)
    return sum(map(_pss_of, processes(running))) / 1024


def _settle(running: Running) -> None:
    """Wait until no process has come or gone for a while: ready, a DC still starts workers and runs helpers."""
    deadline = time.monotonic() + _SETTLES
    seen, since = processes(running), time.monotonic()
    while time.monotonic() < min(since + _QUIET, deadline):
        time.sleep(_LOOKS)
        if (now := processes(running)) != seen:
            seen, since = now, time.monotonic()


def _pss_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # a worker that has ended since the list was made
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

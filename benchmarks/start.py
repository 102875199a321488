"""A server's start to ready, and its memory, against the same binaries and state in a bare chroot."""

import tempfile
import time
from pathlib import Path

from benchmarks.figure import Figure, figure
from galaxy.host.journal import Entry, journal
from galaxy.host.netns import add_namespace, path_of
from galaxy.host.process import background
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.server.config import NamespaceNetwork, Server
from galaxy.server.create import CreateRequest, create
from galaxy.server.lifecycle import remove, require_running, start, stop
from galaxy.server.ready import wait_ready
from galaxy.server.rootfs import rootfs_of
from galaxy.server.running import Running, note, processes

_TIMES = 3
_NETWORK = "galaxy-bench"
# Loopback addresses need no link, and the namespace keeps them from the host's own services.
_ADDRESS = "127.0.0.1"
_SCRIPT = """
root=$1 server=$2
for pair in etc:etc/samba state:var/lib/samba cache:var/cache/samba log:var/log/samba; do
    mount --bind "$server/${pair%%:*}" "$root/${pair#*:}"
done
for name in resolv.conf krb5.conf hosts hostname; do mount --bind "$server/etc-host/$name" "$root/etc/$name"; done
cat "$server/etc-host/hostname" >/proc/sys/kernel/hostname
mount --rbind /dev "$root/dev"; mount -t proc proc "$root/proc"
for place in run tmp; do mount -t tmpfs tmpfs "$root/$place"; done
mkdir -p "$root/run/samba" "$root/run/lock"
exec chroot "$root" /usr/sbin/samba --foreground --no-process-group
"""


def measure(store: Store, settings: Settings, image: Image) -> tuple[Figure, Figure]:
    """Seconds to ready and MiB of proportional set size, medians of three, galaxy and bare in turns."""
    with journal(store, "benchmark", "start") as entry, entry.temporarily("netns", _NETWORK):
        add_namespace(_NETWORK)
        server = _server(store, settings, image, entry)
        start(server, settings)  # the first start makes keys; no later one does
        stop(server, settings)
        galaxy, bare = [], []
        for _ in range(_TIMES):
            galaxy.append(_galaxy(server, settings))
            bare.append(_bare(server, settings))
        remove(server, settings, force=True)
    return (
        figure(
            "start to ready vs bare chroot",
            "s",
            1.1,
            [ready for ready, _ in galaxy],
            [ready for ready, _ in bare],
        ),
        figure("PSS vs bare chroot", "MiB", 1.05, [pss for _, pss in galaxy], [pss for _, pss in bare]),
    )


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
    root = rootfs_of(server)
    namespaces = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    argv = ["nsenter", f"--net={path_of(_NETWORK)}", "unshare", *namespaces]
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        words: list[str | Path] = [*argv, "sh", "-ec", _SCRIPT, "sh", root, server.folder]
        with background(words, log=Path(folder) / "log") as process:
            ready = wait_ready(
                server, settings.ready_timeout, alive=lambda: process.poll() is None, began=began
            )
            return ready.all, _pss(_first_child(server, process.pid))


def _first_child(server: Server, pid: int) -> Running:
    """The first process of the bare server's PID namespace: the child of `unshare`."""
    child = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="utf-8").split()[0]
    running = note(server, int(child))
    server.record.unlink()
    return running


def _pss(running: Running) -> float:
    """MiB of proportional set size over all processes of a server (proc(5), smaps_rollup)."""
    return sum(map(_pss_of, processes(running))) / 1024


def _pss_of(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # a worker that has ended since the list was made
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))

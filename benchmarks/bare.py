"""The bare thing that a server is held against: the same binaries and state in a chroot, nothing between.

Everything that decides how fast a DC starts is the same on both sides: image, state, smb.conf, the files of /etc,
host name, environment, open files, network namespace, the kernel's weight for all its processes together, and a
clean stop before. The mounts are made before the clock starts. What Galaxy adds to Samba's command line is Galaxy's.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from galaxy.host.process import background, process_identity
from galaxy.host.settings import Settings
from galaxy.server.config import Server
from galaxy.server.container import sandbox
from galaxy.server.network import joined, namespace_of
from galaxy.server.provision import INIT
from galaxy.server.ready import Readiness, wait_ready
from galaxy.server.rootfs import rootfs_of
from galaxy.server.running import Running, end
from galaxy.server.sandbox import FOLDERS, HOST_FILES, INSIDE_ENV, Sandbox

_CGROUPS = Path("/sys/fs/cgroup")
_COMES_UP = 10.0
# The last line but one waits for a word. PID 1 becomes samba, as its own child would be no more bare; where the stop
# counts it is the images' own init, which gives all processes SIGTERM and waits for the last, as systemd does with a
# service: the kernel would kill the others with samba.
_ENTER = """\
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
for place in run tmp var/lock; do mount -t tmpfs tmpfs "$root/$place"; done
cat "$root/etc/hostname" >/proc/sys/kernel/hostname
echo 0 >"$cgroup/cgroup.procs"
ulimit -n "$files"
ulimit -c 0
read word <"$go"
exec env -i "$@" chroot "$root" $first /usr/sbin/samba --foreground --no-process-group
"""


@contextmanager
def bare_start(server: Server, settings: Settings) -> Iterator[tuple[Running, Readiness]]:
    """The server's first process and what its services took, once they answer; it is stopped after the block."""
    with _waiting(server) as (process, go):
        yield process, _go(server, settings, process, go)
        assert end(process, signal.SIGTERM, settings.stop_timeout), "the bare server did not stop"


@contextmanager
def bare_restarts(server: Server, settings: Settings) -> Iterator[Callable[[], Readiness]]:
    """A bare server that runs; calling what is given stops it with SIGTERM to all and starts the next, once."""
    with _waiting(server, "one", INIT) as (first, go), _waiting(server, "two", INIT) as (second, then):
        _go(server, settings, first, go)

        def restart() -> Readiness:
            assert end(first, signal.SIGTERM, settings.stop_timeout), "the bare server did not stop"
            return _go(server, settings, second, then)

        yield restart
        assert end(second, signal.SIGTERM, settings.stop_timeout), "the bare server did not stop"


def _go(server: Server, settings: Settings, process: Running, go: Path) -> Readiness:
    began = time.monotonic()
    go.write_text("go\n", encoding="utf-8")
    return wait_ready(server, settings.ready_timeout, process, began=began)


@contextmanager
def _waiting(server: Server, name: str = "bare", first: str = "") -> Iterator[tuple[Running, Path]]:
    """A process that becomes samba, or `first` with samba as its child, when a word is written into the pipe."""
    box = sandbox(server, rootfs_of(server), (), joined(server))
    go = server.folder / f"go-{name}"
    with _cgroup(f"{server.container}-{name}", box) as cgroup:
        os.mkfifo(go)
        try:
            with background(_argv(server, box, cgroup, go, first), log=server.log / "bare.log") as outer:
                yield _first_child(outer.pid), go
        finally:
            go.unlink()


def _argv(server: Server, box: Sandbox, cgroup: Path, go: Path, first: str) -> list[str | Path]:
    binds = [(server.folder / source, f"{box.rootfs}{place}") for place, source in FOLDERS.items()]
    binds += [
        (server.etc_host / name, f"{box.rootfs}{place}")
        for place, name in HOST_FILES.items()
        if place.startswith("/etc/")
    ]
    mounts = "".join(f"mount --bind '{source}' '{place}'\n" for source, place in binds)
    namespaces = ["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--propagation", "private"]
    network = [f"--net={path}"] if (path := namespace_of(server)) else []
    files = min(box.files, 65536)
    given = f"root={box.rootfs} cgroup={cgroup} files={files} go='{go}' first={first}\n"
    script = given + mounts + _ENTER
    return ["nsenter", *network, "unshare", *namespaces, "sh", "-ec", script, "sh", *INSIDE_ENV]


@contextmanager
def _cgroup(name: str, box: Sandbox) -> Iterator[Path]:
    """A control group with the weight of the server's own; outside one, a session's processes weigh as one task.

    Not in the journal: an empty group does nothing, and the next benchmark takes it over.
    """
    unified = box.cpu_shares is None
    group = (_CGROUPS if unified else _CGROUPS / "cpu") / name
    group.mkdir(exist_ok=True)
    if box.cpu_shares is not None:
        (group / "cpu.shares").write_text(str(box.cpu_shares), encoding="utf-8")
    try:
        yield group
    finally:
        _remove(group)


def _remove(group: Path) -> None:
    """The kernel keeps a group for the moment that its last process takes to be gone."""
    deadline = time.monotonic() + _COMES_UP
    while group.exists() and time.monotonic() < deadline:
        with suppress(OSError):
            group.rmdir()
        time.sleep(0.01)


def _first_child(pid: int) -> Running:
    """The first process of the PID namespace: the child of `unshare`, once it is there. It has no container."""
    deadline = time.monotonic() + _COMES_UP
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while not (found := children.read_text(encoding="utf-8").split()):
        assert time.monotonic() < deadline, "the chroot's shell did not come up"
        time.sleep(0.01)
    child = int(found[0])
    return Running(pid=child, identity=process_identity(child), since="", container="")

"""The server from the outside: its processes, sockets, files and confinement, as the host that runs it sees them.

An image has no tools to look around with, so testinfra runs this host's own, in the server's namespaces.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host

from galaxy.host.process import run
from verify.check import NotApplicable
from verify.target import Target

# Where a server's root is, seen from a /proc of its PID namespace.
ROOT = "/proc/1/root"
_PROC = Path("/proc")


class NamespaceBackend(BaseBackend):  # type: ignore[misc] # testinfra is untyped for mypy here
    """Commands of this host with the network, processes, names and queues of the server, and a /proc that fits."""

    NAME = "namespace"

    def __init__(self, pid: int, **options: Any) -> None:
        super().__init__(hostname=str(pid), **options)
        self._enter = ("nsenter", "--target", str(pid), "--net", "--pid", "--uts", "--ipc", "--")

    def run(self, command: str, *args: str, **_more: Any) -> CommandResult:
        """Run a shell command to its end."""
        line = self.get_command(command, *args)
        argv = [*self._enter, "unshare", "--mount", "--mount-proc", "sh", "-c", line]
        done = run(argv, timeout=20, check=False)
        return self.result(done.returncode, line, done.stdout, done.stderr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process of the server: its name as the kernel has it (15 letters), and /proc/PID/status by field."""

    name: str
    status: dict[str, str]
    core_limit: str

    def capabilities(self, kind: str) -> int:
        """A capability set (CapBnd, CapEff, ...) as bits (capabilities(7))."""
        return int(self.status[kind], 16)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """A socket that takes connections or datagrams."""

    protocol: str
    address: str
    port: int
    users: str


class Inside:
    """A running server on this host, by its first process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.host = Host(NamespaceBackend(pid))

    def namespace(self, kind: str) -> str:
        """The server's namespace of this kind (namespaces(7)), like pid:[4026532585]."""
        return _namespace(self.pid, kind)

    def processes(self) -> list[Process]:
        """Every process in the server's PID and mount namespaces; those that look at it are not among them."""
        own = (self.namespace("pid"), self.namespace("mnt"))
        return [
            process
            for folder in _PROC.iterdir()
            if folder.name.isdigit()
            and (_namespace(int(folder.name), "pid"), _namespace(int(folder.name), "mnt")) == own
            and (process := _process(folder)) is not None
        ]

    def listeners(self) -> list[Listener]:
        """The sockets of the server's own processes that wait for others, TCP and UDP."""
        done = self.host.run("ss --no-header --listening --tcp --udp --numeric --processes")
        assert done.rc == 0, f"ss: {done.stderr}"
        return list(_listeners(done.stdout))

    def mounts(self) -> dict[str, set[str]]:
        """The server's mount points and their options (proc(5), mountinfo)."""
        lines = (_PROC / str(self.pid) / "mountinfo").read_text(encoding="utf-8").splitlines()
        fields = (line.split(" ") for line in lines)
        return {words[4]: set(words[5].split(",")) for words in fields}


def inside(target: Target) -> Inside:
    """The target from the outside; not applicable to one that does not run on this host under Galaxy."""
    if target.pid is None:
        raise NotApplicable("needs a server that runs on this host, in namespaces of its own")
    return Inside(target.pid)


def _namespace(pid: int, kind: str) -> str:
    try:
        return str((_PROC / str(pid) / "ns" / kind).readlink())
    except OSError:
        return ""


def _process(folder: Path) -> Process | None:
    """A process by its folder in /proc; None when it has just ended, or has ended and was not yet waited for."""
    try:
        lines = (folder / "status").read_text(encoding="utf-8").splitlines()
        limits = (folder / "limits").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return None
    status = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if status["State"].startswith("Z"):
        return None
    core = next(line.split()[4] for line in limits if line.startswith("Max core file size"))
    return Process(name=status["Name"], status=status, core_limit=core)


def _listeners(output: str) -> Iterator[Listener]:
    """Lines of ss(8): protocol, state, two queues, local and peer address, users. Those without users are others'."""
    for line in output.splitlines():
        words = line.split()
        if len(words) < 7:
            continue
        address, _, port = words[4].rpartition(":")
        yield Listener(
            protocol=words[0], address=address.strip("[]").partition("%")[0], port=int(port), users=words[6]
        )

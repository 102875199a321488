"""How a server is confined: the OCI bundle's config.json, from values to values.

A pure function; nothing here looks at the host. The image's root is read-only, the server's own folders are bound
over it, and every namespace but the network's is the server's own.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galaxy.server.confinement import seccomp
from galaxy.server.options import DNS_UPDATE_FILE, LATER_FILE
from galaxy.server.tls import DH_FILE

# In the server -> in the server's folder.
FOLDERS = {
    "/etc/samba": "etc",
    "/var/lib/samba": "state",
    "/var/cache/samba": "cache",
    "/var/log/samba": "log",
}
# In the server -> in the server's etc-host/. What is no image's mount point is in /run, a tmpfs.
HOST_FILES = {
    "/etc/resolv.conf": "resolv.conf",
    "/etc/krb5.conf": "krb5.conf",
    "/etc/hosts": "hosts",
    "/etc/hostname": "hostname",
    DH_FILE: "dhparams.pem",
    LATER_FILE: "later.py",
    DNS_UPDATE_FILE: "dns_update.py",
}
INSIDE_ENV = (
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME=/tmp",
    "LC_ALL=C.UTF-8",
    "PYTHONHASHSEED=random",
    "PYTHONDONTWRITEBYTECODE=1",
)
# Samba asks for 16384 files, "the Windows limit".
_NOFILE = 65536
_MASKED = tuple(
    f"/proc/{name}"
    for name in (
        "kcore",
        "keys",
        "latency_stats",
        "timer_list",
        "sched_debug",
        "acpi",
        "scsi",
        "kallsyms",
        "kmsg",
        "timer_stats",
        "asound",
    )
)
# The last one restarts the host for whoever is root, whatever it was denied otherwise (sysrq(8)).
_READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharesHost:
    """The host's network namespace."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolated:
    """A new network namespace with nothing but lo, which ends with the container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Joins:
    """A network namespace that is there already."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """What a container is made from.

    `files` is the highest number of open files that the host lets us ask for, `machine` its kind as uname(1) has it.
    """

    rootfs: Path
    folder: Path
    hostname: str
    args: tuple[str, ...]
    network: SharesHost | Isolated | Joins
    capabilities: tuple[str, ...]
    cgroup: str
    files: int
    machine: str
    cpu_shares: int | None = None
    terminal: bool = False


def oci_config(box: Sandbox) -> dict[str, Any]:
    """The config.json (OCI runtime specification 1.0) of a sandbox."""
    return {
        "ociVersion": "1.0.2",
        "process": _process(box),
        "root": {"path": str(box.rootfs), "readonly": True},
        "hostname": box.hostname,
        "mounts": [*_kernel_mounts(), *_own_mounts(box)],
        "linux": {
            "namespaces": _namespaces(box),
            "cgroupsPath": box.cgroup,
            "resources": {"devices": [{"allow": False, "access": "rwm"}], **_cpu(box)},
            "seccomp": seccomp(box.machine),
            "maskedPaths": list(_MASKED),
            "readonlyPaths": list(_READ_ONLY),
            "rootfsPropagation": "private",
        },
    }


def _cpu(box: Sandbox) -> dict[str, Any]:
    return {} if box.cpu_shares is None else {"cpu": {"shares": box.cpu_shares}}


def _process(box: Sandbox) -> dict[str, Any]:
    held = list(box.capabilities)
    files = min(_NOFILE, box.files)
    return {
        "terminal": box.terminal,
        "user": {"uid": 0, "gid": 0},
        "args": list(box.args),
        "env": list(INSIDE_ENV),
        "cwd": "/",
        "noNewPrivileges": True,
        "capabilities": {"bounding": held, "effective": held, "permitted": held},
        "rlimits": [
            {"type": "RLIMIT_NOFILE", "soft": files, "hard": files},
            {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        ],
    }


def _namespaces(box: Sandbox) -> list[dict[str, str]]:
    own = [{"type": kind} for kind in ("mount", "pid", "uts", "ipc")]
    match box.network:
        case SharesHost():
            return own
        case Isolated():
            return [*own, {"type": "network"}]
        case Joins(path=path):
            return [*own, {"type": "network", "path": str(path)}]


def _kernel_mounts() -> list[dict[str, Any]]:
    quiet = ["nosuid", "noexec", "nodev"]
    return [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": quiet},
        {
            "destination": "/dev",
            "type": "tmpfs",
            "source": "tmpfs",
            "options": ["nosuid", "noexec", "strictatime", "mode=755", "size=64k"],
        },
        {
            "destination": "/dev/pts",
            "type": "devpts",
            "source": "devpts",
            "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
        },
        {
            "destination": "/dev/shm",  # noqa: S108 - a mount point inside
            "type": "tmpfs",
            "source": "shm",
            "options": [*quiet, "mode=1777", "size=64m"],
        },
    ]


def _own_mounts(box: Sandbox) -> list[dict[str, Any]]:
    quiet = ["nosuid", "nodev"]
    tmpfs = [
        {"destination": place, "type": "tmpfs", "source": "tmpfs", "options": [*quiet, f"mode={mode}"]}
        for place, mode in (("/run", "755"), ("/tmp", "1777"), ("/var/lock", "755"))  # noqa: S108 - mount points inside
    ]
    folders = [
        _bind(box.folder / source, place, [*quiet, "noexec", "rw"]) for place, source in FOLDERS.items()
    ]
    files = [
        _bind(box.folder / "etc-host" / source, place, [*quiet, "noexec", "ro"])
        for place, source in HOST_FILES.items()
    ]
    return [*tmpfs, *folders, *files]


def _bind(source: Path, destination: str, options: list[str]) -> dict[str, Any]:
    return {"destination": destination, "type": "none", "source": str(source), "options": ["bind", *options]}

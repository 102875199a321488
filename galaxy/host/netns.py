"""Network namespaces by name (/run/netns, as ip-netns(8) has them), and entering namespaces from this process.

`os.setns` came with Python 3.12; until then the C library is called. Namespaces belong to threads: enter them on the
main thread, before others are started that shall be inside too.
"""

import ctypes
import os
from pathlib import Path

from galaxy.host.errors import HostError
from galaxy.host.journal import undoes
from galaxy.host.process import run

NAMED = Path("/run/netns")
CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def namespace_path(name: str) -> Path:
    """The file that stands for a named network namespace."""
    return NAMED / name


def add_namespace(name: str) -> Path:
    """Make an empty network namespace with its loopback up; journal it first as `netns` with this name."""
    run(["ip", "netns", "add", name])
    run(["ip", "-n", name, "link", "set", "lo", "up"])
    return namespace_path(name)


def enter_namespace(path: Path) -> None:
    """Move this thread into a network namespace."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _checked(_LIBC.setns(descriptor, CLONE_NEWNET), f"cannot enter the network namespace {path}")
    finally:
        os.close(descriptor)


def own_mounts() -> None:
    """Give this thread a mount namespace of its own.

    What is mounted from now on is seen here alone and ends with the process; what the host mounts is still seen.
    """
    _checked(_LIBC.unshare(CLONE_NEWNS), "cannot make a mount namespace")
    run(["mount", "--make-rslave", "/"])


def _checked(result: int, what: str) -> None:
    if result != 0:
        error = os.strerror(ctypes.get_errno())
        raise HostError(f"{what}: {error}", "Run as root on a kernel with namespaces: galaxy doctor")


@undoes("netns")
def _remove(name: str) -> None:
    """Remove a named namespace. Its name may outlive the mount behind it, when that was made in a private place."""
    if namespace_path(name).exists():
        run(["ip", "netns", "del", name])

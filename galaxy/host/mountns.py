"""A mount namespace for this process."""

import ctypes
import os

from galaxy.host.errors import HostError
from galaxy.host.process import run

_CLONE_NEWNS = 0x00020000


def own_mounts() -> None:
    """Give the calling thread a mount namespace of its own; there is no way back.

    What is mounted from now on is seen by this thread and what it starts, and ends with them; the host's
    mounts still arrive.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) != 0:
        why = os.strerror(ctypes.get_errno())
        raise HostError(f"cannot make a mount namespace: {why}", "Run as root: galaxy doctor")
    run(["mount", "--make-rslave", "/"])

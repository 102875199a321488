"""Waiting for what a server does in its own time: bounded, and on a condition."""

import time
from collections.abc import Callable

_STEP = 0.02
# Seconds that a server may take after its first start until its own SPNs and DNS records are there: its tasks
# samba_spnupdate and samba_dnsupdate add them, each a Python program that is slow to begin on a busy host.
REGISTRATION = 30.0


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether a condition comes true before the time is over; asked every 20 ms, once at least."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)
    return True

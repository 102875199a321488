"""Whose leftovers a bench may remove."""

import os
import socket
import subprocess  # noqa: TID251 - a process that ends

from galaxy.host.process import process_identity
from verify.bench import died

HERE = socket.gethostname()


def test_an_ou_of_a_process_that_is_gone_is_a_leftover():
    process = subprocess.Popen(["sleep", "60"])
    maker = f"{HERE} {process_identity(process.pid)}"
    try:
        assert not died(maker)
    finally:
        process.kill()
        process.wait()
    assert died(maker)


def test_nobody_knows_of_other_hosts_processes():
    assert not died(f"{HERE}-2 {2**22 + 1}:1:boot")
    assert not died(f"{HERE} {process_identity(os.getpid())}")

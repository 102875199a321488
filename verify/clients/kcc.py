"""The KCC of a domain controller, which thinks over its replication links by itself every five minutes."""

from galaxy.host.errors import CommandTimeoutError
from verify.target import Shell

# Far beyond what a run takes.
_SECONDS = 8.0


def runs_kcc(shell: Shell, server: str) -> bool:
    """Let the DC think over its links now, as itself; whether it did.

    When its own run begins meanwhile (15 s after its start, and every five minutes), that ends the one asked for, and
    nobody is ever answered (kcc_periodic.c, kccsrv_samba_kcc).
    """
    try:
        return shell("samba-tool", "drs", "kcc", server, "-P", timeout=_SECONDS).returncode == 0
    except CommandTimeoutError:
        return False

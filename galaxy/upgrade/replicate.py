"""Replication asked for at once, by a DC as itself: what a server has must be at another DC when it leaves or comes."""

import time

from galaxy.host.errors import GalaxyError, ServerError
from galaxy.host.progress import say
from galaxy.server.config import Server
from galaxy.server.execute import exec_

# One naming context of a large domain; and how long a partner may take to know a new DC's names.
_CONTEXT_SECONDS = 300.0
_LINK_SECONDS = 60.0


def deliver(server: Server, partner: str) -> None:
    """Have another DC, by its full name, fetch every naming context from a running server; ServerError if it can't."""
    for context in _contexts(server):
        _drs(server, "replicate", partner, server.config.fqdn, context)


def _drs(server: Server, *words: str) -> None:
    """Run `samba-tool drs` in a running server, as the DC itself; ServerError with what it says."""
    done = exec_(server, ("samba-tool", "drs", *words, "--machine-pass"), timeout=_CONTEXT_SECONDS)
    if done.returncode != 0:
        said = [line for line in done.output.splitlines() if line.startswith("ERROR")]
        raise ServerError(
            f"samba-tool drs {' '.join(words)} fails: {said[0] if said else done.returncode}",
            "See what is wrong between them: samba-tool drs showrepl",
        )


def link(server: Server, partner: str) -> None:
    """Have a partner read from a DC that has joined, which reads from it already: by itself it begins in ten minutes.

    Samba's KCC runs every five minutes, and what it has linked replicates at the next run (kccsrv:periodic_interval,
    dreplsrv:periodic_interval). The partner has to know our new names first, which takes a moment.
    """
    deadline = time.monotonic() + _LINK_SECONDS
    while True:
        try:
            for host in (server.config.fqdn, partner):
                _drs(server, "kcc", host)
            for context in _contexts(server):
                _drs(server, "replicate", partner, server.config.fqdn, context)
        except GalaxyError as error:
            if time.monotonic() > deadline:
                say(
                    f"{server.name} and {partner} do not replicate yet, and will by themselves: {error.message}"
                )
                return
            time.sleep(1.0)
        else:
            return


def _contexts(server: Server) -> tuple[str, ...]:
    base = server.config.base_dn
    configuration = f"CN=Configuration,{base}"
    zones = (f"DC=DomainDnsZones,{base}", f"DC=ForestDnsZones,{base}")
    return (base, configuration, f"CN=Schema,{configuration}", *zones)

"""Replication asked for at once, by a DC as itself: what a server has must be at another DC when it leaves or comes."""

import json
import time

from galaxy.host.errors import GalaxyError, ServerError
from galaxy.host.progress import say
from galaxy.server.config import Server
from galaxy.server.execute import exec_

# One naming context of a large domain; and how long a partner may take to know a new DC's names.
_CONTEXT_SECONDS = 300.0
_LINK_SECONDS = 120.0
# How long a fetch may fail before it is taken for one that will.
_PATIENCE = 10.0
# Samba gives its KCC 40 seconds. Longer waits are for nothing: when a run of its own begins meanwhile (15 seconds
# after a start, and every five minutes), that ends the one asked for, and nobody is ever answered (kcc_periodic.c).
_KCC_SECONDS = 45.0


def deliver(server: Server, partner: str) -> None:
    """Have another DC, by its full name, fetch every naming context from a running server; ServerError if it can't.

    Shortly after a start the other DC may still have connections to the server that ran before: a fetch that fails is
    asked for again, whatever it failed by.
    """
    deadline = time.monotonic() + _PATIENCE
    waiting = list(_contexts(server))
    while waiting:
        try:
            _drs(server, "replicate", partner, server.config.fqdn, waiting[0])
        except ServerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
        else:
            waiting.pop(0)


def _drs(server: Server, *words: str, timeout: float = _CONTEXT_SECONDS) -> str:
    """Run `samba-tool drs` in a running server, as the DC itself; ServerError with what it says.

    Once more when the other DC says that a connection is gone: it may have kept one to the server that ran before.
    """
    argv = ("samba-tool", "drs", *words, "--machine-pass")
    done = exec_(server, argv, timeout=timeout)
    if "WERR_NETNAME_DELETED" in done.output:
        done = exec_(server, argv, timeout=timeout)
    if done.returncode != 0:
        said = [line for line in done.output.splitlines() if line.startswith("ERROR")]
        raise ServerError(
            f"samba-tool drs {' '.join(words)} fails: {said[0] if said else done.returncode}",
            f"See what is wrong between them: galaxy exec {server.name} samba-tool drs showrepl",
        )
    return done.stdout


def link(server: Server, partner: str) -> None:
    """Have a partner read from a DC that has joined, which reads from it already: by itself it begins in ten minutes.

    Samba's KCC runs every five minutes, and what it has linked replicates at the next run (kccsrv:periodic_interval,
    dreplsrv:periodic_interval). The partner has to know our new names first, which takes a moment. We have to know the
    link that its KCC has made: until then our own KCC, at its next run, forgets again whom we notify (kcc/__init__.py,
    translate_ntdsconn). And a KCC that is at work while its DC is told whom to notify writes over that (kcc_utils.py,
    commit_repsTo), until the next pull.
    """
    deadline = time.monotonic() + _LINK_SECONDS
    while True:
        try:
            for host in (server.config.fqdn, partner):
                _drs(server, "kcc", host, timeout=_KCC_SECONDS)
            _drs(server, "replicate", server.config.fqdn, partner, _configuration(server))
            wanted = set(_contexts(server))
            while wanted and time.monotonic() < deadline:
                for context in wanted:
                    _drs(server, "replicate", partner, server.config.fqdn, context)
                wanted -= _notifies(server, partner)
        except GalaxyError as error:
            if time.monotonic() > deadline:
                say(
                    f"{server.name} and {partner} do not replicate yet, and will by themselves: {error.message}"
                )
                return
            time.sleep(1.0)
        else:
            return


def _notifies(server: Server, partner: str) -> set[str]:
    """The contexts of which a server tells that partner its changes."""
    said = _drs(server, "showrepl", "--json")
    links = json.loads(said[said.index("{") :])["repsTo"]
    name = partner.partition(".")[0].lower()
    return {link["NC dn"] for link in links if link["DSA"].rpartition("\\")[2].lower() == name}


def _contexts(server: Server) -> tuple[str, ...]:
    base, configuration = server.config.base_dn, _configuration(server)
    zones = (f"DC=DomainDnsZones,{base}", f"DC=ForestDnsZones,{base}")
    return (base, configuration, f"CN=Schema,{configuration}", *zones)


def _configuration(server: Server) -> str:
    return f"CN=Configuration,{server.config.base_dn}"

"""Does a server that has just started do what its users need first? Asked while clients still wait, so in a moment.

The machine's own account logs on by Kerberos, reads its domain over LDAP and lists sysvol over SMB: that takes the
KDC, the keys in the databases, both servers, the share and its ACLs. The tools are the image's own. The smoke tier of
the checks, with many more questions, follows when clients are let in again.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from galaxy.host.errors import CommandTimeoutError, ServerError
from galaxy.host.process import Completed
from galaxy.server.config import Server
from galaxy.server.execute import exec_

# Far beyond what a busy host needs (0.4 s at a load of 5), short of what users would wait for.
_SECONDS = 30.0


def smoke(server: Server) -> Mapping[str, float]:
    """Log on, search and list as the machine account; seconds by question. ServerError says what failed and how."""
    questions = _questions(server)
    with ThreadPoolExecutor(max_workers=len(questions)) as pool:
        done = dict(
            zip(questions, pool.map(lambda argv: _ask(server, argv), questions.values()), strict=True)
        )
    for what, answer in done.items():
        if answer.returncode != 0:
            lines = [line for line in answer.output.strip().splitlines() if line.strip()]
            raise ServerError(
                f"{server.name} answers, but {what} fails: {lines[-1] if lines else answer.returncode}",
                f"Read the whole log: galaxy logs {server.name}",
            )
    return {what: answer.seconds for what, answer in done.items()}


def _questions(server: Server) -> dict[str, tuple[str, ...]]:
    config = server.config
    logon = ("--machine-pass", "--use-kerberos=required")
    return {
        "listing sysvol over SMB": ("smbclient", f"//{config.fqdn}/sysvol", *logon, "-c", "ls"),
        "a search over LDAP": (
            *("ldbsearch", "-H", f"ldap://{config.fqdn}", *logon),
            *("-b", config.base_dn, "-s", "base", "objectSid"),
        ),
    }


def _ask(server: Server, argv: tuple[str, ...]) -> Completed:
    try:
        return exec_(server, argv, timeout=_SECONDS)
    except CommandTimeoutError as late:
        return Completed(argv=argv, returncode=-9, stdout="", stderr=late.message, seconds=late.seconds)

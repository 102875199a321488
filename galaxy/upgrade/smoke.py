"""Does a server that has just started do what its users need first? Asked while clients still wait, so in a moment.

The machine's own account logs on by Kerberos, reads its domain over LDAP and lists sysvol over SMB: that takes the
KDC, the keys in the databases, both servers, the share and its ACLs. The tools are the image's own. The smoke tier of
the checks, with many more questions, follows when clients are let in again.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Self

from galaxy.host.errors import CommandTimeoutError, ServerError
from galaxy.host.process import Completed
from galaxy.host.settings import Settings
from galaxy.server import lifecycle
from galaxy.server.config import Server
from galaxy.server.execute import exec_
from galaxy.server.ready import Readiness

# Far beyond what a busy host needs (0.4 s at a load of 5), short of what users would wait for.
_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked, by which command inside, and which services must answer before (as `Readiness` names them)."""

    what: str
    needs: frozenset[str]
    argv: tuple[str, ...]


def smoke(server: Server) -> Mapping[str, float]:
    """Log on, search and list as the machine account; seconds by question. ServerError says what failed and how."""
    with _Asking(server) as asking:
        return asking.result()


def start_smoked(server: Server, settings: Settings, *, in_network: bool) -> tuple[Readiness, float]:
    """Start a server as `lifecycle.start_held` does and ask the same of it; the seconds that only the questions took.

    Each is asked as soon as the services that it needs have answered, while others still start: clients wait for all of
    it. One that fails so early is asked again when the server is ready, and counts then. ServerError as both raise.
    """
    with _Asking(server) as asking:
        ready = lifecycle.start_held(server, settings, in_network=in_network, answered=asking.answered)
        began = time.monotonic()
        asking.result()
    return ready, time.monotonic() - began


class _Asking:
    """The questions to one server, each in a thread of its own; `with` waits for those that were asked."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._questions = _questions(server)
        self._pool = ThreadPoolExecutor(max_workers=len(self._questions))
        self._lock = threading.Lock()
        self._up: set[str] = set()
        self._asked: dict[str, Future[Completed]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()

    def answered(self, service: str) -> None:
        """That service answers now: ask what has only waited for it."""
        with self._lock:
            self._up.add(service)
            for question in self._questions:
                if question.what not in self._asked and question.needs <= self._up:
                    self._ask(question)

    def result(self) -> Mapping[str, float]:
        """What was not asked or failed before is asked now; ServerError for the first that fails."""
        with self._lock:
            early = dict(self._asked)
            for question in self._questions:
                if question.what not in early:
                    self._ask(question)
        for question in self._questions:
            if question.what in early and early[question.what].result().returncode != 0:
                self._ask(question)
        done = {what: asked.result() for what, asked in self._asked.items()}
        for what, answer in done.items():
            if answer.returncode != 0:
                lines = [line for line in answer.output.strip().splitlines() if line.strip()]
                raise ServerError(
                    f"{self._server.name} answers, but {what} fails: {lines[-1] if lines else answer.returncode}",
                    f"Read the whole log: galaxy logs {self._server.name}",
                )
        return {what: answer.seconds for what, answer in done.items()}

    def _ask(self, question: _Question) -> None:
        self._asked[question.what] = self._pool.submit(_ask, self._server, question.argv)


def _questions(server: Server) -> tuple[_Question, ...]:
    config = server.config
    logon = ("--machine-pass", "--use-kerberos=required")
    return (
        _Question(
            what="listing sysvol over SMB",
            needs=frozenset({"smb", "kerberos"}),
            argv=("smbclient", f"//{config.fqdn}/sysvol", *logon, "-c", "ls"),
        ),
        _Question(
            what="a search over LDAP",
            needs=frozenset({"ldap", "kerberos"}),
            argv=(
                *("ldbsearch", "-H", f"ldap://{config.fqdn}", *logon),
                *("-b", config.base_dn, "-s", "base", "objectSid"),
            ),
        ),
    )


def _ask(server: Server, argv: tuple[str, ...]) -> Completed:
    try:
        return exec_(server, argv, timeout=_SECONDS)
    except CommandTimeoutError as late:
        return Completed(argv=argv, returncode=-9, stdout="", stderr=late.message, seconds=late.seconds)

"""Does a server that has just started do what its users need first? Asked while clients still wait, so in a moment.

The machine's own account logs on by Kerberos, reads its domain over LDAP and lists sysvol over SMB: that takes the
KDC, the keys in the databases, both servers, the share and its ACLs. The tools are the image's own. The smoke tier of
the checks, with many more questions, follows when clients are let in again.
"""

import threading
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from galaxy.host.errors import CommandTimeoutError, GalaxyError, ServerError
from galaxy.host.process import Completed
from galaxy.host.settings import Settings
from galaxy.server import lifecycle, running
from galaxy.server.config import Server
from galaxy.server.execute import exec_
from galaxy.server.ready import Readiness

# Far beyond what a busy host needs (0.4 s at a load of 5), short of what users would wait for.
_SECONDS = 30.0
# The tickets of the logon, on the server's own tmpfs. Making keys of the password is most of what a logon costs, so it
# is done once, while SMB still starts.
_TICKETS = "/tmp/galaxy-smoke"  # noqa: S108 - inside, where nobody but root is
_LOGON = "the machine account's logon"
# The server's own name is in its /etc/hosts; smb.conf may have the tools look elsewhere (name resolve order).
_BY_HOSTS = "--option=nameresolveorder=host"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """What is asked, by which command inside; `needs` are services of `Readiness`, and questions, answered before."""

    what: str
    needs: frozenset[str]
    argv: tuple[str, ...]


def smoke(server: Server) -> Mapping[str, float]:
    """Log on, search and list as the machine account; seconds by question. ServerError says what failed and how."""
    with _Asking(server) as asking:
        return asking.result()


def is_well(server: Server) -> bool:
    """Whether a running server answers it all."""
    try:
        smoke(server)
    except GalaxyError:
        return False
    return True


def start_smoked(server: Server, settings: Settings, *, in_network: bool) -> tuple[Readiness, float]:
    """Start a server as `lifecycle.start_held` does and ask the same of it; the seconds that only the questions took.

    Each is asked as soon as what it needs is there, while other services still start: clients wait for all of it. One
    that fails so early is asked again when the server is ready, and counts then. ServerError as both raise.
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
        self._there: set[str] = set()
        self._asked: dict[str, Future[Completed]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown()
        process = running.alive(self._server)
        if process is not None:
            with suppress(OSError):
                Path(f"/proc/{process.pid}/root{_TICKETS}").unlink()

    def answered(self, what: str) -> None:
        """That service, or that question, is answered: ask what has only waited for it."""
        with self._lock:
            self._there.add(what)
            for question in self._questions:
                if question.what not in self._asked and question.needs <= self._there:
                    self._asked[question.what] = self._pool.submit(self._ask, question)

    def result(self) -> Mapping[str, float]:
        """Ask what was not asked, or failed, before all services answered; ServerError for the first that fails."""
        seconds = {}
        for question in self._questions:
            answer = self._early(question) or self._ask(question)
            if answer.returncode != 0:
                lines = [line for line in answer.output.strip().splitlines() if line.strip()]
                raise ServerError(
                    f"{self._server.name} answers, but {question.what} fails: "
                    f"{lines[-1] if lines else answer.returncode}",
                    f"Read the whole log: galaxy logs {self._server.name}",
                )
            seconds[question.what] = answer.seconds
        return seconds

    def _early(self, question: _Question) -> Completed | None:
        """The good answer of one that was asked already; if there is none, only the caller asks it from now on."""
        with self._lock:
            asked = self._asked.get(question.what)
            if asked is None:
                self._asked[question.what] = Future()
                return None
        answer = asked.result()
        return answer if answer.returncode == 0 else None

    def _ask(self, question: _Question) -> Completed:
        answer = _ask(self._server, question.argv)
        if answer.returncode == 0:
            self.answered(question.what)
        return answer


def _questions(server: Server) -> tuple[_Question, ...]:
    """In the order in which one needs the other."""
    config = server.config
    # 4.17 looks for tickets where the environment says, whatever its option says.
    with_tickets = ("/bin/sh", "-c", f'KRB5CCNAME={_TICKETS} exec "$@"', "sh")
    by_them = f"--use-krb5-ccache={_TICKETS}"
    return (
        _Question(
            what=_LOGON,
            needs=frozenset({"kerberos"}),
            argv=(*with_tickets, "net", "ads", "kerberos", "kinit", "--machine-pass"),
        ),
        _Question(
            what="a search over LDAP",
            needs=frozenset({"ldap", _LOGON}),
            argv=(
                *(*with_tickets, "ldbsearch", "-H", f"ldap://{config.fqdn}", by_them, _BY_HOSTS),
                *("-b", config.base_dn, "-s", "base", "objectSid"),
            ),
        ),
        _Question(
            what="listing sysvol over SMB",
            needs=frozenset({"smb", _LOGON}),
            argv=(*with_tickets, "smbclient", f"//{config.fqdn}/sysvol", by_them, _BY_HOSTS, "-c", "ls"),
        ),
    )


def _ask(server: Server, argv: tuple[str, ...]) -> Completed:
    try:
        return exec_(server, argv, timeout=_SECONDS)
    except CommandTimeoutError as late:
        return Completed(argv=argv, returncode=-9, stdout="", stderr=late.message, seconds=late.seconds)

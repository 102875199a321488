"""Ready means that LDAP, SMB, Kerberos and DNS answer a real question, each asked again every few milliseconds.

SMB answers once users can log on as well.
"""

import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from galaxy.host.errors import ServerError
from galaxy.host.netns import enter_network
from galaxy.server.config import Server, ServerConfig
from galaxy.server.logons import require_logons
from galaxy.server.logs import Marks, telling_lines
from galaxy.server.network import namespace_of
from galaxy.server.probes import PROBES
from galaxy.server.questions import NoAnswerError
from galaxy.server.running import Running, recorded

_EVERY = 0.01
_NAMES = {"ldap": "LDAP", "smb": "SMB", "kerberos": "Kerberos", "dns": "DNS"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Seconds from the start until each service answered."""

    ldap: float
    smb: float
    kerberos: float
    dns: float

    @property
    def all(self) -> float:
        """Seconds until the last one answered."""
        return max(self.ldap, self.smb, self.kerberos, self.dns)

    def in_words(self) -> str:
        """`ready in 0.9 s (LDAP 0.9, SMB 0.5, Kerberos 0.2, DNS 0.4)`."""
        each = ", ".join(f"{word} {getattr(self, name):.1f}" for name, word in _NAMES.items())
        return f"ready in {self.all:.1f} s ({each})"


@dataclass(slots=True)
class _Round:
    """What the probing threads share: when each service answered, why it has not yet, and whether to give up."""

    config: ServerConfig
    namespace: Path | None
    process: Running
    began: float
    tell: Callable[[str], None] = lambda _service: None
    answered: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def ask(self, name: str) -> None:
        """Ask one service until it answers or the round is over; the body of a thread."""
        try:
            if self.namespace is not None:
                enter_network(self.namespace)
            while not self.over.is_set() and not self._answers(name):
                self.over.wait(_EVERY)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the deadline reports it
            self.reasons[name] = f"{type(error).__name__}: {error}"

    def _answers(self, name: str) -> bool:
        try:
            if name == "smb":  # before the negotiation, which costs a starting server 25 ms of a processor
                require_logons(self.process)
            PROBES[name](self.config)
        except (OSError, NoAnswerError, ValueError, struct.error) as error:
            self.reasons[name] = getattr(error, "strerror", None) or str(error)
            return False
        self.answered[name] = time.monotonic() - self.began
        self.tell(name)
        return True


def wait_ready(
    server: Server,
    deadline: float,
    process: Running,
    *,
    began: float | None = None,
    since: Marks | None = None,
    answered: Callable[[str], None] = lambda _service: None,
) -> Readiness:
    """Wait up to `deadline` seconds for all four services; ends early when the server's first process has died.

    `began` is the monotonic time that the seconds count from; `answered` is told of each service, by the thread that
    asked it. Raises ServerError with what the logs say (`since`: how far they were written when it started).
    """
    began = time.monotonic() if began is None else began
    shared = _Round(server.config, namespace_of(server), process, began, answered)
    threads = [threading.Thread(target=shared.ask, args=(name,), daemon=True) for name in PROBES]
    for thread in threads:
        thread.start()
    try:
        while len(shared.answered) < len(PROBES):
            if not process.alive:
                raise _never_up(server, "ended while it started", since)
            if time.monotonic() - began > deadline:
                raise _never_up(server, _silent(shared, deadline), since)
            next((t for t in threads if t.is_alive()), threads[0]).join(_EVERY)
    finally:
        shared.over.set()
    return Readiness(**shared.answered)


def answers(server: Server, patience: float = 2.0) -> dict[str, str]:
    """Ask each service of a running server now: why it does not answer within `patience` seconds, or ''."""
    process = recorded(server)
    if process is None:
        return dict.fromkeys(PROBES, "the server is not running")
    shared = _Round(server.config, namespace_of(server), process, time.monotonic())
    threads = [threading.Thread(target=shared.ask, args=(name,), daemon=True) for name in PROBES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, patience - (time.monotonic() - shared.began)))
    shared.over.set()
    return {name: "" if name in shared.answered else shared.reasons.get(name, "no answer") for name in PROBES}


def _silent(shared: _Round, deadline: float) -> str:
    missing = [
        f"{_NAMES[name]} ({shared.reasons.get(name, 'never asked')})"
        for name in PROBES
        if name not in shared.answered
    ]
    return f"does not answer within {deadline:g} s: " + ", ".join(missing)


def _never_up(server: Server, what: str, since: Marks | None) -> ServerError:
    lines = telling_lines(server, since or {})
    said = "\n  log: ".join(["", *lines]) if lines else ""
    return ServerError(f"{server.name} {what}{said}", f"Read the whole log: galaxy logs {server.name}")

"""Asking a DC's services at a steady pace without waiting for answers: one thread, one selector, little processor.

The pace matters more than anything else here, so there is no library in between: a client of asyncio's would take
three times the processor, which the server needs.
"""

import selectors
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from galaxy.server.config import ServerConfig
from galaxy.server.questions import QUESTIONS, NoAnswerError

# Seconds: between two attempts at a service; until an attempt is given up (a client's SYN goes out again after 1 and
# 3 s, from Linux 6.5 on after 1, 2, 3 and 4).
PERIOD = 0.02
PATIENCE = 5.0


@dataclass(slots=True)
class Tally:
    """What has become of one service's attempts; monotonic seconds."""

    last_good: float
    attempts: int = 0
    good: int = 0
    longest: float = 0.0
    slowest: float = 0.0
    bad: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("refused", "cut", "timeouts", "wrong"), 0)
    )

    def answered(self, now: float, began: float) -> None:
        """A good answer has come to an attempt begun at `began`."""
        self.good += 1
        self.slowest = max(self.slowest, now - began)
        self.moment(now)

    def moment(self, now: float) -> None:
        """The time without a good answer ends here."""
        self.longest = max(self.longest, now - self.last_good)
        self.last_good = now


@dataclass(slots=True, eq=False)
class _Attempt:
    name: str
    tally: Tally
    began: float
    connection: socket.socket
    packet: bytes
    sent: bool = False
    data: bytes = b""


class Asking:
    """The attempts under way and the tallies; `step` does what is due and waits for the next."""

    def __init__(self, config: ServerConfig, period: float = PERIOD, patience: float = PATIENCE) -> None:
        self._config, self._patience = config, patience
        self._selector = selectors.DefaultSelector()
        self._under_way: dict[_Attempt, None] = {}  # oldest first
        self._turns = [(name, period / len(QUESTIONS)) for name in QUESTIONS]
        self._turn, self._due = 0, time.monotonic()
        self.forget()

    def forget(self) -> None:
        """Begin to count: what was begun before belongs to nobody."""
        now = time.monotonic()
        self.tallies = {name: Tally(now) for name in QUESTIONS}
        self.late = 0.0  # how late the latest attempt was begun: this process's own pauses

    def close(self) -> None:
        """Leave all attempts under way."""
        for attempt in self._under_way:
            attempt.connection.close()
        self._selector.close()

    def until(self, enough: Callable[[], bool], deadline: float = float("inf")) -> bool:
        """Ask until it is enough; False when the monotonic `deadline` came first."""
        while not enough():
            now = time.monotonic()
            if now > deadline:
                return False
            self._begin_what_is_due(now)
            self._give_up(now)
            for key, _ in self._selector.select(max(0.0, self._due - time.monotonic())):
                self._advance(key.data)
        return True

    def _begin_what_is_due(self, now: float) -> None:
        """One attempt if it is time; after a pause of our own, not all that were missed."""
        if now < self._due:
            return
        self.late = max(self.late, now - self._due)
        name, share = self._turns[self._turn]
        self._turn = (self._turn + 1) % len(self._turns)
        self._due = max(self._due + share, now - share)
        self._begin(name, now)

    def _begin(self, name: str, now: float) -> None:
        question = QUESTIONS[name]
        stream = question.transport == "tcp"
        kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
        connection = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
        attempt = _Attempt(name, self.tallies[name], now, connection, question.packet(self._config))
        attempt.tally.attempts += 1
        self._under_way[attempt] = None
        self._selector.register(connection, selectors.EVENT_WRITE, attempt)
        connection.connect_ex((self._config.address, question.port))  # its error is told by SO_ERROR

    def _give_up(self, now: float) -> None:
        while self._under_way:
            oldest = next(iter(self._under_way))
            if now - oldest.began < self._patience:
                break
            self._end(oldest, "timeouts")

    def _advance(self, attempt: _Attempt) -> None:
        try:
            if not attempt.sent:
                self._send(attempt)
            elif self._receive(attempt):
                self._end(attempt, "")
        except ConnectionRefusedError:
            self._end(attempt, "refused")
        except (ConnectionResetError, BrokenPipeError, EOFError):
            self._end(attempt, "cut")
        except (OSError, NoAnswerError, ValueError, LookupError, struct.error):
            self._end(attempt, "wrong")

    def _send(self, attempt: _Attempt) -> None:
        code = attempt.connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, "connect")
        attempt.connection.send(attempt.packet)  # smaller than any socket's buffer
        attempt.sent = True
        self._selector.modify(attempt.connection, selectors.EVENT_READ, attempt)

    def _receive(self, attempt: _Attempt) -> bool:
        block = attempt.connection.recv(65536)
        if not block:
            raise EOFError
        attempt.data += block
        return QUESTIONS[attempt.name].answered(self._config, attempt.packet, attempt.data)

    def _end(self, attempt: _Attempt, outcome: str) -> None:
        del self._under_way[attempt]
        self._selector.unregister(attempt.connection)
        attempt.connection.close()
        if outcome:
            attempt.tally.bad[outcome] += 1
        else:
            attempt.tally.answered(time.monotonic(), attempt.began)

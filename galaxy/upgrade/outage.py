"""What clients see of a server while something is done to it: its four services, asked every 20 ms.

Each attempt is a client of its own, on a new connection, and runs beside the others: one that hangs stops no other.
The asking is done by a process of its own (`python -m galaxy.upgrade.outage`), in the network of whoever starts it,
so that what Galaxy does meanwhile does not lend it its pauses.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from subprocess import Popen, TimeoutExpired  # noqa: TID251 - types; host/process.py starts it

from galaxy.host.errors import ServerError
from galaxy.host.packages import package_root
from galaxy.host.process import background
from galaxy.server.config import ServerConfig
from galaxy.upgrade.asking import Asking, Tally

_READY = b"ready\n"
# Seconds: until all four services have answered once; until they have once more, at the end; more than that.
_BEGINS = 10.0
_ENDS = 5.0
_MARGIN = 5.0
_LOOKS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """What clients of one service saw, times in milliseconds.

    `longest_ms` is the longest time between two moments at which a good answer arrived, whichever attempts these
    belong to; the begin and the end of the probing count as such moments. As attempts begin 20 ms apart, an
    undisturbed service has about 20, and a service that is away has at most 20 more than it was away: an upper bound.
    An attempt that waited and was then answered well (its SYN was sent again) is a good answer when it comes;
    `slowest_ms` is the longest that one of these took. `refused`: ECONNREFUSED. `cut`: connected, then reset
    or closed before the answer. `timeouts`: nothing for 5 s, of which datagrams, never sent again here, have many.
    `wrong`: other errors, such as a host that cannot be reached or an answer that is not the right one.
    """

    attempts: int
    good: int
    longest_ms: float
    slowest_ms: float
    refused: int
    cut: int
    timeouts: int
    wrong: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The outages by service (`ldap`, `smb`, `kerberos`, `dns`), and how well they were measured.

    `cpu_share` is the share of one processor that the asking took, `late_ms` the longest that an attempt was begun too
    late: an outage shorter than that may be the machine's. `silent` are the services that did not answer any more.
    """

    services: Mapping[str, Outage]
    seconds: float
    cpu_share: float
    late_ms: float
    silent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """An asking process at work."""

    process: Popen[bytes]
    output: int

    def result(self) -> Seen:
        """End the probing and say what was seen: once, from inside the block.

        It goes on until each service has answered once more, 5 s at most, so that an outage is measured to its
        end. ServerError when the process has not lived to tell.
        """
        self.process.send_signal(signal.SIGUSR1)
        try:
            self.process.wait(_ENDS + _MARGIN)
            last = self.said().splitlines()[-1]
            body = json.loads(last)
            services = {name: Outage(**outage) for name, outage in body.pop("services").items()}
            return Seen(services=services, silent=tuple(body.pop("silent")), **body)
        except (TimeoutExpired, LookupError, TypeError, ValueError):
            raise self.failed("ended without a result") from None

    def wait_ready(self) -> None:
        """Wait until each service has answered once. ServerError when one does not within 10 s."""
        deadline = time.monotonic() + _BEGINS + _MARGIN
        while not self.said().startswith(_READY):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise self.failed("has no answer to begin with")
            time.sleep(_LOOKS)

    def said(self) -> bytes:
        """All its output so far."""
        return os.pread(self.output, os.fstat(self.output).st_size, 0)

    def failed(self, how: str) -> ServerError:
        """The error that says what it said."""
        words = self.said().decode(errors="replace").strip().splitlines()
        return ServerError(
            f"the outage probe {how}: {words[-1] if words else 'it said nothing'}",
            "Look whether the server answers: galaxy status",
        )


@contextmanager
def probing(config: ServerConfig) -> Iterator[Probe]:
    """Ask the server's services every 20 ms while the block lasts, from the calling thread's network.

    Begins once all four have answered; ServerError when they do not. Leaves nothing behind, not even a file.
    """
    output = os.memfd_create("outage")
    argv = [sys.executable, "-m", __name__, config.model_dump_json()]
    env = {"PYTHONPATH": str(package_root("galaxy").parent)}
    try:
        with background(argv, log=output, env=env) as process:
            probe = Probe(process=process, output=output)
            probe.wait_ready()
            yield probe
    finally:
        os.close(output)


def main() -> None:
    """The asking process: its argument is the server's configuration; SIGUSR1 ends the asking."""
    over: list[float] = []
    signal.signal(signal.SIGUSR1, lambda *_: over.append(time.monotonic()))
    with closing(Asking(ServerConfig.model_validate_json(sys.argv[1]))) as asking:
        if not asking.until(lambda: _all_beyond(asking, {}), time.monotonic() + _BEGINS):
            silent = [name for name, tally in asking.tallies.items() if not tally.good]
            sys.exit(f"no good answer from {', '.join(silent)} within {_BEGINS:g} s")
        sys.stdout.write(_READY.decode())
        sys.stdout.flush()
        sys.stdout.write(json.dumps(asdict(_seen(asking, over))))


def _seen(asking: Asking, over: list[float]) -> Seen:
    """Ask from now on until it is over, and until each service has answered once more."""
    asking.forget()
    began, used = time.monotonic(), time.process_time()
    asking.until(lambda: bool(over))
    before = {name: tally.good for name, tally in asking.tallies.items()}
    asking.until(lambda: _all_beyond(asking, before), over[0] + _ENDS)
    seconds = time.monotonic() - began
    silent = tuple(name for name, tally in asking.tallies.items() if tally.good <= before[name])
    return Seen(
        services={name: _outage(tally) for name, tally in asking.tallies.items()},
        seconds=round(seconds, 3),
        cpu_share=round((time.process_time() - used) / seconds, 4),
        late_ms=round(asking.late * 1000, 1),
        silent=silent,
    )


def _all_beyond(asking: Asking, before: Mapping[str, int]) -> bool:
    return all(tally.good > before.get(name, 0) for name, tally in asking.tallies.items())


def _outage(tally: Tally) -> Outage:
    tally.moment(time.monotonic())
    return Outage(
        attempts=tally.attempts,
        good=tally.good,
        longest_ms=round(tally.longest * 1000, 1),
        slowest_ms=round(tally.slowest * 1000, 1),
        **tally.bad,
    )


if __name__ == "__main__":
    main()

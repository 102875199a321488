"""Progress for people, on stderr: a live bar on a terminal, plain lines elsewhere.

Nobody has to be there to read it: a terminal that was closed, a full disk behind a redirection, fail no work, least of
all what undoes it.
"""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TextIO, cast

# Plain output repeats a bar's state at most this often, in seconds: enough for a CI log that must not look dead.
_PLAIN_EVERY = 15.0

Advance = Callable[[int, int], None]


class _Readers:
    """stderr as a file whose writes cannot fail; Python has none when descriptor 2 was closed."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            if sys.stderr is not None:
                sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            if sys.stderr is not None:
                sys.stderr.flush()

    def __getattr__(self, name: str) -> object:
        return getattr(sys.stderr, name)


READERS = cast("TextIO", _Readers())


def say(line: str) -> None:
    """One line of what is being done, or of what went wrong."""
    print(line, file=READERS, flush=True)


@contextmanager
def step(title: str) -> Iterator[None]:
    """A titled step; prints its start, and its time in seconds when it took noticeable time."""
    say(f"{title} ...")
    started = time.monotonic()
    yield
    took = time.monotonic() - started
    if took >= 1:
        say(f"{title}: {took:.0f} s")


@contextmanager
def bar(title: str) -> Iterator[Advance]:
    """A bar; the block calls `advance(done, total)` as often as it likes."""
    if sys.stderr.isatty():
        with _rich_bar(title) as advance:
            yield advance
    else:
        with _plain_bar(title) as advance:
            yield advance


@contextmanager
def _rich_bar(title: str) -> Iterator[Advance]:
    from rich.console import Console  # noqa: PLC0415 - 80 ms that most commands need not pay
    from rich.progress import Progress  # noqa: PLC0415

    with Progress(console=Console(file=READERS), transient=False) as progress:
        task = progress.add_task(title, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def _plain_bar(title: str) -> Iterator[Advance]:
    last = 0.0
    started = time.monotonic()

    def advance(done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= _PLAIN_EVERY:
            last = now
            say(f"{title}: {done} of {total}")

    say(f"{title} ...")
    yield advance
    say(f"{title}: {time.monotonic() - started:.0f} s")

"""Signals and exit codes of a galaxy process: every error ends here."""

import errno
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import TextIO, cast

from galaxy.cli.app import application
from galaxy.host.errors import GalaxyError, HostError, InputError, InterruptedByUser
from galaxy.host.files import FULL, MORE_SPACE, READ_ONLY
from galaxy.host.progress import say

# A defect in Galaxy itself (sysexits.h EX_SOFTWARE); the traceback stays.
EXIT_DEFECT = 70
_FORBIDDEN = (errno.EPERM, errno.EACCES)
# A path that no file can have.
_NO_NAME = (errno.ENAMETOOLONG, errno.ELOOP)


def run_command_line(arguments: Sequence[str]) -> int:
    """Run one command; returns the exit code that the command line documents.

    SIGINT, SIGTERM and SIGHUP are raised as InterruptedByUser in the main thread, so that every `with`
    unwinds; further signals do nothing meanwhile.
    """
    # A stricter one, which hardened hosts have, would end up in images and states: Samba's users could not read them.
    os.umask(0o022)
    try:
        with _reader_may_leave():
            return _run_and_tell(arguments)
    finally:
        _forget_untold()


@contextmanager
def _reader_may_leave() -> Iterator[None]:
    """Stdout is an `_Stdout` in the block, if there is one."""
    before = sys.stdout
    if before is not None:
        sys.stdout = cast("TextIO", _Stdout(before))
    try:
        yield
    finally:
        sys.stdout = before


class _Stdout:
    """stdout whose reader may leave (`galaxy ls | head -1`): the work goes on, and its exit code is its own."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except BrokenPipeError:
            _to_nowhere(self._stream)
            return len(text)

    def flush(self) -> None:
        try:
            self._stream.flush()
        except BrokenPipeError:
            _to_nowhere(self._stream)

    def __getattr__(self, name: str) -> object:
        return getattr(self._stream, name)


def _to_nowhere(stream: TextIO) -> None:
    """What nobody takes goes nowhere from now on, what is buffered too."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _run_and_tell(arguments: Sequence[str]) -> int:
    try:
        with interruptible():
            code = _run(arguments)
    except InterruptedByUser as wish:
        show_error(wish)
        code = wish.exit_code
    except KeyboardInterrupt:
        code = InterruptedByUser.exit_code
    except Exception as error:  # noqa: BLE001 - the outermost frame: whatever comes gets its exit code here
        full = isinstance(error, OSError) and error.filename is None and error.errno in FULL
        unwritten = _unwritten(more="\n" if full else "")
        return _exit_code(unwritten if unwritten and isinstance(error, OSError) else error)
    unwritten = _unwritten()
    return code or (_exit_code(unwritten) if unwritten else 0)


def _unwritten(more: str = "") -> HostError | None:
    """Why what was printed cannot be written out; then it is given up, or Python would try again at its exit.

    `more` is written too: a write that has failed once may leave nothing to fail again.
    """
    if sys.stdout is None:
        return None
    try:
        print(end=more, flush=True)
    except OSError as error:
        _to_nowhere(sys.stdout)
        return HostError(f"the output cannot be written: {error.strerror}", "Send it to another place.")
    return None


def _forget_untold() -> None:
    """Give up what stderr did not take: Python would try again at its exit, and make that failure its exit code."""
    if sys.stderr is None:
        return
    try:
        sys.stderr.flush()
    except OSError:
        _to_nowhere(sys.stderr)


def _exit_code(error: Exception) -> int:
    """Show an error in the way that fits it; the process ends with what is returned."""
    if isinstance(error, OSError):
        error = _whose(error)
    if isinstance(error, GalaxyError):
        show_error(error)
        return error.exit_code
    sys.excepthook(type(error), error, error.__traceback__)
    say("This is a defect in Galaxy; please report it with the lines above.")
    return EXIT_DEFECT


def _whose(error: OSError) -> GalaxyError | OSError:
    """Whose matter an error of the system is, wherever it was met; what only Galaxy can have made stays as it is."""
    words = f"{error.strerror}: {error.filename}"
    if error.errno in FULL:
        advice = READ_ONLY if error.errno == errno.EROFS else MORE_SPACE
        return HostError(words if error.filename else str(error.strerror), advice)
    if error.errno in _FORBIDDEN and error.filename and os.geteuid() == 0:
        # Root may do everything that the host has not forbidden on purpose.
        return HostError(words, f"Find out what keeps root from it: lsattr -d {error.filename}")
    if error.errno in _NO_NAME:
        # Galaxy makes no such names: it was given one, whichever option it came by.
        return InputError(words, "Name another path.")
    return error


def show_error(error: GalaxyError | InterruptedByUser) -> None:
    """`error: what and why`, then what to do, then what teardown could not undo; on stderr."""
    say(f"error: {error.message}")
    for line in (error.hint, *getattr(error, "__notes__", ())):
        if line:
            say(f"  {line}")


@contextmanager
def interruptible() -> Iterator[None]:
    """The first SIGINT, SIGTERM or SIGHUP in the block raises InterruptedByUser; later ones do nothing.

    A SIGHUP that is ignored already stays so: that is what nohup(1) is for.
    """
    signals = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signals.append(signal.SIGHUP)

    def interrupt(number: int, _frame: FrameType | None) -> None:
        # A handler rather than SIG_IGN: what teardown starts must not inherit deafness.
        for each in signals:
            signal.signal(each, _ignore)
        # What is left in the middle of a library's event loop is thrown away later, and would say so with a traceback.
        sys.unraisablehook = _ignore_waste
        raise InterruptedByUser(signal.Signals(number).name)

    before = {each: signal.signal(each, interrupt) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _ignore_waste(_waste: "sys.UnraisableHookArgs") -> None:
    """The command has been told to end, and ends."""


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Undoing goes on."""


def _run(arguments: Sequence[str]) -> int:
    try:
        application(arguments)(list(arguments), prog_name="galaxy")
    except SystemExit as end:
        code = end.code
        return code if isinstance(code, int) else int(code is not None)
    return 0

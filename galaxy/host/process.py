"""The one place that runs processes.

Every argv is a list, the environment is scrubbed to `BASE_ENV` plus what the caller gives, every wait has a
deadline, and secrets travel by standard input or file, never by argv. A process is started in a session of its
own so that a timeout, an exception or Ctrl-C ends all of its children too; and it is tied to this process, so
that SIGKILL, which nobody can answer, ends it as well.
"""

import os
import selectors
import shutil
import signal
import subprocess  # noqa: TID251 - this is the one place
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from galaxy.host.errors import CommandError, CommandTimeoutError, HostError
from galaxy.host.files import open_log

BASE_ENV: Mapping[str, str] = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
    "HOME": "/root",
}
# What a fetch must inherit to reach the mirrors that the host is set up for.
PROXY_VARIABLES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_TERM_GRACE = 5.0
# What galaxy/cli/process.py hears as a wish to end.
_WISHES = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Ends what it starts when the thread that started it ends (prctl(2), PR_SET_PDEATHSIG): here that thread always waits
# for the process, so it ends first only when all of Galaxy is gone. A program of its own rather than preexec_fn, which
# may deadlock in a process with threads. SIGKILL because `unshare --fork` is deaf to SIGTERM, and takes its sandbox
# with it; what is half done is in the journal. A container that runc has detached is not runc's, and stays.
TIE = ("/usr/bin/setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What a finished process left: text streams decoded as UTF-8 with replacement, wall time in seconds."""

    argv: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def output(self) -> str:
        """Both streams, stdout first."""
        return self.stdout + self.stderr


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The scrubbed environment: BASE_ENV, the host's proxy variables, then `extra`."""
    inherited = {name: os.environ[name] for name in PROXY_VARIABLES if name in os.environ}
    return {**BASE_ENV, **inherited, **(extra or {})}


def find_tool(name: str, package: str) -> str:
    """The path of a program; HostError naming the Debian package when it is missing."""
    path = shutil.which(name, path=BASE_ENV["PATH"])
    if path is None:
        raise HostError(f"the program {name} is missing", f"Install it: apt-get install {package}")
    return path


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | bytes | None = None,
    timeout: float = 60.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    pass_fds: Sequence[int] = (),
) -> Completed:
    """Run to the end and return both streams.

    `timeout` is in seconds. Raises CommandError on a non-zero exit (unless `check=False`),
    CommandTimeoutError past the deadline, HostError when the program does not exist.
    """
    words = tuple(str(word) for word in argv)
    data = stdin.encode() if isinstance(stdin, str) else stdin
    started = time.monotonic()
    with _started(
        words,
        env=env,
        cwd=cwd,
        stdin=subprocess.PIPE if data is not None else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        pass_fds=pass_fds,
    ) as process:
        try:
            out, err = process.communicate(data, timeout=timeout)
        except subprocess.TimeoutExpired as late:
            end_group(process, grace=0)
            partial = (late.stdout or b"") + (late.stderr or b"")
            raise CommandTimeoutError(words, timeout, partial.decode(errors="replace")) from None
    done = Completed(
        argv=words,
        returncode=process.returncode,
        stdout=out.decode(errors="replace"),
        stderr=err.decode(errors="replace"),
        seconds=time.monotonic() - started,
    )
    if check and done.returncode != 0:
        raise CommandError(words, done.returncode, done.output)
    return done


def stream(
    argv: Sequence[str | Path],
    *,
    log: Path,
    on_line: Callable[[str], None] = lambda _line: None,
    timeout: float = 7200.0,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
) -> int:
    """Run something long: both streams go line by line to `log` (appended) and to `on_line`; returns the exit code.

    Raises like `run`; the CommandError carries the last 200 lines.
    """
    words = tuple(str(word) for word in argv)
    deadline = time.monotonic() + timeout
    tail: deque[str] = deque(maxlen=200)
    with (
        log.open("a", encoding="utf-8", buffering=1) as sink,
        _started(
            words,
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        assert process.stdout is not None
        try:
            for line in _lines(process.stdout, deadline):
                sink.write(line + "\n")
                tail.append(line)
                on_line(line)
            process.wait(timeout=max(1.0, deadline - time.monotonic()))
        except (TimeoutError, subprocess.TimeoutExpired):
            end_group(process, grace=0)
            raise CommandTimeoutError(words, timeout, "\n".join(tail)) from None
    if check and process.returncode != 0:
        raise CommandError(words, process.returncode, "\n".join(tail))
    return process.returncode


def _lines(pipe: IO[bytes], deadline: float) -> Iterator[str]:
    """The lines of a pipe until its end; TimeoutError at the deadline, also when nothing comes."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise TimeoutError
            block = os.read(pipe.fileno(), 1 << 16)
            *whole, rest = (rest + block).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
            if not block:
                break
    if rest:
        yield rest.decode(errors="replace")


def replace_self(argv: Sequence[str | Path], env: Mapping[str, str] | None = None) -> None:
    """Become another program (interactive shells): the terminal, the signals and the exit code are its own."""
    words = [str(word) for word in argv]
    os.execvpe(words[0], words, environment(env))  # noqa: S606 - an exec is the purpose


@contextmanager
def background(
    argv: Sequence[str | Path],
    *,
    log: Path | int,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives as long as the block; its group is ended on the way out.

    Its streams go to `log`, a file's name or a descriptor, which stays open.
    """
    with (
        open_log(log) if isinstance(log, Path) else os.fdopen(log, "ab", closefd=False) as sink,
        _started(
            tuple(str(word) for word in argv),
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        ) as process,
    ):
        yield process


def end_group(process: subprocess.Popen[bytes], grace: float = _TERM_GRACE) -> None:
    """End a started process and its children: SIGTERM, `grace` seconds, SIGKILL.

    A child that outlives the process it came from is killed at once: nobody waits for it.
    """
    for sign, wait in ((signal.SIGTERM, grace), (signal.SIGKILL, _TERM_GRACE)):
        if wait == 0:
            continue
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=wait)
            break
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def _started(
    argv: tuple[str, ...],
    *,
    env: Mapping[str, str] | None,
    cwd: Path | None,
    stdin: int,
    stdout: int | IO[bytes],
    stderr: int,
    pass_fds: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    scrubbed = environment(env)
    _require(argv[0], scrubbed["PATH"], cwd)
    process = None
    try:
        with undivided():
            process = subprocess.Popen(
                [*TIE, *argv],
                env=scrubbed,
                cwd=cwd,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
                pass_fds=tuple(pass_fds),
            )
        yield process
    except FileNotFoundError as error:
        if process is not None or (cwd is not None and not cwd.is_dir()):
            raise
        raise HostError(
            f"the program {TIE[0]} is missing", "Install it: apt-get install util-linux"
        ) from error
    finally:
        if process is not None:
            _leave(process)


def _leave(process: subprocess.Popen[bytes]) -> None:
    """End what still runs, and close what leads to it."""
    if process.poll() is None:
        end_group(process)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            pipe.close()


@contextmanager
def undivided() -> Iterator[None]:
    """A wish to end that comes in the block is heard at its end.

    An exception in the middle of a fork leaves a child that nobody knows: it would act after all was undone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # where no handler runs
        return
    came: list[int] = []
    before = {each: found for each in _WISHES if callable(found := signal.getsignal(each))}
    for each in before:
        signal.signal(each, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
        for number in came:
            signal.raise_signal(number)


def _require(program: str, path: str, cwd: Path | None) -> None:
    """HostError unless a program can be executed: what is tied could only say so in its output."""
    place = str((cwd or Path()) / program) if os.sep in program else program
    if shutil.which(place, path=path) is None:
        there = shutil.which(place, mode=os.F_OK, path=path) is not None
        what = "cannot be executed" if there else "is missing"
        raise HostError(f"the program {program} {what}", "Run: galaxy doctor")


def process_identity(pid: int) -> str:
    """`pid:start time:boot id`, which no later process can have; '' when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if fields[0] == "Z":
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return f"{pid}:{fields[19]}:{boot}"


def process_lives(identity: str) -> bool:
    """Whether the process of that identity is there still. ValueError when it is no identity."""
    return identity != "" and process_identity(int(identity.partition(":")[0])) == identity

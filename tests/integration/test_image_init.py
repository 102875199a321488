"""PID 1 of a server, in a PID namespace of its own, with programs that behave and programs that don't."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from galaxy.host.process import background, run
from galaxy.image.stage import c_source
from galaxy.image.toolroom import Toolroom

NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
# Seconds that a machine under load may take for what takes milliseconds.
PATIENCE = 20.0


@pytest.fixture(scope="session")
def init(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("init")
    Toolroom(root=None, stage=folder).gcc(c_source("init.c"), "init")
    return folder / "init"


def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def ended(
    init: Path, script: str, tmp_path: Path, *options: str, sign: int = signal.SIGTERM
) -> tuple[int, float]:
    """Start a script under init, wait until it says that it is up, signal init; its code and the seconds it took."""
    up = tmp_path / "up"
    # A shell can't trap what was ignored when it started, as SIGHUP is under nohup.
    shell = ("env", "--default-signal=HUP", "bash")
    argv = [*NAMESPACE, init, *options, *shell, "-c", script, "script", up]
    with background(argv, log=tmp_path / "log") as process:
        until(up.exists, f"the script did not get up: {(tmp_path / 'log').read_text()}")
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        started = time.monotonic()
        os.kill(int(children[0]), sign)
        return process.wait(timeout=PATIENCE), time.monotonic() - started


@pytest.mark.parametrize(
    ("script", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143), ("exec /nonexistent", 127)],
)
def test_the_programs_own_code_is_the_containers(init: Path, script: str, code: int) -> None:
    assert run([*NAMESPACE, init, "bash", "-c", script], check=False).returncode == code


def test_a_program_that_cannot_be_started_is_named(init: Path) -> None:
    done = run([*NAMESPACE, init, "/no/such/program"], check=False)
    assert done.returncode == 127
    assert "cannot start /no/such/program" in done.stderr


def test_the_program_leads_a_session_of_its_own(init: Path) -> None:
    done = run([*NAMESPACE, init, "ps", "-o", "pid=,pgid=,sid=", "-C", "ps"])
    assert len(set(done.stdout.split())) == 1


def test_sigterm_reaches_every_process_and_the_last_one_is_waited_for(init: Path, tmp_path: Path) -> None:
    """The program ends at once; a daemon in another session takes its time, and is given it."""
    script = f"""
        setsid bash -c 'trap "sleep 0.5; echo done > {tmp_path}/daemon; exit" TERM
            touch {tmp_path}/ready; while :; do sleep 0.05; done' &
        until test -e {tmp_path}/ready; do sleep 0.02; done
        trap "exit 5" TERM; touch "$1"; while :; do sleep 0.05; done"""
    code, seconds = ended(init, script, tmp_path)
    assert code == 5
    assert seconds >= 0.5
    assert (tmp_path / "daemon").read_text() == "done\n"


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_what_does_not_end_is_killed_at_the_deadline(init: Path, tmp_path: Path, sign: int) -> None:
    script = 'trap "" TERM; touch "$1"; while :; do sleep 0.1; done'
    code, seconds = ended(init, script, tmp_path, "-t", "1", sign=sign)
    assert code == 137
    assert 1 <= seconds < 5


def test_when_the_program_dies_the_others_are_ended_too(init: Path, tmp_path: Path) -> None:
    script = f"""
        bash -c 'trap "echo told > {tmp_path}/worker; exit" TERM; touch {tmp_path}/ready
            while :; do sleep 0.05; done' &
        until test -e {tmp_path}/ready; do sleep 0.02; done
        kill -KILL $$"""
    done = run([*NAMESPACE, init, "bash", "-c", script], check=False)
    assert done.returncode == 137
    assert (tmp_path / "worker").read_text() == "told\n"


def test_orphans_are_reaped(init: Path, tmp_path: Path) -> None:
    """Their parent dies first; as long as the program lives no zombie may stay."""
    script = """
        for n in 1 2 3; do (sleep 0.1 &) ; done
        sleep 0.5
        ps -e -o stat= | grep -c Z; exit 0"""
    done = run([*NAMESPACE, init, "bash", "-c", script], check=False)
    assert done.stdout.strip() == "0"


def test_hangup_is_for_the_program(init: Path, tmp_path: Path) -> None:
    script = 'trap "exit 3" HUP; touch "$1"; while :; do sleep 0.05; done'
    assert ended(init, script, tmp_path, sign=signal.SIGHUP)[0] == 3

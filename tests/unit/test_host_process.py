"""Processes end when they should, leave nothing running, and say why they failed."""

import os
import signal
import subprocess  # noqa: TID251 - a test looks into how one is started
import sys
import threading
import time
from pathlib import Path

import pytest

import galaxy
from galaxy.cli.process import interruptible
from galaxy.host.errors import CommandError, CommandTimeoutError, HostError, InterruptedByUser
from galaxy.host.process import background, environment, find_tool, run, stream

HERE = {"PYTHONPATH": str(Path(galaxy.__file__).parents[1])}


def gone(pid: int, within: float = 5.0) -> bool:
    """Whether a process ends (or is a zombie that nobody has reaped yet) within some seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def pid_in(file: Path, within: float = 5.0) -> int:
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if file.exists() and file.read_text().endswith("\n"):
            return int(file.read_text())
        time.sleep(0.02)
    raise AssertionError(f"{file} was not written")


def test_both_streams_and_the_code() -> None:
    done = run(["sh", "-c", "echo out; echo err >&2; exit 3"], check=False)
    assert (done.returncode, done.stdout, done.stderr) == (3, "out\n", "err\n")


def test_standard_input_is_given_or_empty() -> None:
    assert run(["cat"], stdin="pässword").stdout == "pässword"
    assert run(["cat"]).stdout == ""


def test_output_that_is_not_utf8_is_replaced() -> None:
    assert run(["printf", r"a\377b"]).stdout == "a\ufffdb"


def test_the_environment_is_scrubbed(monkeypatch) -> None:
    monkeypatch.setenv("LD_PRELOAD_NOT", "x")
    monkeypatch.setenv("https_proxy", "http://proxy:1")
    seen = run(["env"], env={"EXTRA": "1"}).stdout
    assert "LD_PRELOAD_NOT" not in seen
    assert "https_proxy=http://proxy:1\n" in seen
    assert "EXTRA=1\n" in seen
    assert environment()["LC_ALL"] == "C.UTF-8"


def test_a_failure_carries_the_last_lines() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "for n in $(seq 20); do echo line $n; done; exit 7"])
    assert caught.value.returncode == 7
    assert "sh ended with 7: line 13\n" in caught.value.message
    assert caught.value.message.endswith("line 20")


def test_death_by_signal_is_told() -> None:
    with pytest.raises(CommandError, match="ended by signal 9"):
        run(["sh", "-c", "kill -9 $$"])


def test_a_missing_program_is_the_hosts_matter(tmp_path) -> None:
    with pytest.raises(HostError, match="no-such-program is missing"):
        run([tmp_path / "no-such-program"])


def test_a_program_that_is_not_executable(tmp_path) -> None:
    (tmp_path / "program").write_text("#!/bin/sh\n")
    with pytest.raises(HostError, match="cannot be executed"):
        run([tmp_path / "program"])


def test_finding_a_tool_names_its_package(fake_bin) -> None:
    path = fake_bin("only-here")
    assert find_tool("only-here", "x") == str(path)
    with pytest.raises(HostError, match="nowhere is missing") as caught:
        find_tool("nowhere", "the-package")
    assert "apt-get install the-package" in caught.value.hint


def test_a_timeout_ends_the_children_too(tmp_path) -> None:
    started = time.monotonic()
    with pytest.raises(CommandTimeoutError, match=r"within 0\.5 s"):
        run(["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/pid; wait"], timeout=0.5)
    assert time.monotonic() - started < 5
    assert gone(pid_in(tmp_path / "pid"))


def test_an_interruption_ends_the_children_too(tmp_path) -> None:
    def interrupt(_number, _frame) -> None:
        raise InterruptedByUser("SIGINT")

    before = signal.signal(signal.SIGUSR1, interrupt)
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        timer.start()
        with pytest.raises(InterruptedByUser):
            run(["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/pid; wait"])
    finally:
        timer.cancel()
        signal.signal(signal.SIGUSR1, before)
    assert gone(pid_in(tmp_path / "pid"))


def test_a_child_that_ignores_sigterm_goes_with_its_group(tmp_path) -> None:
    script = f"(trap '' TERM; sh -c 'echo $PPID' >{tmp_path}/pid; while :; do sleep 0.1; done) & wait"
    with background(["sh", "-c", script], log=tmp_path / "log"):
        pid = pid_in(tmp_path / "pid")
    assert gone(pid)


def test_streaming_gives_lines_and_keeps_the_log(tmp_path) -> None:
    lines: list[str] = []
    log = tmp_path / "log"
    log.write_text("before\n")
    code = stream(["sh", "-c", "echo a; echo b >&2; printf end"], log=log, on_line=lines.append)
    assert code == 0
    assert lines == ["a", "b", "end"]
    assert log.read_text() == "before\na\nb\nend\n"


def test_streaming_ends_at_the_deadline_even_when_nothing_is_said(tmp_path) -> None:
    started = time.monotonic()
    with pytest.raises(CommandTimeoutError, match=r"within 0\.5 s"):
        stream(["sh", "-c", "echo a; sleep 60"], log=tmp_path / "log", timeout=0.5)
    assert time.monotonic() - started < 5


def test_streaming_does_not_outwait_a_deadline_with_much_to_say(tmp_path) -> None:
    with pytest.raises(CommandTimeoutError):
        stream(["sh", "-c", "while :; do echo x; done"], log=tmp_path / "log", timeout=0.5)


def test_a_failed_stream_carries_the_last_lines(tmp_path) -> None:
    with pytest.raises(CommandError, match=r"sh ended with 2: compiler says no"):
        stream(["sh", "-c", "echo compiler says no; exit 2"], log=tmp_path / "log")
    assert stream(["sh", "-c", "exit 2"], log=tmp_path / "log", check=False) == 2


def test_a_long_line_is_one_line(tmp_path) -> None:
    lines: list[str] = []
    script = "import sys; sys.stdout.write('x' * 300_000 + chr(10))"
    stream([sys.executable, "-c", script], log=tmp_path / "log", on_line=lines.append)
    assert [len(line) for line in lines] == [300_000]


def test_what_was_started_ends_with_a_killed_galaxy(tmp_path) -> None:
    """Nobody can catch SIGKILL: without the tie, a tool would go on alone."""
    tool = ["sh", "-c", f"echo $$ >{tmp_path}/pid; exec sleep 60"]
    code = f"from galaxy.host.process import run; run({tool!r})"
    with background([sys.executable, "-c", code], log=tmp_path / "log", env=HERE) as parent:
        pid = pid_in(tmp_path / "pid")
        assert not gone(pid, within=0.2)
        parent.kill()
        assert gone(pid)


def test_a_wish_that_comes_while_a_program_is_started_ends_it(monkeypatch):
    """A child that nobody knows would go on after everything was undone."""
    made = []
    start = subprocess.Popen.__init__

    def interrupted(self, *words, **how):
        start(self, *words, **how)
        made.append(self)
        signal.raise_signal(signal.SIGINT)  # before the caller has it

    monkeypatch.setattr(subprocess.Popen, "__init__", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with interruptible(), pytest.raises(InterruptedByUser):
        run(["sleep", "600"])
    (child,) = made
    assert child.poll() is not None
    assert signal.getsignal(signal.SIGINT) is before

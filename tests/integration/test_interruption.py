"""Ctrl-C, SIGTERM and SIGKILL at each stage of build, create, start and verify: what was begun is undone."""

import shlex
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import GALAXY, galaxy_run, temporary_store, watch

from galaxy.host.process import background
from galaxy.host.store import Store
from galaxy.image.catalogue import Image

CREATE = ("create", "dc2", "--image", "4.17.12+packages", "--realm", "STOP.TEST", "--network", "private")
# One check is enough for all steps before it.
SOME = "started and not stopped and ldap.rootdse"
VERIFY = ("verify", "--matrix", "quick", "--image", "4.17.12+packages", "-n", "1", "-k", SOME)
# (command, what it has printed or made when it is interrupted)
STAGES = [
    pytest.param(("build", "4.22.11", "--packages"), "planning the build", id="build-plan"),
    pytest.param(("build", "4.22.11", "--packages"), "unpacking packages", id="build-unpack"),
    pytest.param(("build", "4.22.11", "--packages"), "finding what Samba needs", id="build-closure"),
    pytest.param(("build", "4.22.11", "--packages"), "sealing with", id="build-seal"),
    pytest.param(CREATE, "making the domain", id="create-provision"),
    pytest.param(("start", "dc1"), "", id="start"),
    pytest.param(VERIFY, "verifying", id="verify-start"),
    pytest.param(VERIFY, "create", id="verify-steps"),
]


@pytest.fixture(scope="module")
def own(image: Image) -> Iterator[Store]:
    """A store with the image and a stopped server dc1 in it."""
    with temporary_store(image) as own:
        made = galaxy_run(
            own, "create", "dc1", "--image", image.id, "--realm", "KEEP.TEST", "--network", "private"
        )
        assert made.returncode == 0, made.output
        yield own


def wait_until(met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while not met():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def interrupt(own: Store, log: Path, words: tuple[str, ...], stage: str, number: signal.Signals) -> int:
    """Run a command until its output has `stage` in it and half a second more; returns its exit code."""
    deadline = time.monotonic() + 300
    with background([*GALAXY, *words], log=log, env={"GALAXY_ROOT": str(own.root)}) as process:
        # A start says nothing before it is done; its entry is there before its acts.
        while (
            not (stage in log.read_text() if stage else any(own.journal.iterdir())) and process.poll() is None
        ):
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        time.sleep(0.5 if stage else 0.0)
        assert process.poll() is None, f"it has ended before it could be interrupted: {log.read_text()}"
        process.send_signal(number)
        return process.wait(timeout=90)


# Both signals meet one handler; the stages of a build that take long to reach meet one of them each.
CASES = [
    pytest.param(*stage.values, number, id=f"{stage.id}-{number.name}")
    for stage in STAGES
    for number in (signal.SIGINT, signal.SIGTERM)
    if (stage.id, number) not in {("build-closure", signal.SIGINT), ("build-seal", signal.SIGTERM)}
]


@pytest.mark.parametrize(("words", "stage", "number"), CASES)
def test_an_interruption_leaves_nothing(own, tmp_path, words, stage, number) -> None:
    settled = watch(own)
    code = interrupt(own, tmp_path / "log", words, stage, number)
    said = (tmp_path / "log").read_text()
    assert code == 130, said
    assert f"error: interrupted by {number.name}" in said
    assert "not undone" not in said
    assert "Traceback" not in said
    settled()


def test_a_restart_whose_terminal_is_closed_ends_with_the_server_running(own, tmp_path) -> None:
    settled = watch(own)
    assert galaxy_run(own, "start", "dc1").returncode == 0
    try:
        command = shlex.join([*GALAXY, "restart", "dc1"])
        argv = ["env", "--default-signal=HUP", "script", "-qec", command, "/dev/null"]
        env = {"GALAXY_ROOT": str(own.root)}
        with background(argv, log=tmp_path / "log", env=env) as terminal:
            wait_until(lambda: any(own.journal.iterdir()))
            terminal.kill()
        wait_until(lambda: not any(own.journal.iterdir()))
        assert galaxy_run(own, "recover").stdout == "nothing was left behind\n"
        assert "running" in galaxy_run(own, "status", "dc1").stdout
    finally:
        galaxy_run(own, "stop", "dc1")
    settled()


@pytest.mark.parametrize(("words", "stage"), [STAGES[2], STAGES[4], STAGES[5], STAGES[7]])
def test_a_killed_command_is_undone_by_the_next(own, tmp_path, words, stage) -> None:
    settled = watch(own)
    assert interrupt(own, tmp_path / "log", words, stage, signal.SIGKILL) == -signal.SIGKILL
    recovered = galaxy_run(own, "recover")
    assert recovered.returncode == 0, recovered.output
    settled()
    assert galaxy_run(own, "recover").stdout == "nothing was left behind\n"

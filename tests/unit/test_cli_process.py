"""Every way in which a command can end has its exit code and its words."""

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator

import pytest

from galaxy import __version__
from galaxy.cli import app
from galaxy.cli.process import run_command_line
from galaxy.cli.render import table
from galaxy.host.errors import (
    BuildError,
    CommandError,
    GalaxyError,
    GateError,
    HostError,
    InputError,
    PolicyError,
    ServerError,
)
from galaxy.host.process import run
from galaxy.host.store import Store, default_store
from galaxy.server import running
from galaxy.server.config import Server


@pytest.fixture
def raising(monkeypatch):
    """Make `galaxy ls` raise something."""

    def arrange(error: BaseException) -> None:
        def command() -> None:
            raise error

        monkeypatch.setattr(app, "_load", lambda _command: command)

    return arrange


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (GateError("x", "y"), 1),
        (InputError("x", "y"), 2),
        (HostError("x", "y"), 3),
        (BuildError("x", "y"), 4),
        (ServerError("x", "y"), 5),
        (PolicyError("x", "y"), 6),
        (GalaxyError("x", "y"), 1),
    ],
)
def test_an_error_is_two_lines_and_its_code(raising, galaxy_command, error, code) -> None:
    raising(error)
    assert galaxy_command("ls") == (code, "", "error: x\n  y\n")


def test_what_could_not_be_undone_is_told(raising, galaxy_command) -> None:
    error = ServerError("dc1 did not start", "See its log.")
    error.add_note("not undone: mount /x")
    raising(error)
    assert galaxy_command("ls")[2].endswith("See its log.\n  not undone: mount /x\n")


def test_a_failed_program_is_the_hosts_matter(raising, galaxy_command) -> None:
    raising(CommandError(("mount",), 32, "wrong fs type"))
    assert galaxy_command("ls") == (3, "", "error: mount ended with 32: wrong fs type\n")


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No space left on device: /store/x\n  Free some space"),
        (
            errno.EPERM,
            "Operation not permitted: /store/x\n  Find out what keeps root from it: lsattr -d /store/x",
        ),
        (errno.EROFS, "Read-only file system: /store/x\n  See what made it so (dmesg)"),
    ],
)
def test_a_disk_that_takes_nothing_is_the_hosts_matter(
    raising, galaxy_command, number, words, monkeypatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    raising(OSError(number, os.strerror(number), "/store/x"))
    code, _, err = galaxy_command("ls")
    assert code == 3
    assert err.startswith(f"error: {words}")


def test_a_path_that_no_file_can_have_is_bad_input(galaxy_command) -> None:
    path = f"/tmp/{'a' * 300}"
    code, _, err = galaxy_command("image", "import", path)
    assert (code, err) == (2, f"error: File name too long: {path}\n  Name another path.\n")


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("why"), OSError(errno.EIO, "why"), AssertionError("why")]
)
def test_a_defect_keeps_its_traceback(raising, galaxy_command, error) -> None:
    raising(error)
    code, _, err = galaxy_command("ls")
    assert code == 70
    assert "Traceback" in err
    assert "why" in err
    assert "defect in Galaxy" in err


@pytest.fixture
def hangup() -> Iterator[None]:
    """SIGHUP as a terminal leaves it, whatever started the tests."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangup")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_unwinds_and_further_ones_do_not_disturb(monkeypatch, galaxy_command, number) -> None:
    undone: list[bool] = []

    def command() -> None:
        try:
            os.kill(os.getpid(), number)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            undone.append(True)

    monkeypatch.setattr(app, "_load", lambda _command: command)
    before = signal.getsignal(number)
    code, _, err = galaxy_command("ls")
    assert code == 130
    assert err.startswith(f"error: interrupted by {number.name}\n")
    assert undone == [True]
    assert signal.getsignal(number) is before


@pytest.mark.usefixtures("hangup")
def test_under_nohup_a_closed_terminal_interrupts_nothing(monkeypatch, galaxy_command) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    monkeypatch.setattr(app, "_load", lambda _command: lambda: os.kill(os.getpid(), signal.SIGHUP))
    assert galaxy_command("ls")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["no-such-command"], "No such command 'no-such-command'"),
        (["image", "no-such-command"], "No such command 'no-such-command'"),
        (["doctor", "--no-such-option"], "No such option: --no-such-option"),
        (["doctor", "too", "much"], "unexpected extra argument"),
    ],
)
def test_wrong_use_is_2(galaxy_command, arguments, words) -> None:
    code, out, err = galaxy_command(*arguments)
    assert (code, out) == (2, "")
    assert words in err


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version(galaxy_command, option) -> None:
    assert galaxy_command(option) == (0, f"galaxy {__version__}\n", "")


def test_help_loads_no_command(galaxy_command, monkeypatch) -> None:
    monkeypatch.setattr(app, "_load", None)
    code, out, _ = galaxy_command("--help")
    assert code == 0
    assert "Create a domain controller" in out
    assert "Exit codes: 0 done" in " ".join(out.split())


def test_the_version_loads_nothing() -> None:
    script = (
        "import sys; sys.argv = ['galaxy', '--version']\n"
        "from galaxy.entry import main\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'typer', 'pydantic', 'galaxy.cli'} & set(sys.modules), sys.modules"
    )
    assert run([sys.executable, "-c", script]).stdout == f"galaxy {__version__}\n"


def test_a_reader_that_has_gone_is_no_error() -> None:
    script = "import sys; sys.argv = ['galaxy', '--help']\nfrom galaxy.entry import main\nmain()"
    done = run(["bash", "-c", 'set -o pipefail; "$0" -c "$1" | true', sys.executable, script])
    assert done.output == ""


@pytest.mark.parametrize("lines", [1, 100_000])
@pytest.mark.parametrize("raised", ["", "raise InputError('wrong', 'Do it right.')"])
def test_an_output_that_cannot_be_written_is_told(lines, raised) -> None:
    script = (
        "import sys\n"
        "from galaxy.cli import app\n"
        "from galaxy.cli.process import run_command_line\n"
        "from galaxy.host.errors import InputError\n"
        "def command():\n"
        f"    print('x\\n' * {lines})\n"
        f"    {raised or 'pass'}\n"
        "app._load = lambda _command: command\n"
        "sys.exit(run_command_line(['ls']))"
    )
    done = run(["bash", "-c", '"$0" -c "$1" >/dev/full', sys.executable, script], check=False)
    if raised and lines == 1:
        assert (done.returncode, done.stderr) == (2, "error: wrong\n  Do it right.\n")
    else:
        why = "error: the output cannot be written: No space left on device\n  Send it to another place.\n"
        assert (done.returncode, done.stderr) == (3, why)
    gone = run(["bash", "-c", 'set -o pipefail; "$0" -c "$1" | true', sys.executable, script], check=False)
    assert (gone.returncode, gone.stderr) == ((2, "error: wrong\n  Do it right.\n") if raised else (0, ""))
    deaf = run(["bash", "-c", '"$0" -c "$1" >/dev/full 2>&1', sys.executable, script], check=False)
    assert deaf.returncode == done.returncode


def test_work_goes_on_when_its_reader_has_gone(tmp_path) -> None:
    script = (
        "import sys, time\n"
        "from pathlib import Path\n"
        "from galaxy.cli import app\n"
        "from galaxy.cli.process import run_command_line\n"
        "from galaxy.host.errors import GateError\n"
        "def command():\n"
        "    time.sleep(0.3)\n"
        "    for _ in range(3): print('x' * 10_000, flush=True)\n"
        f"    Path({str(tmp_path / 'done')!r}).touch()\n"
        "    raise GateError('the checks fail', 'See the report.')\n"
        "app._load = lambda _command: command\n"
        "sys.exit(run_command_line(['ls']))"
    )
    left = run(["bash", "-c", 'set -o pipefail; "$0" -c "$1" | true', sys.executable, script], check=False)
    assert (left.returncode, left.stderr) == (1, "error: the checks fail\n  See the report.\n")
    assert (tmp_path / "done").exists()


def test_a_strict_umask_stays_outside(monkeypatch, galaxy_command, tmp_path) -> None:
    monkeypatch.setattr(app, "_load", lambda _command: (tmp_path / "made").mkdir)
    before = os.umask(0o077)
    try:
        assert galaxy_command("ls")[0] == 0
    finally:
        os.umask(before)
    assert (tmp_path / "made").stat().st_mode & 0o777 == 0o755


def test_an_interruption_is_no_error_that_a_library_could_handle(monkeypatch, galaxy_command) -> None:
    def command() -> None:
        with contextlib.suppress(Exception):
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(app, "_load", lambda _command: command)
    assert galaxy_command("ls")[0] == 130


def test_a_table_has_columns(capsys) -> None:
    table(("name", "size"), [("a", 1), ("long name", "x")])
    assert capsys.readouterr().out == "name       size\na          1\nlong name  x\n"


def test_changing_things_needs_root(galaxy_command, monkeypatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, _, err = galaxy_command("recover")
    assert code == 3
    assert err == "error: Undoing what a command left needs root\n  Run it again with sudo.\n"


def test_recovering_nothing(monkeypatch, capsys) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert run_command_line(["recover"]) == 0
    assert capsys.readouterr().out == "nothing was left behind\n"


@pytest.mark.parametrize(
    "words",
    ["image ls", "image show x", "snapshots dc1", "upgrade dc1 4.22.11 --plan", "rollback dc1 --plan"],
)
def test_a_store_that_is_a_file_is_told_by_every_command_that_looks(tmp_path, monkeypatch, capsys, words):
    (tmp_path / "store").touch()
    monkeypatch.setenv("GALAXY_ROOT", str(tmp_path / "store"))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert run_command_line(words.split()) == 3
    assert "is no folder\n  Set GALAXY_ROOT to a folder." in capsys.readouterr().err


def test_a_start_is_done_when_what_was_interrupted_has_started_the_server(monkeypatch, capsys, config_with):
    """A boot script would take "is running already" for a failure."""
    store = default_store().ensure()
    server = Server(store=store, config=config_with())
    server.folder.mkdir(parents=True)
    server.write()

    def recovering(_purpose: str, _subject: str) -> Store:
        running.note(server, os.getpid())
        return store

    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr("galaxy.cli.server.ready_store", recovering)
    assert run_command_line(["start", "dc1"]) == 0
    assert "dc1: running" in capsys.readouterr().out
    assert run_command_line(["start", "dc1"]) == 2, "now it runs already"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("prune dc1 --older-than 1000000", "--older-than"),
        ("exec dc1 --", "no program is named"),
        (f"status {'d' * 300}", "there is no server"),
        (f"start {'d' * 300}", "there is no server"),
    ],
)
def test_bad_input_is_wrong_use(monkeypatch, capsys, config_with, words, says):
    server = Server(store=default_store().ensure(), config=config_with())
    server.folder.mkdir(parents=True)
    server.write()
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert run_command_line(words.split()) == 2
    assert says in capsys.readouterr().err

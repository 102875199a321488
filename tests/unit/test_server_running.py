"""Which process runs a server, what its logs tell, and who holds a port, without Samba."""

import json
import os
import shutil
import signal
import socket
import subprocess  # noqa: TID251 - a process to be believed and to be ended
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest

from galaxy.host import mounts
from galaxy.host.errors import HostError, InputError, InterruptedByUser, PolicyError, ServerError
from galaxy.host.process import process_identity
from galaxy.host.settings import Settings
from galaxy.server import config, container, lifecycle, logs, ports, running
from galaxy.server.broken import load_to_remove
from galaxy.server.provision import _refusal
from galaxy.server.smbconf import require_own_names
from galaxy.server.whole import require_whole


def test_a_server_that_another_command_has_changed_is_looked_at_anew(server):
    """Whoever waited for the lock of an upgrade knows the version of before."""
    server.as_image("c" * 64).write()
    with pytest.raises(PolicyError, match="was changed by another command meanwhile"), lifecycle.held(server):
        pytest.fail("held")


def test_the_password_of_a_join_that_was_killed_at_its_end_goes_with_the_next_command(server):
    server.secrets.mkdir()
    server.joining.write_text("{}")
    with lifecycle.held(server, begins=False):
        assert server.joining.exists(), "its join may still have to be undone"
    with lifecycle.held(server):
        assert not server.joining.exists()


def test_a_server_runs_while_its_very_process_lives(server, sleeper):
    assert lifecycle.status(server).state == "stopped"
    noted = running.note(server, sleeper.pid)
    assert running.alive(server) == noted
    assert lifecycle.status(server).state == "running"
    with pytest.raises(InputError, match="running already"):
        lifecycle.require_stopped(server)
    assert running.end(noted, signal.SIGKILL, 5)
    assert running.alive(server) is None
    status = lifecycle.status(server)
    assert (status.state, status.why) == ("ended", "it ended by itself or was killed")
    with pytest.raises(InputError, match="not running"):
        lifecycle.require_running(server)


def test_a_copy_of_a_running_servers_folder_does_not_run(server, sleeper):
    noted = running.note(server, sleeper.pid)
    copy = replace(server, config=server.config.model_copy(update={"name": "copy"}))
    copy.folder.mkdir()
    shutil.copy(server.record, copy.record)
    assert running.alive(copy) is None
    assert lifecycle.status(copy).state == "ended"
    lifecycle.remove(copy, Settings(), force=True)
    assert running.alive(server) == noted
    assert sleeper.poll() is None


def test_who_breaks_off_a_removal_is_told_that_it_ends_all_the_same(server, monkeypatch):
    """What is half removed is of no use; that nothing half made is left would be no word about the server."""
    real = shutil.rmtree

    def signalled(path):
        monkeypatch.setattr(shutil, "rmtree", real)
        raise InterruptedByUser("SIGTERM")

    server.write()
    monkeypatch.setattr(shutil, "rmtree", signalled)
    with pytest.raises(InterruptedByUser) as wish:
        lifecycle.remove(server, Settings())
    assert "dc1 is removed all the same" in wish.value.hint
    assert not server.folder.exists()
    assert not list(server.store.journal.glob("*.json"))


@pytest.fixture
def in_container(server, tmp_path, monkeypatch):
    """A process that looks like a server's first one, and what the OCI runtime has of it."""
    monkeypatch.setattr(config, "RUNTIME_ROOT", tmp_path / "runtime")

    def go(program):
        script = "import time; print(flush=True); time.sleep(60)"
        process = subprocess.Popen([sys.executable, "-c", script, "init", program], stdout=-1)
        process.stdout.readline()
        state = server.runtime_root / server.container / "state.json"
        state.parent.mkdir(parents=True, exist_ok=True)
        began = int(process_identity(process.pid).split(":")[1])
        told = {
            "init_process_pid": process.pid,
            "init_process_start": began,
            "created": "2026-11-27T17:16:50.123Z",
        }
        state.write_text(json.dumps(told))
        started.append(process)
        return process, state

    started = []
    yield go
    for process in started:
        process.kill()
        process.communicate()


def test_what_runs_under_a_folder_that_was_replaced_is_found(server, in_container):
    process, state = in_container("/usr/sbin/samba")
    found = running.alive(server)
    assert (found.pid, found.since) == (process.pid, "2026-11-27T17:16:50+00:00")
    with pytest.raises(InputError, match="running already"):
        lifecycle.require_stopped(server)
    state.write_text(json.dumps({**json.loads(state.read_text()), "init_process_start": 1}))
    assert running.alive(server) is None, "the process of that number is a later one"
    state.write_text("{")
    assert running.alive(server) is None


def test_another_program_in_the_container_is_no_running_server(server, in_container):
    in_container("/usr/bin/python3")
    assert running.alive(server) is None


def test_another_process_of_the_same_number_is_not_believed_or_signalled(server, sleeper):
    noted = running.note(server, sleeper.pid)
    pid, _, boot = noted.identity.split(":")
    older = replace(noted, identity=f"{pid}:1:{boot}")
    assert not older.alive
    assert running.end(older, signal.SIGKILL, 1)
    assert sleeper.poll() is None


def test_a_process_that_ignores_the_signal_is_reported(server):
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", script], stdout=-1)
    try:
        process.stdout.readline()
        assert not running.end(running.note(server, process.pid), signal.SIGTERM, 0.05)
    finally:
        process.kill()
        process.communicate()


def test_one_that_ended_before_it_was_noted_is_not_alive(server):
    noted = running.note(server, 2**22 + 1)
    assert noted.identity == ""
    assert not noted.alive
    assert lifecycle.status(server).why == "it ended by itself or was killed"


def test_what_has_ended_by_itself_can_be_stopped(server, sleeper):
    with pytest.raises(InputError, match="not running"):
        lifecycle.stop(server, Settings())
    running.note(server, sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert lifecycle.status(server).state == "ended"
    lifecycle.stop(server, Settings())
    assert lifecycle.status(server).state == "stopped"


def test_a_server_whose_end_is_under_way_is_killed_without_an_error(server, sleeper, monkeypatch):
    """What undoes an interrupted change meets processes that their killed command had told to end."""
    noted = running.note(server, sleeper.pid)
    monkeypatch.setattr(running, "alive", lambda _server: noted)
    sleeper.kill()
    sleeper.wait()
    lifecycle.kill_if_running(server)
    monkeypatch.undo()
    lifecycle.kill_if_running(server)
    with pytest.raises(InputError, match="dc1 is not running"):
        lifecycle.kill(server)


@pytest.mark.parametrize("text", ["", "[]", '{"pid": 1}'])
def test_a_record_that_cannot_be_read_names_nobody(server, text):
    server.record.write_text(text)
    assert lifecycle.status(server).state == "ended"
    lifecycle.stop(server, Settings())
    assert lifecycle.status(server).state == "stopped"


def test_a_server_with_a_broken_file_goes_with_what_it_runs(server, sleeper, monkeypatch):
    monkeypatch.setattr(lifecycle, "take_down", lambda _server: None)
    (server.folder / "server.toml").write_text("[[")
    server.etc_host.mkdir()
    (server.etc_host / "hosts").write_text("127.0.0.1 localhost\n192.0.2.7 dc1.ad.example.org dc1\n")
    running.note(server, sleeper.pid)
    with pytest.raises(InputError, match="there is no server dc2"):
        load_to_remove(server.store, "dc2", force=True)
    with pytest.raises(InputError, match="is not valid TOML") as caught:
        load_to_remove(server.store, "dc1", force=False)
    assert "galaxy rm dc1 --force" in caught.value.hint
    broken = load_to_remove(server.store, "dc1", force=True)
    assert broken.config.address == "192.0.2.7"
    lifecycle.remove(broken, Settings(), force=True)
    assert sleeper.wait() == -signal.SIGTERM
    assert not server.folder.exists()


@pytest.mark.parametrize("lost", ["etc", "etc/smb.conf", "state", "state/private", "state/private/sam.ldb"])
def test_what_is_missing_is_named_at_once(server, monkeypatch, lost):
    for folder in (server.etc, server.state / "private"):
        folder.mkdir(parents=True)
    for file in (server.etc / "smb.conf", server.state / "private/sam.ldb"):
        file.write_text("realm = AD.EXAMPLE.ORG\n")
    require_whole(server)
    assert server.cache.is_dir()
    with monkeypatch.context() as patched:
        patched.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=1000))
        with pytest.raises(HostError, match=r"starting dc1 needs 4\.0 MB under .*, and 1\.0 kB are free"):
            require_whole(server)
    (server.folder / lost).rename(server.folder / "lost")
    with pytest.raises(ServerError, match=f"{server.folder / lost} is missing") as caught:
        require_whole(server)
    assert "galaxy rm" in caught.value.hint


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("realm = OTHER.EXAMPLE.ORG", r"`realm = OTHER.EXAMPLE.ORG`, and it is AD.EXAMPLE.ORG"),
        ("realm = AD.EXAMPLE.ORG\nWorkGroup=OTHER", r"`workgroup = OTHER`, and it is AD"),
        ("realm = AD.EXAMPLE.ORG\nnetbios  name = dc7", r"`netbios name = dc7`, and it is DC1"),
    ],
)
def test_a_smb_conf_of_another_server_is_refused(server, line, said):
    server.etc.mkdir()
    (server.etc / "smb.conf").write_text(f"[global]\n\t{line}\n")
    with pytest.raises(ServerError, match=f"dc1 cannot be started: its smb.conf says {said}"):
        require_own_names(server, "dc1 cannot be started")


@pytest.mark.parametrize(
    "text",
    ["", "netbios name = %h", 'workgroup = "AD"', "include = /x\nrealm = OTHER"],
)
def test_a_smb_conf_that_may_well_be_right_is_left_to_samba(server, text):
    server.etc.mkdir()
    (server.etc / "smb.conf").write_text(f"[global]\nrealm = ad.Example.org\n{text}\n")
    require_own_names(server, "dc1 cannot be started")


def test_a_smb_conf_that_is_gone_under_a_running_server_is_refused(server):
    with pytest.raises(ServerError, match=r"its smb\.conf cannot be read: No such file"):
        require_own_names(server, "dc1 is broken before the upgrade")


def test_a_smb_conf_that_is_none_is_refused(server):
    server.etc.mkdir()
    (server.etc / "smb.conf").write_bytes(b"\0\xff" * 9)
    with pytest.raises(ServerError, match=r"its smb\.conf names no realm"):
        require_own_names(server, "dc1 cannot be started")


def test_a_reboot_is_told_apart(server, sleeper):
    noted = running.note(server, sleeper.pid)
    before = replace(noted, identity=noted.identity.rpartition(":")[0] + ":other", since="")
    assert lifecycle._why_ended(before) == "the host was restarted"


def test_only_what_was_written_since_and_tells_something_is_shown(server):
    (server.log / "log.samba").write_text("[2026/01/01 00:00:00, 0] x.c:1(old)\n  old error\n")
    before = logs.marks(server)
    with (server.log / "log.samba").open("a") as log:
        log.write("[2026/01/02 00:00:00, 0] x.c:1(failed)\n  all well\n  bind: Address already in use\n" * 3)
    (server.log / "console.log").write_text("init: cannot start /usr/sbin/samba: No such file\n")
    assert logs.telling_lines(server, before) == [
        "init: cannot start /usr/sbin/samba: No such file",
        "bind: Address already in use",
    ]


def test_following_sees_new_lines_new_files_and_rotation(server):
    log = server.log / "log.samba"
    log.write_text("before\n" * 50)
    steps = iter(
        [lambda: log.write_text("rotated\n"), lambda: (server.log / "log.new").write_text("fresh\n")]
    )

    def alive():
        step = next(steps, None)
        if step is not None:
            step()
        return step is not None

    seen = list(logs.follow(lambda: logs.log_files(server), alive, every=0))
    assert seen == [("log.samba", "rotated"), ("log.new", "fresh")]


def test_following_goes_on_in_a_log_that_was_given_another_name(server):
    log = server.log / "log.samba"
    log.write_text("before\n" * 50)

    def rotate():
        with log.open("a") as sink:
            sink.write("last\n")
        log.rename(log.with_suffix(".old"))
        log.write_text("first\n")

    steps = iter([rotate])
    found = list(logs.follow(lambda: logs.log_files(server), lambda: next(steps, list)() is None, every=0))
    assert sorted(found) == [("log.old", "last"), ("log.samba", "first")]


def test_listeners_and_their_holders_are_found():
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("::1", 0))
        found = {(item.protocol, item.address, item.port): item.inode for item in ports.listeners()}
        inode = found["tcp", "127.0.0.1", tcp.getsockname()[1]]
        assert ("udp", "::1", udp.getsockname()[1]) in found
        assert ports.holders({inode})[inode].endswith(f"(process {os.getpid()})")


@pytest.mark.parametrize(
    ("address", "in_the_way"),
    [("192.0.2.1", True), ("0.0.0.0", True), ("::", True), ("127.0.0.53", False)],
)
def test_a_listener_elsewhere_is_in_nobodys_way(address, in_the_way):
    listener = ports.Listener(protocol="udp", address=address, port=53, inode="1")
    assert ports._in_the_way(listener, "192.0.2.1") is in_the_way


def test_the_host_knows_its_addresses():
    assert "127.0.0.1" in ports.host_addresses()


@pytest.mark.parametrize(
    ("output", "kind", "says"),
    [
        ("INFO x\nERROR: Administrator password does not meet the default minimum password length", InputError,
         "refuses the administrator password: Administrator password does not meet"),
        ('time="x" level=error msg="runc run failed: no \\"x\\" here"', ServerError, 'runc run failed: no "x" here'),
        ("", ServerError, "samba-tool ended with 1"),
        ("OSError: [Errno 28] No space left on device\nERROR: uncaught exception", HostError, "no space left for dc1"),
    ],
)  # fmt: skip
def test_a_failed_provision_is_told_in_sambas_words(server, output, kind, says):
    done = container.Completed(argv=("x",), returncode=1, stdout=output, stderr="", seconds=0)
    error = _refusal(server, done)
    assert isinstance(error, kind)
    assert says in error.message


def test_a_server_with_a_mount_in_it_is_not_removed(server, monkeypatch):
    """Removing would empty what is mounted there: another disk, or a folder of the host's."""
    server.write()
    (server.state / "data").mkdir(parents=True)
    monkeypatch.setattr(mounts, "mount_points", lambda: ["/", str(server.state / "data")])
    with pytest.raises(HostError, match=r"dc1 cannot be removed: .*/state/data is a mount"):
        lifecycle.remove(server, Settings(), force=True)
    assert (server.folder / "server.toml").exists()
    assert not list(server.store.journal.glob("*.json"))

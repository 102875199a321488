"""When a server counts as ready: its services answer, and users can log on."""

import socket

import pytest

from galaxy.host.errors import ServerError
from galaxy.server import logons, ready, running
from galaxy.server.questions import NoAnswerError

ENDED = running.Running(pid=0, identity="", since="", container="")


def test_waiting_ends_when_the_server_has(server, monkeypatch):
    monkeypatch.setattr(ready, "PROBES", dict.fromkeys(("ldap", "smb"), _refuse))
    (server.log / "log.samba").write_text(
        "  exit_daemon: daemon failed to start: Samba cannot find its state\n"
    )
    with pytest.raises(ServerError, match=r"ended while it started.*\n.*cannot find its state"):
        ready.wait_ready(server, 60, ENDED)


def test_the_deadline_names_what_does_not_answer_and_why(server, monkeypatch, sleeper):
    monkeypatch.setattr(ready, "PROBES", {"ldap": _refuse, "dns": lambda _config: None})
    with pytest.raises(ServerError, match=r"does not answer within 0.1 s: LDAP \(Connection refused\)\n"):
        ready.wait_ready(server, 0.1, running.note(server, sleeper.pid))


def test_smb_has_not_answered_while_nobody_can_log_on(server, monkeypatch, sleeper):
    monkeypatch.setattr(ready, "PROBES", {"smb": lambda _config: None})
    process = running.note(server, sleeper.pid)
    with pytest.raises(ServerError, match=r"SMB \(nobody can log on: winbindd is not there \(No such file"):
        ready.wait_ready(server, 0.1, process)
    assert "nobody can log on" in ready.answers(server, 0.1)["smb"]


def test_winbindd_is_there_once_it_listens(server, monkeypatch, sleeper, tmp_path):
    process = running.note(server, sleeper.pid)
    pipe = tmp_path / "pipe"
    monkeypatch.setattr(logons, "_PIPE", str(pipe).lstrip("/"))
    with socket.socket(socket.AF_UNIX) as winbindd:
        winbindd.bind(str(pipe))
        with pytest.raises(NoAnswerError, match="Connection refused"):
            logons.require_logons(process)
        winbindd.listen()
        logons.require_logons(process)


def test_a_server_that_does_not_run_is_not_asked(server):
    assert set(ready.answers(server).values()) == {"the server is not running"}


def _refuse(_config):
    raise ConnectionRefusedError(111, "Connection refused")

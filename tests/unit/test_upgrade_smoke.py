"""The questions that are asked while clients wait: when each is asked, and whose answer counts."""

import threading

import pytest

from galaxy.host.errors import ServerError
from galaxy.host.process import Completed
from galaxy.server.config import Server, ServerConfig
from galaxy.server.ready import Readiness
from galaxy.upgrade import smoke as smoke_module
from galaxy.upgrade.smoke import smoke, start_smoked

READY = Readiness(ldap=0.1, smb=0.2, kerberos=0.1, dns=0.1)


@pytest.fixture
def server(tmp_path):
    config = ServerConfig.model_validate(
        {
            "name": "dc1",
            "image_id": "ab" * 32,
            "realm": "AD.EXAMPLE.ORG",
            "domain": "AD",
            "hostname": "dc1",
            "address": "192.0.2.10",
            "created": "2026-01-01T00:00:00Z",
        }
    )
    return Server(store=None, config=config, home=tmp_path)


class Inside:
    """What the programs in the server answer: codes by program, in turn; the last stays."""

    def __init__(self, **codes):
        self.codes = {name: list(listed) for name, listed in codes.items()}
        self.asked = []
        self.came = threading.Event()

    def __call__(self, _server, argv, **_):
        self.asked.append(argv[0])
        self.came.set()
        left = self.codes.get(argv[0], [0])
        code = left.pop(0) if len(left) > 1 else left[0]
        return Completed(argv=argv, returncode=code, stdout="", stderr="no such thing", seconds=0.1)


def starting(monkeypatch, inside, act):
    """`start_held` is this: `act` gets what is told of services that answer."""

    def start_held(_server, _settings, *, in_network, answered):
        act(answered)
        return READY

    monkeypatch.setattr(smoke_module, "exec_", inside)
    monkeypatch.setattr(smoke_module.lifecycle, "start_held", start_held)


def test_a_question_is_asked_when_what_it_needs_answers(monkeypatch, server):
    inside = Inside()

    def act(answered):
        answered("ldap")
        assert not inside.asked
        answered("kerberos")
        assert inside.came.wait(10)
        assert inside.asked == ["ldbsearch"]
        answered("dns")
        answered("smb")

    starting(monkeypatch, inside, act)
    ready, _ = start_smoked(server, None, in_network=True)
    assert ready is READY
    assert sorted(inside.asked) == ["ldbsearch", "smbclient"]


def test_one_that_failed_early_is_asked_again(monkeypatch, server):
    inside = Inside(ldbsearch=[1, 0])
    starting(monkeypatch, inside, lambda answered: [answered(name) for name in ("kerberos", "ldap", "smb")])
    start_smoked(server, None, in_network=True)
    assert sorted(inside.asked) == ["ldbsearch", "ldbsearch", "smbclient"]


def test_one_that_fails_twice_is_told(monkeypatch, server):
    inside = Inside(smbclient=[1])
    starting(monkeypatch, inside, lambda answered: [answered(name) for name in ("kerberos", "ldap", "smb")])
    with pytest.raises(ServerError, match="listing sysvol over SMB fails: no such thing"):
        start_smoked(server, None, in_network=True)
    assert inside.asked.count("smbclient") == 2


def test_a_server_that_does_not_start_is_asked_nothing_more(monkeypatch, server):
    def act(_answered):
        raise ServerError("it ended", "Read the log")

    inside = Inside()
    starting(monkeypatch, inside, act)
    with pytest.raises(ServerError, match="it ended"):
        start_smoked(server, None, in_network=True)
    assert not inside.asked


def test_a_running_server_is_asked_each_once(monkeypatch, server):
    inside = Inside(ldbsearch=[1])
    monkeypatch.setattr(smoke_module, "exec_", inside)
    with pytest.raises(ServerError, match="a search over LDAP fails"):
        smoke(server)
    assert sorted(inside.asked) == ["ldbsearch", "smbclient"]

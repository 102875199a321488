"""The questions that are asked while clients wait: when each is asked, and whose answer counts."""

import pytest

from galaxy.host.errors import ServerError
from galaxy.host.process import Completed
from galaxy.host.store import Store
from galaxy.server.config import Server
from galaxy.server.ready import Readiness
from galaxy.upgrade import smoke as smoke_module
from galaxy.upgrade.smoke import smoke, start_smoked
from verify.clients.waiting import within

READY = Readiness(ldap=0.1, smb=0.2, kerberos=0.1, dns=0.1)


@pytest.fixture
def server(tmp_path, config_with):
    return Server(store=Store(root=tmp_path), config=config_with(), home=tmp_path)


class Inside:
    """What the programs in the server answer: codes by program, in turn; the last stays. `net` is the logon's."""

    def __init__(self, **codes):
        self.codes = {name: list(listed) for name, listed in codes.items()}
        self.asked = []

    def __call__(self, _server, argv, **_):
        name = argv[4]
        self.asked.append(name)
        left = self.codes.get(name, [0])
        code = left.pop(0) if len(left) > 1 else left[0]
        return Completed(argv=argv, returncode=code, stdout="", stderr="no such thing", seconds=0.1)

    def has(self, *names):
        """Wait until these, and no others, have been asked."""
        assert within(10, lambda: sorted(self.asked) == sorted(names)), self.asked


def starting(monkeypatch, inside, act):
    """`start_held` is this: `act` gets what is told of services that answer."""

    def start_held(_server, _settings, *, in_network, answered):
        act(answered)
        return READY

    monkeypatch.setattr(smoke_module, "exec_", inside)
    monkeypatch.setattr(smoke_module.lifecycle, "start_held", start_held)


def all_up(answered):
    for name in ("kerberos", "ldap", "smb"):
        answered(name)


def test_a_question_is_asked_when_what_it_needs_is_there(monkeypatch, server):
    inside = Inside()

    def act(answered):
        answered("ldap")
        assert not inside.asked
        answered("kerberos")
        inside.has("net", "ldbsearch")
        answered("dns")
        answered("smb")

    starting(monkeypatch, inside, act)
    ready, _ = start_smoked(server, None, in_network=True)
    assert ready is READY
    assert inside.asked == ["net", "ldbsearch", "smbclient"]


def test_one_that_failed_early_is_asked_again(monkeypatch, server):
    inside = Inside(ldbsearch=[1, 0])
    starting(monkeypatch, inside, all_up)
    start_smoked(server, None, in_network=True)
    inside.has("net", "ldbsearch", "ldbsearch", "smbclient")


def test_a_logon_that_failed_early_is_asked_again_and_the_others_after_it(monkeypatch, server):
    inside = Inside(net=[1, 0])

    def act(answered):
        all_up(answered)
        inside.has("net")

    starting(monkeypatch, inside, act)
    start_smoked(server, None, in_network=True)
    inside.has("net", "net", "ldbsearch", "smbclient")


def test_one_that_fails_twice_is_told(monkeypatch, server):
    inside = Inside(smbclient=[1])
    starting(monkeypatch, inside, all_up)
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


@pytest.mark.parametrize(
    ("fails", "why"),
    [("net", "the machine account's logon fails"), ("ldbsearch", "a search over LDAP fails")],
)
def test_a_running_server_is_asked_each_once(monkeypatch, server, fails, why):
    inside = Inside(**{fails: [1]})
    monkeypatch.setattr(smoke_module, "exec_", inside)
    with pytest.raises(ServerError, match=why):
        smoke(server)
    assert inside.asked.count(fails) == 1

"""Replication that is asked for: a KCC that is never answered does not hold anything up."""

import json
from types import SimpleNamespace

import pytest

from galaxy.host.errors import CommandTimeoutError, ServerError
from galaxy.host.process import Completed
from galaxy.upgrade import replicate

SERVER = SimpleNamespace(
    name="dc1", config=SimpleNamespace(fqdn="dc1.ad.example.org", base_dn="DC=ad,DC=example,DC=org")
)


class Dcs:
    """samba-tool of two DCs: the first run of the KCC is the one that a run of the DC's own has ended."""

    def __init__(self):
        self.asked = []

    def __call__(self, _server, argv, *, timeout):
        verb = argv[2]
        self.asked.append((verb, timeout))
        if verb == "kcc" and len(self.asked) == 1:
            raise CommandTimeoutError(argv, timeout, "")
        links = [
            {"NC dn": context, "DSA": "Default-First-Site-Name\\DC2"}
            for context in replicate._contexts(SERVER)
        ]
        said = json.dumps({"repsTo": links}) if verb == "showrepl" else ""
        return Completed(argv=argv, returncode=0, stdout=said, stderr="", seconds=0.1)


@pytest.fixture
def dcs(monkeypatch):
    dcs = Dcs()
    monkeypatch.setattr(replicate, "exec_", dcs)
    return dcs


class _Clock:
    """Time that passes while somebody sleeps."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.mark.parametrize(("fails", "delivered"), [(2, True), (1000, False)])
def test_a_fetch_that_fails_is_asked_for_again_for_a_while(monkeypatch, fails, delivered):
    asked = []

    def drs(_server, argv, *, timeout):
        asked.append(argv[-2])
        failed = len(asked) <= fails
        return Completed(
            argv=argv, returncode=int(failed), stdout="ERROR: DsReplicaSync failed", stderr="", seconds=0.1
        )

    monkeypatch.setattr(replicate, "exec_", drs)
    monkeypatch.setattr(replicate, "time", _Clock())
    if delivered:
        replicate.deliver(SERVER, "dc2.ad.example.org")
        assert asked[fails:] == list(replicate._contexts(SERVER))
    else:
        with pytest.raises(ServerError, match="DsReplicaSync failed"):
            replicate.deliver(SERVER, "dc2.ad.example.org")
        assert set(asked) == {replicate._contexts(SERVER)[0]}


def test_kcc_that_is_never_answered_is_asked_again(dcs, capsys):
    replicate.link(SERVER, "dc2.ad.example.org")
    assert [verb for verb, _ in dcs.asked].count("kcc") == 3  # the one in vain, then both DCs
    assert "do not replicate" not in capsys.readouterr().err


def test_kcc_is_waited_for_as_long_as_samba_gives_it(dcs):
    replicate.link(SERVER, "dc2.ad.example.org")
    assert {timeout for verb, timeout in dcs.asked if verb == "kcc"} == {replicate._KCC_SECONDS}
    assert replicate._KCC_SECONDS < replicate._LINK_SECONDS / 2, "there is no time to ask again"

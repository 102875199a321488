"""Replication that is asked for: a KCC that is never answered does not hold anything up."""

import json
from types import SimpleNamespace

import pytest

from galaxy.host.errors import CommandTimeoutError
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


def test_kcc_that_is_never_answered_is_asked_again(dcs, capsys):
    replicate.link(SERVER, "dc2.ad.example.org")
    assert [verb for verb, _ in dcs.asked].count("kcc") == 3  # the one in vain, then both DCs
    assert "do not replicate" not in capsys.readouterr().err


def test_kcc_is_waited_for_as_long_as_samba_gives_it(dcs):
    replicate.link(SERVER, "dc2.ad.example.org")
    assert {timeout for verb, timeout in dcs.asked if verb == "kcc"} == {replicate._KCC_SECONDS}
    assert replicate._KCC_SECONDS < replicate._LINK_SECONDS / 2, "there is no time to ask again"

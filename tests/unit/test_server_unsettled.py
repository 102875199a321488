"""What an interrupted command has left keeps others away from its server, and is told with a way out."""

import json

import pytest

from galaxy.host.errors import PolicyError
from galaxy.host.journal import journal
from galaxy.host.lock import locked
from galaxy.host.recovery import recover
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.server import create as creation
from galaxy.server import join as joining
from galaxy.server import lifecycle
from galaxy.server.config import NamespaceNetwork
from galaxy.server.create import CreateRequest, create, require_new
from galaxy.server.join import JoinRequest, join


def leave(store, verb, subject="dc1"):
    """The journal entry of a command that is gone."""
    store.journal.mkdir(exist_ok=True)
    left = {"verb": verb, "subject": subject, "owner": "", "actions": []}
    (store.journal / f"{verb}-1.json").write_text(json.dumps(left))


def test_what_is_left_of_a_command_keeps_others_away_but_the_stop(server):
    leave(server.store, "snapshot")
    with pytest.raises(PolicyError, match="an interrupted snapshot of dc1"), lifecycle.held(server):
        pytest.fail("held")
    with lifecycle.held(server, begins=False):
        pass


def test_a_server_in_the_middle_of_a_change_takes_no_command(server):
    assert lifecycle.unsettled(server) == ""
    lifecycle.require_settled(server)
    leave(server.store, "upgrade")
    server.pending.write_text("{}")
    with pytest.raises(PolicyError, match="dc1 is in the middle of a change that was interrupted") as refusal:
        lifecycle.require_settled(server)
    assert refusal.value.hint == "Run: galaxy recover"
    with pytest.raises(PolicyError, match="in the middle of a change") as refusal, lifecycle.held(server):
        pytest.fail("held")
    assert refusal.value.hint == "Run: galaxy recover"
    with locked(server.store, server.lock):
        assert lifecycle.unsettled(server).startswith("is being changed by galaxy ")
        with pytest.raises(PolicyError, match="is being changed by") as refusal:
            lifecycle.require_settled(server)
        assert refusal.value.hint.startswith("Wait for the command")


def test_a_change_whose_journal_entry_is_gone_is_not_sent_to_recover(server):
    """Nothing would be left to recover, and every command would be refused for ever."""
    leave(server.store, "upgrade", "dc2")
    server.pending.write_text("{}")
    with pytest.raises(PolicyError) as refusal:
        lifecycle.require_settled(server)
    told = [refusal.value.hint]
    with pytest.raises(PolicyError, match="in the middle of a change") as refusal, lifecycle.held(server):
        pytest.fail("held")
    told.append(refusal.value.hint)
    for hint in told:
        assert "journal entry is gone" in hint
        assert "galaxy snapshots dc1" in hint
        assert f"remove {server.pending}" in hint
        assert "galaxy recover" not in hint
    server.pending.unlink()
    with lifecycle.held(server):
        pass


@pytest.fixture
def request_of_dc1(tmp_path):
    return CreateRequest(
        name="dc1",
        image="ab" * 32,
        realm="AD.EXAMPLE.ORG",
        address="192.0.2.10",
        network=NamespaceNetwork(path=tmp_path / "ns"),
        password="secret",
    )


def test_nothing_is_made_under_a_name_whose_last_command_has_to_be_undone(
    tmp_path, monkeypatch, request_of_dc1
):
    """The undoing of the killed one would take the new one's folder away."""
    store = Store(root=tmp_path).ensure()
    for module in (creation, joining):
        monkeypatch.setattr(module, "plan", lambda *_: pytest.fail("planned"))
    monkeypatch.setattr(joining, "survey", lambda *_: pytest.fail("asked"))
    leave(store, "create")
    (store.servers / "dc1").mkdir(parents=True)  # half made
    for make in (
        lambda: create(store, Settings(), request_of_dc1),
        lambda: join(store, Settings(), JoinRequest(server=request_of_dc1, dc="192.0.2.9")),
    ):
        with pytest.raises(PolicyError, match="an interrupted create of dc1 has not been undone") as refusal:
            make()
        assert refusal.value.hint == "Run: galaxy recover"


def test_a_name_is_free_again_once_that_is_settled_and_for_the_command_that_is_at_work(tmp_path):
    store = Store(root=tmp_path).ensure()
    leave(store, "create")
    leave(store, "join", "dc2")
    assert recover(store, "dc1")
    require_new(store, "dc1")
    with journal(store, "rollback", "dc1"):
        require_new(store, "dc1")

"""galaxy recover says what it could not settle, too."""

import pytest

from galaxy.cli import recover as recover_command
from galaxy.host.errors import PolicyError
from galaxy.host.journal import journal
from galaxy.server.lifecycle import way_out


@pytest.fixture
def server(server, monkeypatch):
    monkeypatch.setattr(recover_command, "need_root", lambda _: None)
    monkeypatch.setattr(recover_command, "found_store", lambda: server.store)
    return server


def test_nothing_is_said_to_be_left_when_nothing_is(server, capsys):
    recover_command.recover()
    assert capsys.readouterr().out == "nothing was left behind\n"


def test_a_change_without_its_journal_entry_is_told_with_the_file_to_remove(server, capsys):
    server.pending.write_text("{}")
    with pytest.raises(PolicyError) as told:
        recover_command.recover()
    assert str(server.pending) in told.value.hint
    assert "nothing was left behind" not in capsys.readouterr().out


def test_what_a_living_command_is_about_is_not_said_to_be_lost(server):
    server.pending.write_text("{}")
    with journal(server.store, "upgrade", server.name) as entry:
        entry.on_failure("tree", server.folder / "what-it-makes")
        recover_command.recover()
        assert way_out(server) == "Run: galaxy recover"
    assert "its journal entry is gone" in way_out(server)

"""galaxy recover says what it could not settle, too."""

import pytest

from galaxy.cli import recover as recover_command
from galaxy.host.errors import PolicyError
from galaxy.host.store import Store
from galaxy.server.config import Server


@pytest.fixture
def server(tmp_path, monkeypatch, config_with):
    found = Server(store=Store(root=tmp_path).ensure(), config=config_with())
    found.folder.mkdir()
    found.write()
    monkeypatch.setattr(recover_command, "need_root", lambda _: None)
    monkeypatch.setattr(recover_command, "found_store", lambda: found.store)
    return found


def test_nothing_is_said_to_be_left_when_nothing_is(server, capsys):
    recover_command.recover()
    assert capsys.readouterr().out == "nothing was left behind\n"


def test_a_change_without_its_journal_entry_is_told_with_the_file_to_remove(server, capsys):
    server.pending.write_text("{}")
    with pytest.raises(PolicyError) as told:
        recover_command.recover()
    assert str(server.pending) in told.value.hint
    assert "nothing was left behind" not in capsys.readouterr().out

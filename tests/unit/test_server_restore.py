"""Going back to a snapshot without Samba: what is refused before anything happens, and what is durable after."""

import os
from datetime import UTC, datetime

import pytest

from galaxy.host.errors import InputError
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.server import restore, running
from galaxy.server.config import Server
from galaxy.server.copying import PARTS
from galaxy.server.kept import Snapshot


@pytest.fixture
def server(tmp_path, config_with):
    found = Server(store=Store(root=tmp_path).ensure(), config=config_with())
    for part in PARTS:
        (found.folder / part).mkdir(parents=True)
    found.write()
    return found


@pytest.fixture
def moved(server, config_with):
    """A snapshot from when the server had another address."""
    folder = server.snapshots / "20260101-100000"
    folder.mkdir(parents=True)
    (folder / "server.toml").write_text(config_with(address="198.51.100.7").to_toml())
    return Snapshot(
        id=folder.name,
        name="dc1",
        reason="by hand",
        taken=datetime(2026, 1, 1, 10, tzinfo=UTC),
        image_id=server.config.image_id,
        version="4.22.11",
        running=True,
        size=1,
        seconds=0.1,
        held=0.0,
        path=folder,
    )


def test_a_running_server_gets_no_address_that_it_would_not_answer_at(server, moved):
    running.note(server, os.getpid())
    with pytest.raises(InputError, match=r"192\.0\.2\.10, .*of 198\.51\.100\.7") as told:
        restore.restore(server, moved, Settings())
    assert "galaxy stop dc1" in told.value.hint
    assert not (server.folder / ".restoring").exists()
    assert not server.pending.exists()
    assert list(server.store.journal.iterdir()) == []


def test_a_stopped_server_gets_it(server, moved, monkeypatch):
    class ReachedError(Exception):
        """The image of the snapshot is asked for: the address was no reason."""

    def image_of(coming):
        assert coming.config.address == "198.51.100.7"
        raise ReachedError

    monkeypatch.setattr(restore, "image_of", image_of)
    with pytest.raises(ReachedError):
        restore.restore(server, moved, Settings())


def test_the_end_of_a_way_back_is_durable(server, monkeypatch):
    """After a power cut it would be gone back once more, from a state that clients have written to."""
    record = restore.RestoreRecord(snapshot="x", running=False, ready_timeout=1, stop_timeout=1)
    server.pending.write_text(record.model_dump_json())
    synced = []
    monkeypatch.setattr(restore.lifecycle, "clear", lambda _server: None)
    monkeypatch.setattr(
        restore, "sync_folder", lambda folder: synced.append((folder, server.pending.exists()))
    )
    restore._return(f"{server.store.root}:dc1")
    assert synced[-1:] == [(server.folder, False)]


@pytest.mark.parametrize("held", [True, False])
def test_what_clients_may_have_written_is_kept(server, moved, monkeypatch, *, held):
    """The restored state runs, and something has lifted the hold: it is a snapshot before the old one is back."""
    record = restore.RestoreRecord(snapshot="x", kept="y", running=True, ready_timeout=1, stop_timeout=1)
    server.pending.write_text(record.model_dump_json())
    old = server.folder / ".replaced"
    for part in PARTS:
        (old / part).mkdir(parents=True)
    (old / "etc/smb.conf").write_text("old")
    (server.etc / "smb.conf").write_text("restored, and written to")
    (old / "server.toml").write_text(server.config.to_toml())
    monkeypatch.setattr(restore, "is_held", lambda _server: held)
    monkeypatch.setattr(restore, "_start_again", lambda *_: None)
    for name in ("clear", "kill_if_running"):
        monkeypatch.setattr(restore.lifecycle, name, lambda _server: None)
    for _ in range(2):
        server.pending.write_text(record.model_dump_json())
        restore._return(f"{server.store.root}:dc1")
        assert (server.etc / "smb.conf").read_text() == "old"
        found = [one for one in server.snapshots.iterdir() if one.name != moved.id]
        assert [(one / "etc/smb.conf").read_text() for one in found] == (
            [] if held else ["restored, and written to"]
        )
        record = record.model_copy(
            update={"written": "" if held else found[0].name}
        )  # cut off before its end

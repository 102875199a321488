"""Why a database cannot be asked: the damaged file by its name, a bad smb.conf by its own error, or Samba's words."""

import pytest

from galaxy.host.errors import CommandError, HostError, ServerError
from galaxy.host.journal import journal
from galaxy.host.process import Completed
from galaxy.server import snapshot as snapshot_module
from galaxy.upgrade import consult as consult_module
from galaxy.upgrade.consult import ConfigurationError, consult


@pytest.fixture
def said(server, monkeypatch):
    """What Samba's tool says while it fails in the running server."""

    def says(words):
        done = Completed(argv=("python3",), returncode=1, stdout="", stderr=words, seconds=0.1)
        monkeypatch.setattr(consult_module.running, "alive", lambda _: object())
        monkeypatch.setattr(consult_module, "exec_", lambda *_words, **_more: done)
        with pytest.raises(ServerError) as told:
            consult(None, server, "directory")
        return told.value

    return says


def test_a_damaged_file_is_named(server, said):
    (server.state / "private").mkdir(parents=True)
    (server.state / "private/secrets.tdb").write_bytes(b"TDB file" + bytes(200))
    assert (
        f"{server.state}/private/secrets.tdb: "
        in said("Traceback\nIndexError: list index out of range").message
    )


def test_sound_files_leave_sambas_words(said):
    assert said("Traceback\n_ldb.LdbError: no such thing\n\n").message.endswith(
        "read: _ldb.LdbError: no such thing"
    )


def test_a_bad_smb_conf_says_nothing_of_databases(said):
    assert isinstance(said("Unable to load default file"), ConfigurationError)


def test_a_disk_that_fails_is_the_databases_matter(server, monkeypatch, tmp_path):
    """Then a server is judged by its snapshots, as with any database that cannot be read."""

    def fail(argv, **_more):
        raise CommandError(tuple(map(str, argv)), 1, "cp: error reading 'x.ldb': Input/output error")

    monkeypatch.setattr(consult_module, "run", fail)
    with pytest.raises(ServerError, match=r"the database of dc1 cannot be read: cp: error reading"):
        consult_module._copy(server, tmp_path, tmp_path)


def test_a_look_needs_room_for_its_copy(server, monkeypatch):
    """Clients may write to what is left of the disk."""
    monkeypatch.setattr(snapshot_module, "shares_blocks", lambda _: False)
    monkeypatch.setattr(snapshot_module, "space_of", lambda _folder, parts: len(parts) * 10**18)
    with (
        pytest.raises(HostError, match="a look at dc1 needs"),
        journal(server.store, "look", "dc1") as entry,
    ):
        consult_module.on_a_copy(entry, server, ("true",))
    assert not list(server.folder.glob("asked-*"))

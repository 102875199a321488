"""Why a database cannot be asked: the damaged file by its name, a bad smb.conf by its own error, or Samba's words."""

import pytest

from galaxy.host.errors import ServerError
from galaxy.host.process import Completed
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

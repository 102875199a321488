"""What dbcheck finds in a rehearsal counts against the new version only when the old one did not find as much."""

from contextlib import nullcontext

import pytest

from galaxy.host.errors import ServerError
from galaxy.host.journal import journal
from galaxy.host.store import Store
from galaxy.server.config import Server
from galaxy.upgrade import rehearsal


@pytest.fixture
def found(tmp_path, config_with, monkeypatch):
    """Two servers, and what dbcheck finds in each: by the home of a copy."""
    store = Store(root=tmp_path)
    counts = {}
    new, old = (Server(store=store, config=config_with(), home=tmp_path / name) for name in ("new", "old"))
    monkeypatch.setattr(rehearsal, "dbcheck", lambda copy: counts[copy.home.name])
    monkeypatch.setattr(rehearsal, "_stage_again", lambda *_: nullcontext(old))

    def require(of_new, of_old):
        counts.update(new=of_new, old=of_old)
        with journal(store, "test", "dc1") as entry:
            return rehearsal._require_sound(entry, old, new)

    return require


@pytest.mark.parametrize(("of_new", "of_old"), [(0, 0), (0, 3), (2, 3), (3, 3)])
def test_errors_that_were_there_before_forbid_nothing(found, of_new, of_old):
    assert found(of_new, of_old) == of_new


def test_one_error_more_ends_the_upgrade(found):
    with pytest.raises(ServerError, match=r"left 4 errors that dbcheck finds, before it there were 3"):
        found(4, 3)

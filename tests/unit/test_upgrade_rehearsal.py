"""What dbcheck and clients find in a rehearsal counts against the new version only if the old one does better."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from galaxy.host.errors import ServerError
from galaxy.host.journal import journal
from galaxy.host.settings import Settings
from galaxy.upgrade import rehearsal
from galaxy.upgrade.aftermath import Aftermath, require_good
from galaxy.upgrade.tier import TierResult


@pytest.fixture
def copies(server, tmp_path, monkeypatch):
    """A copy with the new version, and the one with the old that is made when it is asked for."""
    new, old = (replace(server, home=tmp_path / name) for name in ("new", "old"))
    monkeypatch.setattr(rehearsal, "_stage_again", lambda *_: nullcontext(old))
    return new, old


@pytest.fixture
def found(server, copies, monkeypatch):
    """What dbcheck finds in each."""
    new, _ = copies

    def require(of_new, of_old):
        monkeypatch.setattr(rehearsal, "dbcheck", lambda copy: of_new if copy is new else of_old)
        with journal(server.store, "test", "dc1") as entry:
            return rehearsal._require_sound(entry, server, new)

    return require


@pytest.mark.parametrize(("of_new", "of_old"), [(0, 0), (0, 3), (2, 3), (3, 3)])
def test_errors_that_were_there_before_forbid_nothing(found, of_new, of_old):
    assert found(of_new, of_old) == of_new


def test_one_error_more_ends_the_upgrade(found):
    with pytest.raises(ServerError, match=r"left 4 errors that dbcheck finds, before it there were 3"):
        found(4, 3)


@pytest.fixture
def checked(server, copies, monkeypatch):
    """Two versions whose clients see these troubles."""
    new, _ = copies

    def check(of_new, of_old, passed=30):
        def clients(copy, folder, _settings):
            return TierResult(passed=passed, troubles=of_new if copy is new else of_old, folder=folder)

        monkeypatch.setattr(rehearsal, "_clients", clients)
        with journal(server.store, "test", "dc1") as entry:
            return rehearsal._check(entry, server, new, Settings())

    return check


def test_what_fails_with_the_old_version_too_is_told_apart(checked):
    assert checked((), ("a: never asked",)).before == ()
    seen = checked(("a: new words", "b: port 81"), ("b: port 80", "a: old words", "c: y"))
    assert (seen.troubles, seen.before) == ((), ("a: new words (before: old words)", "b: port 81"))


def test_where_nothing_could_be_checked_with_either_version_the_upgrade_ends(checked):
    with pytest.raises(ServerError, match=r"the rehearsal could check nothing: a: blocked") as refusal:
        checked(("a: blocked",), ("a: blocked",), passed=0)
    assert "--no-rehearsal" in refusal.value.hint


def test_what_has_been_told_in_the_rehearsal_is_not_told_again():
    after = TierResult(passed=30, troubles=("a: new words", "b: other"), folder=Path("/x"))
    assert after.less(("a: new words (before: old words)", "b: x")).before == (
        "a: new words",
        "b: other (before: x)",
    )


def test_what_fails_with_the_new_version_alone_ends_the_upgrade(checked):
    with pytest.raises(ServerError, match=r"the rehearsal fails 1 checks: ab: x\n"):
        checked(("a: x", "ab: x"), ("a: x",))


def test_what_failed_before_is_no_pass():
    """A laboratory's server does all; whoever asks for that must not be told that it has passed."""
    checks = TierResult(passed=30, troubles=("a: x",), folder=Path("/x")).less(("a: y",))
    assert not Aftermath(checks=checks).trouble
    assert not Aftermath(checks=checks).passed


@pytest.mark.parametrize(
    ("after", "words", "hint"),
    [
        (
            Aftermath(checks=TierResult(passed=3, troubles=("a: x", "b: y"), folder=Path("/runs/1"))),
            "dc1 runs 4.22.6, but 2 checks fail: a: x; b: y",
            "Details are in /runs/1. To go back: so",
        ),
        (
            Aftermath(checks=None, error="no space left"),
            "dc1 runs 4.22.6, but it could not be checked: no space left",
            "With that mended: galaxy verify --server dc1. To go back: so",
        ),
    ],
)
def test_a_server_that_fails_or_was_not_looked_at_is_no_success(after, words, hint):
    with pytest.raises(ServerError) as told:
        require_good(after, "dc1", "4.22.6", "To go back: so")
    assert (told.value.message, told.value.hint) == (words, hint)
    assert not after.passed


def test_without_the_administrators_password_the_checks_are_left_to_him():
    require_good(Aftermath(checks=None, why="another password"), "dc1", "4.22.6")

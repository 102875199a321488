"""What an administrator is told before an upgrade, and what testparm says of smb.conf."""

import json
from types import SimpleNamespace

import pytest

from galaxy.host.store import Store
from galaxy.upgrade import notices as module
from galaxy.upgrade.notices import CHANGES, complaints, notices


@pytest.fixture
def asked(monkeypatch, tmp_path):
    """Ask for the way from one version to another in a domain where every filter finds the same accounts."""
    questions = []

    def ask(old, new, *accounts):
        def consult(entry, server, script, *words):
            assert script == "accounts"
            questions.extend(words)
            return "a word of Samba's\n" + json.dumps([list(accounts)] * len(words)) + "\n"

        monkeypatch.setattr(module, "consult", consult)
        return notices(SimpleNamespace(store=Store(root=tmp_path), name="dc1"), old, new)

    ask.questions = questions
    return ask


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("4.22.11", "4.24.7", 1),
        ("4.23.9", "4.24.0", 1),
        ("4.14.2", "4.24.7", 2),
        ("4.14.2", "4.17.12", 1),
        ("4.24.0", "4.24.7", 0),
        ("4.17.12", "4.22.11", 0),
    ],
)
def test_only_what_lies_between_is_told(asked, old, new, told):
    assert len(asked(old, new, "web")) == told
    assert len(asked.questions) == told, "the directory was asked for what does not matter"


def test_nobody_concerned_nothing_told(asked):
    assert asked("4.22.11", "4.24.7") == ()


def test_the_accounts_are_counted_and_the_first_named(asked):
    (one,) = asked("4.22.11", "4.24.7", "web")
    assert "encryption types (1: web)" in one
    (many,) = asked("4.22.11", "4.24.7", *(f"s{number}" for number in range(9)))
    assert "(9: s0, s1, s2, s3, s4 and 4 more)" in many


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.since)
def test_filters_are_balanced_and_words_say_the_version(change):
    assert change.query.count("(") == change.query.count(")")
    assert change.since.rpartition(".")[0] in change.words


def test_complaints_of_testparm(monkeypatch):
    said = (
        'Unknown parameter encountered: "old thing"\nIgnoring unknown parameter "old thing"\n'
        'WARNING: The "syslog" option is deprecated\nLoaded services file OK.\n'
        'Unknown parameter encountered: "old thing"\n'
    )
    monkeypatch.setattr(module, "exec_", lambda *_, **__: SimpleNamespace(output=said))
    assert complaints(None) == (
        'Unknown parameter encountered: "old thing"',
        'WARNING: The "syslog" option is deprecated',
    )

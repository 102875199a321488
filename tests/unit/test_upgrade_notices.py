"""What an administrator is told before an upgrade."""

import json
from types import SimpleNamespace

import pytest

from galaxy.host.store import Store
from galaxy.upgrade import notices as module
from galaxy.upgrade.notices import CHANGES, notices
from galaxy.upgrade.plan import ImageChoice

PEOPLE = [change for change in CHANGES if change.query]


def image(version):
    return ImageChoice(ref=version, id=version * 4, version=version)


@pytest.fixture
def ask(monkeypatch, tmp_path):
    """Ask for the way from one version to another in a domain where every filter finds the same accounts."""
    questions, looked_at = [], []

    def asking(old, new, *accounts, testparm=""):
        def consult(entry, server, script, *words):
            assert script == "accounts"
            questions.extend(words)
            return "a word of Samba's\n" + json.dumps([list(accounts)] * len(words)) + "\n"

        def on_a_copy(entry, server, argv, parts):
            looked_at.append((server, argv, parts))
            return SimpleNamespace(output=testparm, stdout=testparm)

        monkeypatch.setattr(module, "consult", consult)
        monkeypatch.setattr(module, "on_a_copy", on_a_copy)
        server = SimpleNamespace(store=Store(root=tmp_path), name="dc1", as_image=lambda id_: f"with {id_}")
        return notices(server, image(old), image(new))

    asking.questions, asking.looked_at = questions, looked_at
    return asking


@pytest.mark.parametrize(
    ("old", "new", "asked"),
    [
        ("4.22.11", "4.24.7", 1),
        ("4.23.9", "4.24.0", 1),
        ("4.14.2", "4.24.7", 2),
        ("4.14.2", "4.17.12", 1),
        ("4.24.0", "4.24.7", 0),
        ("4.17.12", "4.22.11", 0),
    ],
)
def test_only_what_lies_between_is_asked_and_told(ask, old, new, asked):
    told = ask(old, new, "web")
    assert len(ask.questions) == asked
    always = [words for words in told if "sysvolreset" in words]
    assert len(told) - len(always) == asked
    assert bool(always) == (old < "4.24.0" <= new)


def test_nobody_concerned_nothing_told_of_accounts(ask):
    assert all("sysvolreset" in words for words in ask("4.14.2", "4.24.7"))


def test_the_accounts_are_counted_and_the_first_named(ask):
    assert any("encryption types (1: web)" in words for words in ask("4.22.11", "4.24.7", "web"))
    many = ask("4.22.11", "4.24.7", *(f"s{number}" for number in range(9)))
    assert any("(9: s0, s1, s2, s3, s4 and 4 more)" in words for words in many)


@pytest.mark.parametrize("change", PEOPLE, ids=lambda change: change.since)
def test_filters_are_balanced_and_words_name_accounts_and_version(change):
    assert change.query.count("(") == change.query.count(")")
    assert "{accounts}" in change.words
    assert change.since.rpartition(".")[0] in change.words or "after 4.17" in change.words


def test_the_new_version_looks_at_smb_conf_before_it_starts(ask):
    said = (
        'Unknown parameter encountered: "old thing"\nIgnoring unknown parameter "old thing"\n'
        'WARNING: The "syslog" option is deprecated\nLoaded services file OK.\n'
        'Unknown parameter encountered: "old thing"\n'
    )
    assert ask("4.17.12", "4.22.11", testparm=said) == (
        '4.22.11 says of smb.conf: Unknown parameter encountered: "old thing"',
        '4.22.11 says of smb.conf: WARNING: The "syslog" option is deprecated',
    )
    ((server, argv, parts),) = ask.looked_at
    assert server == "with " + "4.22.11" * 4
    assert (argv[0], parts) == ("/usr/bin/testparm", ("etc",))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("[global]\n\tntlm auth = disabled\n", True),
        ("[global]\n\tntlm auth = ntlmv1-permitted\n", False),
        ("", False),
    ],
)
def test_simple_binds_that_go_with_ntlm_are_told_of_where_it_is_switched_off(ask, said, told):
    lines = ask("4.17.12", "4.22.11", "anna", testparm=said)
    assert [
        line for line in lines if "(1: anna): versions after 4.17 refuse LDAP simple binds" in line
    ] == list(lines)
    assert bool(lines) == told


@pytest.mark.parametrize(
    ("old", "new", "told"), [("4.18.1", "4.20.0", 1), ("4.22.6", "4.22.11", 0), ("4.16.0", "4.17.12", 0)]
)
def test_where_the_version_is_not_known_who_comes_from_between_is_told(ask, old, new, told):
    assert len(ask(old, new, "anna", testparm="ntlm auth = disabled")) == told

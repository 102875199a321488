"""Entries inside of others, and in which order a recovery takes them: nothing is undone under what another put back."""

import json
import os
from contextlib import ExitStack
from pathlib import Path

import pytest

from galaxy.host import undo
from galaxy.host.errors import GalaxyError
from galaxy.host.journal import journal
from galaxy.host.process import process_identity
from galaxy.host.recovery import interrupted, recover
from galaxy.host.store import Store, default_store


@pytest.fixture
def store() -> Store:
    return default_store().ensure()


def entries(store: Store) -> list[Path]:
    return list(store.journal.iterdir())


def left_behind(store: Store, target: str, name: str, *, began: int, subject: str = "dc1") -> Path:
    """The journal of a process that is gone."""
    file = store.journal / name
    action = {"kind": "note", "target": target, "module": "galaxy.host.journal"}
    body = {"verb": "create", "subject": subject, "owner": "", "actions": [action], "began": began}
    file.write_text(json.dumps(body))
    return file


class Stage:
    """A kind `note` whose undoing is remembered, and fails for the targets that are `busy` at that time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.busy: set[str] = set()
        self.tried: list[str] = []
        monkeypatch.setitem(undo._HANDLERS, "note", self._note)

    def _note(self, target: str) -> None:
        self.tried.append(target)
        if target in self.busy:
            raise GalaxyError(f"{target} is busy")

    def told(self) -> list[str]:
        told, self.tried = self.tried, []
        return told


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    return Stage(monkeypatch)


def test_what_somebody_has_asked_for_is_what_was_interrupted(store: Store) -> None:
    """A look inside of a restore that was killed: the server is in the middle of a restore."""
    for name, verb, began in (("a.json", "look", 2), ("b.json", "restore", 1), ("c.json", "dump", 3)):
        body = {"verb": verb, "subject": "dc1", "owner": "", "actions": [], "began": began}
        (store.journal / name).write_text(json.dumps(body))
    assert interrupted(store, "dc1") == "restore"


class TestEntriesInsideOfOthers:
    """What is left of one must not be undone under what the other has put back."""

    def test_the_outer_one_puts_nothing_back_before_the_inner_one_is_undone(self, store, stage) -> None:
        stage.busy = {"container"}
        with (
            pytest.raises(ValueError, match="boom") as caught,
            journal(store, "upgrade", "dc1") as outer,
            outer.until_done("note", "switch"),
            journal(store, "start", "dc1") as inner,
        ):
            inner.on_failure("note", "container")
            raise ValueError("boom")
        assert "switch" not in stage.tried
        assert any("container is busy" in note for note in caught.value.__notes__)
        assert len(entries(store)) == 2
        stage.busy, stage.tried = set(), []
        own = process_identity(os.getpid())
        for file in entries(store):
            file.write_text(file.read_text().replace(own, ""))
        assert len(recover(store)) == 2
        assert stage.told() == ["container", "switch"]

    def test_the_outer_one_undoes_first_what_the_inner_one_could_not(self, store, stage) -> None:
        stage.busy = {"container"}

        def free() -> None:
            stage.busy = set()

        with (
            pytest.raises(ValueError, match="boom"),
            journal(store, "upgrade", "dc1") as outer,
            outer.until_done("note", "switch"),
            ExitStack() as between,
        ):
            between.callback(free)
            inner = between.enter_context(journal(store, "start", "dc1"))
            inner.on_failure("note", "container")
            raise ValueError("boom")
        assert stage.told() == ["container", "container", "switch"]
        assert entries(store) == []

    def test_nothing_begins_anew_before_what_is_left_is_undone(self, store, stage) -> None:
        stage.busy = {"container"}
        with pytest.raises(GalaxyError, match="container is busy"), journal(store, "upgrade", "dc1"):
            with pytest.raises(ValueError, match="boom"), journal(store, "start", "dc1") as inner:
                inner.on_failure("note", "container")
                raise ValueError("boom")
            with journal(store, "start", "dc1"):
                pytest.fail("it began")

    def test_a_block_that_ends_well_tries_again_what_is_left(self, store, stage, capsys) -> None:
        with journal(store, "restart", "dc1"):
            stage.busy = {"container"}
            with pytest.raises(ValueError, match="boom"), journal(store, "start", "dc1") as inner:
                inner.on_failure("note", "container")
                raise ValueError("boom")
        assert "not undone: note container" in capsys.readouterr().err
        (left,) = entries(store)
        assert left == inner.path

    def test_of_another_subject_they_do_not_wait_for_each_other(self, store, stage) -> None:
        stage.busy = {"container"}
        with (
            pytest.raises(ValueError, match="boom"),
            journal(store, "cell", "lab") as outer,
            outer.until_done("note", "lab"),
            journal(store, "start", "dc1") as inner,
        ):
            inner.on_failure("note", "container")
            raise ValueError("boom")
        assert stage.told() == ["container", "lab"]


class TestOrderOfRecovery:
    def test_what_began_last_comes_first_whatever_was_written_last(self, store, stage) -> None:
        inner = left_behind(store, "inner", "start-1.json", began=2)
        outer = left_behind(store, "outer", "upgrade-1.json", began=1)
        os.utime(outer, (2_000_000_000, 2_000_000_000))
        os.utime(inner, (1_000_000_000, 1_000_000_000))
        recover(store)
        assert stage.told() == ["inner", "outer"]

    def test_older_ones_of_the_subject_wait_for_what_cannot_be_undone(self, store, stage) -> None:
        stage.busy = {"inner"}
        left_behind(store, "inner", "start-1.json", began=3)
        left_behind(store, "outer", "upgrade-1.json", began=2)
        left_behind(store, "other", "create-2.json", began=1, subject="dc2")
        for _ in range(2):  # the second time it is not tried again
            with pytest.raises(GalaxyError, match=r"inner is busy.*create of dc1 \(after that\)"):
                recover(store, "dc2")
        assert stage.told() == ["inner", "other"]
        stage.busy = set()
        recover(store, "dc1")
        assert stage.told() == ["inner", "outer"]
        assert entries(store) == []

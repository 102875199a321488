"""The parts of the endurance proof that decide what is tried and what counts as lost."""

import random

import pytest

from scenarios.endurance.full import fills_of
from scenarios.endurance.ground import LostError
from scenarios.endurance.kills import Course, kills_of
from scenarios.endurance.ledger import Ledger
from scenarios.endurance.points import COMMIT, Passed, _around
from scenarios.endurance.scribe import FILES, USERS, contents_of, password_of

COURSE = Course(names=("before stop", "after stop", COMMIT, "before prune"), seconds=2.0)


def test_every_boundary_is_killed_at_once_when_there_is_room() -> None:
    kills = list(kills_of(COURSE, 40, random.Random(1)))
    assert len(kills) == 40
    assert sorted(kill.boundary for kill in kills if kill.boundary) == sorted(COURSE.names)
    moments = [kill for kill in kills if not kill.boundary]
    assert all(0 < kill.moment <= (24 if kill.rehearsal else 2.4) for kill in moments)
    assert any(kill.rehearsal for kill in kills)
    assert any(kill.recovery for kill in kills)


def test_without_a_number_each_boundary_is_killed_and_filled() -> None:
    kills = list(kills_of(COURSE, None, random.Random(1)))
    assert sorted(kill.boundary for kill in kills[:4]) == sorted(COURSE.names)
    assert [bool(kill.boundary) for kill in kills[4:]] == [False, False]
    assert len(fills_of(COURSE, None, random.Random(1).sample)) == 3


def test_a_sample_has_boundaries_and_moments() -> None:
    kills = list(kills_of(COURSE, 3, random.Random(1)))
    assert [bool(kill.boundary) for kill in kills] == [True, True, False]


def test_the_same_seed_gives_the_same_kills() -> None:
    first, again, other = (list(kills_of(COURSE, 20, random.Random(seed))) for seed in (1, 1, 2))
    assert first == again != other


def test_disks_are_filled_up_to_the_commit_point_only() -> None:
    fills = fills_of(COURSE, 30, random.Random(1).sample)
    assert [fill.boundary for fill in fills] == ["before stop", "after stop", COMMIT]
    assert len(fills_of(COURSE, 2, random.Random(1).sample)) == 2


def test_only_whole_lines_are_acknowledgements(tmp_path) -> None:
    (tmp_path / USERS).write_text("u1\nu2\nu")
    (tmp_path / FILES).write_text("f1\n")
    ledger = Ledger(folder=tmp_path, chance=random.Random(1))
    assert ledger.names(USERS) == ["u1", "u2"]
    assert ledger.count == 3


def test_what_a_name_stands_for_is_its_own() -> None:
    assert contents_of("f1") != contents_of("f2")
    assert len(contents_of("f1")) == 5000
    assert password_of("u1") != password_of("u2")


def test_boundaries_are_named_before_and_after_a_verb() -> None:
    seen = []

    def act(name):
        seen.append(name)
        if name == "before stop #2":
            raise KeyboardInterrupt

    verb = _around(Passed(act), "stop", lambda: seen.append("stopped"))
    verb()
    with pytest.raises(KeyboardInterrupt):
        verb()
    assert seen == ["before stop", "stopped", "after stop", "before stop #2"]


def test_the_one_before_stands_in_for_a_boundary_that_was_not_passed() -> None:
    assert COURSE.before("before prune") == COMMIT
    with pytest.raises(LostError, match="first boundary"):
        COURSE.before("before stop")

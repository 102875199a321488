"""Whom a failure is held against, when a cell has two images."""

import datetime as dt

import pytest

from galaxy.gate.results import ItemResult, Outcome
from galaxy.gate.run import ImageUnderTest, RunInfo
from galaxy.gate.summary import items_of

OLD, NEW = "4.22.11", "4.24.7"
BACK, BESIDE = f"rollback[{OLD}->{NEW}]", f"replication[{NEW}->{OLD}]"
RUN = RunInfo(
    started=dt.datetime.now(dt.UTC),
    galaxy="1",
    suite="c" * 64,
    matrix="all",
    images=tuple(ImageUnderTest(ref=ref, id=ref * 9) for ref in (OLD, NEW)),
    cells={BACK: (OLD, NEW), BESIDE: (NEW, OLD), f"upgrade[{OLD}->{NEW}]": (OLD, NEW)},
    checked={
        BACK: {"downgraded": OLD},
        BESIDE: {"joined": OLD},
        f"upgrade[{OLD}->{NEW}]": {"upgraded": NEW},
    },
)


def told(cell, checkpoint, outcome, check="ldap.bind"):
    """Which images it tells something about."""
    one = ItemResult(
        id=check,
        area=check.partition(".")[0],
        cell=cell,
        checkpoint=checkpoint,
        outcome=outcome,
        seconds=1.0,
    )
    return {ref for ref in (OLD, NEW) if items_of(RUN, ref, [one])}


@pytest.mark.parametrize(("cell", "checkpoint"), [(BACK, "downgraded"), (BESIDE, "joined")])
@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.BLOCKED])
def test_the_newer_one_bears_what_fails_with_the_older_beside_or_after_it(cell, checkpoint, outcome):
    assert told(cell, checkpoint, outcome) == {OLD, NEW}


@pytest.mark.parametrize("outcome", [Outcome.PASSED, Outcome.KNOWN, Outcome.NOT_APPLICABLE])
def test_what_is_good_or_known_is_of_the_one_that_was_checked(outcome):
    assert told(BACK, "downgraded", outcome) == {OLD}


def test_the_older_one_is_not_to_blame_for_what_fails_after_an_upgrade():
    assert told(f"upgrade[{OLD}->{NEW}]", "upgraded", Outcome.FAILED) == {NEW}


def test_a_step_is_of_both():
    assert told(BACK, "end", Outcome.PASSED, "step.upgrade") == {OLD, NEW}

"""Going back to an old state gives SIDs again: who decides that is told, once, and only if accounts are lost."""

import pytest

from galaxy.upgrade.changes import Changes, lost
from galaxy.upgrade.noise import Changed


def change(what, *attributes):
    return Changed(
        dn="CN=anna,CN=Users,DC=x",
        kind="user",
        what=what,
        attributes=attributes,
        links={},
        passing=False,
        dynamic=False,
        manual=False,
        when="2026-11-28T10:00:00+00:00",
    )


@pytest.mark.parametrize(
    ("objects", "told"),
    [
        ((change("created", "objectSid", "cn"), change("created", "objectSid")), 2),
        ((change("created", "cn"),), 0),
        ((change("changed", "objectSid"), change("deleted", "objectSid")), 0),
        ((), 0),
    ],
)
def test_accounts_that_are_lost_have_sids_that_come_again(objects, told):
    lines = lost(Changes(objects=objects, machine=0, files=(), settings=("+x",)), "then", "")
    assert [line for line in lines if "SIDs" in line] == [
        line for line in lines if f"the SIDs of accounts made since ({told})" in line
    ]
    assert sum("SIDs" in line for line in lines) == bool(told)

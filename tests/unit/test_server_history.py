"""Branches of states: each snapshot that a server goes back to begins one, and none has what another has written."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from galaxy.host.errors import InputError
from galaxy.host.store import Store
from galaxy.server.config import Server
from galaxy.server.history import UpgradeRecord, last_upgrade, parting, record

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def server(tmp_path, config_with):
    made = Server(store=Store(root=tmp_path).ensure(), config=config_with(image_id="b" * 64))
    made.folder.mkdir()
    return made


def change(source, target, kept, way="", restored=""):
    return UpgradeRecord(
        from_image=source * 64,
        to_image=target * 64,
        snapshot=kept,
        committed=NOW,
        way=way,
        restored=restored,
    )


def restore(server, snapshot, kept):
    record(server, change("b", "b", kept, "restore", snapshot))


def base(server, snapshot):
    return parting(server, SimpleNamespace(id=snapshot, taken=NOW + timedelta(days=1)))


def test_a_server_that_never_went_back_comes_from_all_its_snapshots(server):
    record(server, change("a", "b", "20"))
    assert [base(server, each) for each in ("10", "20", "30")] == [None, None, None]


def test_what_was_taken_after_the_state_gone_back_to_is_of_another_branch(server):
    restore(server, "10", kept="30")
    assert base(server, "05") is None
    assert base(server, "10") is None
    assert base(server, "20") == "10"
    assert base(server, "30") == "10", "what keeps the state that was left is of the branch that was left"
    assert base(server, "40") is None, "taken since, on the branch of now"


def test_a_branch_that_was_left_is_gone_back_to(server):
    restore(server, "10", kept="30")  # 40 is taken on the branch from 10
    restore(server, "20", kept="50")
    assert base(server, "20") is None
    assert base(server, "10") is None
    assert base(server, "40") == "10"
    assert base(server, "30") == "20"
    assert base(server, "50") == "10"


def test_a_clock_that_was_put_back_leads_nobody_in_a_circle(server):
    """What a Galaxy of before has written: the state that was left is older, by its id, than the one gone back to."""
    restore(server, "13", kept="12")
    assert base(server, "12") == ""


def test_a_server_that_joined_anew_has_nothing_in_common_with_before(server):
    record(server, change("b", "a", "", "rejoin"))
    earlier = SimpleNamespace(id="10", taken=NOW - timedelta(days=1))
    assert parting(server, earlier) == ""
    assert base(server, "40") is None


def test_the_upgrades_that_stood_at_a_snapshot_stand_again(server):
    record(server, change("a", "b", "10"))  # 20 is a snapshot of it
    record(server, change("b", "a", "30", "downgrade"))
    record(server, change("a", "b", "40", "restore", "20"))
    assert last_upgrade(server) == change("a", "b", "10")


def test_an_upgrade_after_a_snapshot_does_not_stand_in_it(server):
    record(server, change("a", "b", "10"))  # 05 is a snapshot of before
    record(server, change("b", "a", "30", "restore", "05"))
    assert (
        last_upgrade(
            Server(store=server.store, config=server.config.model_copy(update={"image_id": "a" * 64}))
        )
        is None
    )


def test_a_return_to_the_domain_took_nothing_back_of_the_state_before_it(server):
    record(server, change("a", "b", "20260101-010101"))  # 20260101-020202 is a snapshot of it
    record(server, change("b", "a", "", "rejoin"))
    record(server, change("a", "b", "20260103-010101", "restore", "20260101-020202"))
    assert last_upgrade(server) == change("a", "b", "20260101-010101")
    record(server, change("b", "a", "20260103-020202", "restore", "20260103-000000"))
    went_back = server.config.model_copy(update={"image_id": "a" * 64})
    assert last_upgrade(Server(store=server.store, config=went_back)) is None


def test_a_record_that_cannot_be_read_is_told(server):
    (server.folder / "upgrades.jsonl").mkdir()
    with pytest.raises(InputError, match=r"upgrades\.jsonl cannot be read: .*directory"):
        last_upgrade(server)

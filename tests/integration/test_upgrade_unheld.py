"""A switch that is cut off after something has lifted its hold: what clients wrote meanwhile is not thrown away."""

import json

import pytest
from site_with_a_dc import made

from galaxy.host.errors import ServerError
from galaxy.server.config import load
from galaxy.server.execute import exec_
from galaxy.server.hold import _lift, is_held
from galaxy.server.network import namespace_of
from galaxy.upgrade import switch
from galaxy.upgrade.plan import UpgradeRequest
from galaxy.upgrade.upgrade import upgrade
from scenarios.endurance.forked import die, forked
from scenarios.endurance.leftovers import leftovers
from scenarios.endurance.points import watch


@pytest.fixture(scope="module")
def site(store, settings):
    with made(store, settings, "UNHELD.EXAMPLE.ORG", "10.218.5.11") as own:
        yield own


# When the new version runs, and before its start is done with: then its undoing ends the server before anybody looks.
MOMENTS = ["after launch", "after start_smoked"]


def killed_before_the_commit_point(site, settings, log, moment):
    """The new version runs by then, and only the hold keeps clients from it."""
    request = UpgradeRequest(name="dc1", ref=site.new, rehearsal=False)

    def work():
        watch(lambda name: die() if name == moment else None)
        upgrade(site.store, settings, request)

    assert forked(work, log=log).killed, log.read_text()[-2000:]


def ids(site):
    return {one["id"] for one in json.loads(site.well("snapshots", "dc1", "--json").stdout)}


@pytest.mark.parametrize("moment", MOMENTS)
def test_while_it_is_held_the_state_of_before_is_all_there_is(site, settings, tmp_path, moment):
    before = ids(site)
    killed_before_the_commit_point(site, settings, tmp_path / "log", moment)
    assert is_held(load(site.store, "dc1"))
    told = site.well("recover").output
    assert "the hold on clients was gone" not in told
    assert site.runs(site.old)
    assert ids(site) == before


@pytest.mark.parametrize("moment", MOMENTS)
def test_what_was_written_without_a_hold_is_kept_as_a_snapshot(site, settings, tmp_path, moment):
    before = ids(site)
    killed_before_the_commit_point(site, settings, tmp_path / "log", moment)
    server = load(site.store, "dc1")
    _lift(f"{namespace_of(server)}:{server.container}")
    assert not is_held(server)
    exec_(server, ("samba-tool", "user", "create", f"late{len(before)}", "--random-password"), check=True)
    told = site.well("recover").output
    (kept,) = ids(site) - before
    assert f"what they may have written since is in {server.snapshots / kept}" in told
    assert site.runs(site.old)
    assert f"late{len(before)}" not in site.users()
    assert leftovers(load(site.store, "dc1")) == []
    site.well("restore", "dc1", kept, "--yes")
    assert site.runs(site.new)
    assert f"late{len(before)}" in site.users()
    site.well("rollback", "dc1", "--to", max(ids(site)), "--yes")  # the state that the restore has replaced


def test_when_the_old_version_cannot_start_again_either_it_starts_once_that_is_mended(
    site, settings, tmp_path
):
    """A port that is taken, a full disk, a setting: whatever it is, the state is the old one, whole, and stays it."""

    def fails(*_words, **_how):
        raise ServerError("the machine account's logon fails")

    def work():
        switch.start_smoked = fails  # in a process of its own
        with pytest.raises(ServerError, match="logon fails") as raised:
            upgrade(site.store, settings, UpgradeRequest(name="dc1", ref=site.new, rehearsal=False))
        assert "galaxy recover tries again" in "".join(raised.value.__notes__)

    before = ids(site)
    assert forked(work, log=tmp_path / "log").code == 0
    assert load(site.store, "dc1").pending.exists()
    assert "the hold on clients was gone" not in site.well("recover").output
    assert site.runs(site.old)
    assert "early" in site.users()
    assert ids(site) == before
    assert leftovers(load(site.store, "dc1")) == []

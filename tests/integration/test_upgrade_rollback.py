"""The way back through the command line: what is listed, what is refused, and what a kill or broken databases leave."""

import re
import signal
import time

import pytest
from site_with_a_dc import bytes_of, made, until

from galaxy.host.errors import PolicyError
from galaxy.host.settings import Settings
from galaxy.server.config import load
from galaxy.server.kept import snapshots
from galaxy.server.restore import restore
from galaxy.upgrade import rollback as rollback_module
from galaxy.upgrade.rollback import RollbackRequest, rollback
from galaxy.upgrade.since import lost_by, require_no_more
from galaxy.upgrade.ways import Way

_ADDRESS = "10.218.1.11"


@pytest.fixture(scope="module")
def site(store, settings):
    with made(store, settings, "BACK.EXAMPLE.ORG", _ADDRESS) as own:
        yield own


@pytest.fixture
def upgraded(site):
    """The new version, with a user made since."""
    if not site.runs(site.new):
        (load(site.store, "dc1").etc / "more.conf").touch()
        site.well("upgrade", "dc1", site.new, "--no-rehearsal")
    if "late" not in site.users():
        site.tool("user", "create", "late", "Aa1-of-the-late")
    return site


def test_a_server_that_was_never_upgraded_has_nothing_to_go_back_to(site):
    done = site.galaxy("rollback", "dc1")
    assert done.returncode == 2
    assert "has not been upgraded" in done.stderr


def test_a_configuration_that_nothing_has_started_with_needs_the_rehearsal(site):
    conf = load(site.store, "dc1").etc / "smb.conf"
    good = conf.read_text()
    conf.write_text(good.replace("[global]", "[global]\n\tinterfaces = lo 10.99.99.99"))
    try:
        done = site.galaxy("upgrade", "dc1", site.new, "--no-rehearsal")
    finally:
        conf.write_text(good)
    assert done.returncode == 2, done.output
    assert f"{conf} has been written to since dc1 started" in done.stderr
    assert site.runs(site.old)
    site.well("restart", "dc1")


def test_what_would_be_lost_is_listed_and_nothing_done_without_a_yes(upgraded):
    offers = upgraded.plan()
    assert any("CN=late," in line for line in offers["snapshot"]["loses"])
    assert not any("CN=early," in line for line in offers["snapshot"]["loses"])
    assert offers["downgrade"]["loses"] == []
    assert offers["rejoin"]["refused"]
    for words in ((), ("--way", "snapshot"), ("--way", "rejoin")):
        done = upgraded.galaxy("rollback", "dc1", *words)
        assert done.returncode == 6, done.output
    assert upgraded.runs(upgraded.new)


@pytest.mark.parametrize(
    ("what", "named"),
    [
        ("user", r"1 changes came after the list was made: .*created .*CN=unlisted"),
        ("late-again", r"1 changes came after the list was made: .*changed .*CN=late.*userAccountControl"),
        ("file", r"1 changes came after the list was made: created .*unlisted.txt"),
        ("old-file", r"1 changes came after the list was made: changed .*etc/more.conf"),
    ],
)
def test_what_comes_after_the_list_stops_the_rollback(upgraded, what, named):
    server = load(upgraded.store, "dc1")

    def confirm(_offer: object) -> bool:
        match what:
            case "user":
                upgraded.tool("user", "create", "unlisted", "Aa1-of-the-unlisted")
            case "late-again":
                upgraded.tool("user", "disable", "late")
            case "file":
                (server.state / "sysvol/unlisted.txt").touch()
            case _:
                (server.etc / "more.conf").write_text("changed")
        return True

    request = RollbackRequest(name="dc1", way=Way.SNAPSHOT)
    with pytest.raises(PolicyError, match=named):
        rollback(upgraded.store, Settings(), request, show=lambda _: None, confirm=confirm)
    assert upgraded.runs(upgraded.new)
    assert what != "user" or "unlisted" in upgraded.users()


def test_what_was_not_well_is_started_again_by_a_way_back_that_fails(upgraded, monkeypatch, capsys):
    def confirm(_offer: object) -> bool:
        upgraded.tool("user", "create", "unlisted2", "Aa1-of-the-unlisted")
        return True

    monkeypatch.setattr(rollback_module, "answers", lambda *_: {"dns": "does not answer"})
    request = RollbackRequest(name="dc1", way=Way.SNAPSHOT)
    with pytest.raises(PolicyError, match="after the list was made"):
        rollback(upgraded.store, Settings(), request, show=lambda _: None, confirm=confirm)
    assert "dc1 has been started again; it was not well before" in capsys.readouterr().err
    deadline = time.monotonic() + 60
    while not upgraded.runs(upgraded.new):
        assert time.monotonic() < deadline, "it was not started"
        time.sleep(0.5)
    assert "unlisted2" in upgraded.users()


def test_what_comes_after_the_list_stops_a_restore(upgraded):
    server = load(upgraded.store, "dc1")
    wanted = snapshots(server)[0]
    seen = lost_by(server, wanted)
    assert any("CN=late," in line for line in seen.lines)
    upgraded.tool("user", "create", "unlisted3", "Aa1-of-the-unlisted")
    with pytest.raises(PolicyError, match="after the list was made"):
        restore(
            server,
            wanted,
            Settings(),
            require_seen=lambda entry, stopped: require_no_more(
                entry, stopped, seen.changes, None, "Look again."
            ),
        )
    assert upgraded.runs(upgraded.new)
    assert "unlisted3" in upgraded.users()


@pytest.mark.parametrize("way", ["downgrade", "snapshot"])
def test_killed_on_the_way_it_is_the_new_or_the_old_version_whole(upgraded, way):
    """SIGKILL while the switch is under way; the next command puts it right."""
    pending = load(upgraded.store, "dc1").pending
    process = upgraded.begin("rollback", "dc1", "--way", way, "--yes")
    until(pending.exists, process)
    until(lambda: b'"touched":true' in bytes_of(pending), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    upgraded.well("recover")
    assert upgraded.runs(upgraded.new)
    assert {"early", "late"} <= upgraded.users()


def test_back_by_the_downgrade_everything_is_there(upgraded):
    upgraded.well("rollback", "dc1", "--way", "downgrade")
    assert upgraded.runs(upgraded.old)
    assert {"early", "late"} <= upgraded.users()
    assert "(0 errors)" in upgraded.tool("dbcheck", "--cross-ncs")


def test_with_broken_databases_the_snapshot_is_still_a_way(upgraded):
    server = load(upgraded.store, "dc1")
    break_databases(upgraded)
    offers = upgraded.plan()
    assert "cannot be read" in offers["snapshot"]["loses"][0]
    assert "cannot be read" in offers["downgrade"]["refused"]
    upgraded.well("rollback", "dc1", "--way", "snapshot", "--yes")
    assert upgraded.runs(upgraded.old)
    assert "early" in upgraded.users()
    # How many accounts are lost nobody can tell: those of now are far from them, and from the next ones.
    first = made_now(upgraded, "after")
    assert first > rid(upgraded, "early") + 100_000
    assert "(0 errors)" in upgraded.tool("dbcheck", "--cross-ncs")
    break_databases(upgraded)
    early = next(one for one in snapshots(server) if one.reason.startswith("before "))
    upgraded.well("restore", "dc1", early.id, "--yes")
    upgraded.well("start", "dc1")
    assert "after" not in upgraded.users()
    assert made_now(upgraded, "after-again") > first + 90_000


def break_databases(site) -> None:
    site.well("stop", "dc1")
    for file in (load(site.store, "dc1").state / "private" / "sam.ldb.d").glob("DC=BACK*.ldb"):
        with file.open("r+b") as database:
            database.write(b"\0" * 4096)


def made_now(site, name: str) -> int:
    site.tool("user", "create", name, "Aa1-of-the-after")
    return rid(site, name)


def rid(site, name: str) -> int:
    shown = site.tool("user", "show", name, "--attributes=objectSid")
    return int(re.search(r"objectSid: \S+-(\d+)", shown).group(1))

"""A rejoin that is killed: the newer version as long as the domain knows it, else the older one joined again."""

import json
import signal

import pytest
from site_with_a_dc import bytes_of, made, until

from galaxy.server.config import load
from scenarios import belongings

_ADDRESS, _PARTNER = "10.218.3.11", "10.218.3.12"


@pytest.fixture(scope="module")
def site(store, settings):
    """dc1, and a partner that has all its data."""
    with made(store, settings, "AGAIN.EXAMPLE.ORG", _ADDRESS) as own:
        password = load(own.store, "dc1").secrets / "admin-password"
        words = ("--image", own.old, "--realm", "AGAIN.EXAMPLE.ORG", "--network", "private", "--dc", _ADDRESS)
        own.well("join", "dc2", *words, "--address", _PARTNER, "--admin-password-file", str(password))
        own.well("start", "dc2")
        server = load(own.store, "dc1")
        belongings.leave(server)
        # What smb.conf includes has to be wherever smb.conf is: this version does not start without it.
        (server.etc / "more.conf").write_text("# nothing\n")
        conf = server.etc / "smb.conf"
        conf.write_text(conf.read_text().replace("[global]", "[global]\n\tinclude = /etc/samba/more.conf"))
        own.well("restart", "dc1")
        yield own


def rejoin(site):
    """The words of the command."""
    password = load(site.store, "dc1").secrets / "admin-password"
    return (
        "rollback",
        "dc1",
        "--way",
        "rejoin",
        "--dc",
        _PARTNER,
        "--admin-password-file",
        str(password),
        "--yes",
    )


@pytest.mark.parametrize(
    ("mark", "runs"),
    [
        pytest.param(b'"leaving":false', "new", id="before-it-leaves"),
        pytest.param(b'"leaving":true', "either", id="while-it-leaves"),
        pytest.param(b'"left":true', "old", id="when-it-has-left"),
    ],
)
def test_killed_on_the_way_it_is_one_version_whole(site, mark, runs):
    server = load(site.store, "dc1")
    if not site.runs(site.new):
        site.well("upgrade", "dc1", site.new, "--no-rehearsal")
    process = site.begin(*rejoin(site))
    until(lambda: mark in bytes_of(server.pending), process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    site.well("recover")
    wanted = {"new": (site.new,), "old": (site.old,), "either": (site.new, site.old)}[runs]
    assert any(site.runs(image) for image in wanted)
    assert "early" in site.users()
    belongings.require(server)
    assert not [
        name for name in ("rejoining", "rejoined", "before-rejoin") if (server.folder / name).exists()
    ]


def test_a_configuration_that_nothing_has_started_with_is_not_gone_back_on(site):
    server = load(site.store, "dc1")
    if not site.runs(site.new):
        site.well("upgrade", "dc1", site.new, "--no-rehearsal")
    conf = server.etc / "smb.conf"
    good = conf.read_text()
    conf.write_text(good.replace("[global]", "[global]\n\tinterfaces = lo 10.99.99.99"))
    try:
        done = site.galaxy(*rejoin(site))
    finally:
        conf.write_text(good)
    assert done.returncode == 2, done.output
    assert f"{conf} has been written to since dc1 started" in done.stderr
    site.well("restart", "dc1")
    assert site.runs(site.new)


def test_a_mistake_in_smb_conf_does_not_hide_the_partner(site):
    """Nothing is known of the databases then: the snapshot of before the partner joined must not be offered."""
    server = load(site.store, "dc1")
    conf = server.etc / "smb.conf"
    good = conf.read_text()
    oldest = json.loads(site.well("snapshots", "dc1", "--json").stdout)[0]["id"]
    conf.write_text(
        good.replace("[global]", "[global]\n\tinclude = /etc/samba/not-there.conf\n\tserver role = nonsense")
    )
    try:
        plan = site.galaxy("rollback", "dc1", "--plan")
        back = site.galaxy("rollback", "dc1", "--way", "snapshot", "--yes")
        restored = site.galaxy("restore", "dc1", oldest, "--yes")
    finally:
        conf.write_text(good)
    for done in (plan, back, restored):
        assert done.returncode == 5, done.output
        assert "cannot read the smb.conf" in done.stderr
    site.well("restart", "dc1")
    assert site.runs(site.new)

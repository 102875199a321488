"""What an upgrade does not do: bad input ends with the documented code and leaves the server as it was."""

import json
import os
import re
import shutil
from dataclasses import replace

import pytest
from site_with_a_dc import made

from galaxy.server.config import HostNetwork, load
from galaxy.server.network import link_of
from galaxy.upgrade.rehearsal import evidence_of

_ADDRESS = "10.218.4.11"


@pytest.fixture(scope="module")
def site(store, settings):
    with made(store, settings, "REFUSED.EXAMPLE.ORG", _ADDRESS) as own:
        yield own


def refused(site, code, why, *words):
    """The command is refused with that code and those words; the server goes on as it did."""
    server = load(site.store, "dc1")
    before = sorted(path.name for path in server.folder.iterdir()), server.record.read_bytes()
    done = site.galaxy("upgrade", *words)
    assert done.returncode == code, done.output
    assert why in done.stderr, done.stderr
    assert (sorted(path.name for path in server.folder.iterdir()), server.record.read_bytes()) == before
    assert site.runs(site.old)


@pytest.mark.parametrize("plan", [(), ("--plan",)])
def test_unknown_or_unfit_images(site, plan):
    refused(site, 2, "there is no image 4.9.9", "dc1", "4.9.9", *plan)
    refused(site, 2, "runs 4.17.12+packages", "dc1", site.old, *plan)
    refused(site, 2, "there is no server dc9", "dc9", site.new, *plan)


def test_an_older_version_says_how_to_go_back(site):
    server = load(site.store, "dc1")
    newer = server.as_image(site.new)
    newer.write()
    try:
        done = site.galaxy("upgrade", "dc1", site.old)
    finally:
        server.write()
    assert done.returncode == 2, done.output
    assert "is older than" in done.stderr
    assert "galaxy rollback dc1" in done.stderr


def test_an_image_that_was_changed(site):
    folder = site.store.images / site.new
    kept = folder.resolve()
    folder.unlink()
    shutil.copytree(kept, folder)
    try:
        with (folder / "image.squashfs").open("r+b") as image:
            image.seek(-8192, os.SEEK_END)
            image.write(b"changed!")
        refused(site, 6, "changed after it was sealed", "dc1", site.new)
    finally:
        shutil.rmtree(folder)
        folder.symlink_to(kept)


def test_an_image_without_a_certificate_on_a_hosts_network(site):
    server = load(site.store, "dc1")
    site.well("stop", "dc1")
    replace(server, config=server.config.model_copy(update={"network": HostNetwork()})).write()
    try:
        plain = site.galaxy("upgrade", "dc1", site.new, "--plan")
        waived = site.galaxy("upgrade", "dc1", site.new, "--plan", "--allow-uncertified")
    finally:
        server.write()
        site.well("start", "dc1")
    assert plain.returncode == 6, plain.output
    assert "has no certificate" in plain.stderr
    assert "--allow-uncertified" in plain.stderr
    assert waived.returncode == 0, waived.output


def upgrade_with(site, setting):
    """Try an upgrade with one more line in smb.conf, which goes again."""
    conf = load(site.store, "dc1").etc / "smb.conf"
    good = conf.read_text()
    conf.write_text(good.replace("[global]", f"[global]\n\t{setting}"))
    try:
        return site.galaxy("upgrade", "dc1", site.new)
    finally:
        conf.write_text(good)


def test_a_damaged_configuration_is_broken_before_the_upgrade(site):
    done = upgrade_with(site, "server role = nonsense")
    assert done.returncode == 5, done.output
    assert "broken before the upgrade" in done.stderr
    site.well("restart", "dc1")
    assert site.runs(site.old)


def test_what_the_old_version_fails_by_already_is_found_before_anything_stops(site):
    """A setting of clients': the server answers, and the logon that decides about a new version fails with any."""
    done = upgrade_with(site, "client max protocol = NT1")
    assert done.returncode == 5, done.output
    assert "dc1 is broken before the upgrade: dc1 answers, but listing sysvol over SMB fails: " in done.stderr
    assert site.runs(site.old)


def test_a_disk_that_is_too_small_is_computed_before(site):
    """A file that takes the room, in a state that is copied twice: more than any test host has free."""
    server = load(site.store, "dc1")
    free = shutil.disk_usage(server.folder).free
    ballast = server.state / "ballast"
    with ballast.open("wb") as sink:
        os.posix_fallocate(sink.fileno(), 0, free // 2)
    try:
        refused(site, 3, "are free", "dc1", site.new)
    finally:
        ballast.unlink()


def test_a_level_above_the_versions_is_found_on_a_running_and_a_stopped_server(site):
    server = load(site.store, "dc1")
    base = server.config.base_dn
    raised = f"dn: {base}\nchangetype: modify\nreplace: msDS-Behavior-Version\nmsDS-Behavior-Version: 7\n"
    modify = (
        "exec",
        "dc1",
        "--",
        "/bin/sh",
        "-c",
        'printf "$1" | ldbmodify -H /var/lib/samba/private/sam.ldb',
        "sh",
    )
    site.well(*modify, raised)
    for command in ("restart", "stop"):
        site.well(command, "dc1")
        done = site.galaxy("upgrade", "dc1", site.new, "--no-rehearsal")
        assert done.returncode == 2, done.output
        assert "functional level (2016) is above the one" in done.stderr
        assert "ad dc functional level = 2016" in done.stderr
    site.well("start", "dc1")
    site.well(*modify, raised.replace(": 7", ": 4"))
    site.well("restart", "dc1")
    assert site.runs(site.old)


def test_what_fails_with_both_versions_is_told_and_forbids_nothing(site):
    """A server that is meant to do less than clients could want; the last test here, for it moves the server."""
    server = load(site.store, "dc1")
    conf = server.etc / "smb.conf"
    # The rehearsal's network has to have the interface that smb.conf names.
    text = re.sub(r"\binterfaces = .*", f"interfaces = lo {link_of(server)}", conf.read_text())
    conf.write_text(text.replace("[global]", "[global]\n\ttls enabled = no"))
    site.well("restart", "dc1")
    told = json.loads(site.well("upgrade", "dc1", site.new, "--json").stdout)
    for checks in (told["rehearsal"]["checks"], told["after"]["checks"]):
        assert not checks["troubles"]
        assert any(line.startswith("ldap.bind-simple-starttls:") for line in checks["before"])
        assert checks["passed"]
    assert (evidence_of(server) / "before/results.jsonl").exists()
    assert not {"rehearsal-copy", "rehearsal-before"} & {path.name for path in server.folder.iterdir()}
    assert site.runs(site.new)

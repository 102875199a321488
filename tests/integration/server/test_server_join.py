"""Joining a domain: what is refused and leaves nothing, what a joined DC has, and what a killed join leaves."""

import os
import time

import pytest

from galaxy.server.config import HostNetwork

REALM = "DC1.EXAMPLE.ORG"
# What a broken-off join could leave on the host; the first DC's own processes come and go.
PLACES = ("mounts", "namespaces", "links", "containers", "cgroups", "journal", "servers")


@pytest.fixture(scope="module")
def first(machine):
    """A domain's first DC, running at 10.77.0.2; the file of its administrator's password."""
    machine.clone("dc1", HostNetwork(), "10.77.0.2")
    answer = machine.galaxy("start", "dc1")
    assert answer.code == 0, answer.err
    yield machine.folder("dc1") / "secrets" / "admin-password"
    assert machine.galaxy("rm", "dc1", "--force").code == 0


@pytest.fixture
def words(machine, first):
    """The words of a join that would go well."""
    return {
        "--image": machine.image.id,
        "--realm": REALM,
        "--dc": "10.77.0.2",
        "--address": "10.77.0.3",
        "--admin-password-file": first,
    }


def join(machine, words, **changed):
    """The words of a command line, with some of the options replaced."""
    wanted = words | {f"--{name.replace('_', '-')}": value for name, value in changed.items()}
    options = [word for pair in wanted.items() for word in pair]
    return ["join", "dc2", "--allow-uncertified", *options]


def left(machine):
    """What is there on the host, and in the domain by name."""
    remains = machine.remains()
    computers = machine.galaxy("exec", "dc1", "--", "samba-tool", "computer", "list").out
    return {place: remains[place] for place in PLACES}, computers.split()


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"dc": "10.77.0.77"}, "no domain controller answers at 10.77.0.77"),
        ({"dc": "10.77.0.3"}, "connection refused"),
        ({"dc": "dc1"}, "'dc1' is not an IPv4 address"),
        ({"realm": "OTHER.EXAMPLE.ORG"}, f"is a DC of {REALM}, not of OTHER.EXAMPLE.ORG"),
        ({"admin_user": "nobody"}, "no such user, or another password"),
        ({"hostname": "dc1"}, "has a DC1 already: dc1.dc1.example.org at 10.77.0.2"),
        ({"site": "Nowhere"}, "it has Default-First-Site-Name"),
        ({"address": "10.77.0.9"}, "10.77.0.9 is not an address of this host"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
def test_bad_input_is_refused_with_the_reason_and_leaves_nothing(machine, words, changed, says):
    before = left(machine)
    answer = machine.galaxy(*join(machine, words, **changed))
    assert answer.code == 2, answer.err
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert left(machine) == before


def test_a_wrong_password_or_one_of_a_user_without_rights_is_refused(machine, words, tmp_path):
    before = left(machine)
    file = tmp_path / "password"
    file.write_text("Nobody-has-this-1\n")
    answer = machine.galaxy(*join(machine, words, admin_password_file=file))
    assert answer.code == 2, answer.err
    assert "refuses Administrator: no such user, or another password" in answer.err
    made = machine.galaxy("exec", "dc1", "--", "samba-tool", "user", "create", "plain", "Nobody-has-this-1")
    assert made.code == 0, made.err
    answer = machine.galaxy(*join(machine, words, admin_password_file=file, admin_user="plain"))
    assert answer.code == 2, answer.err
    assert "plain may not add a DC" in answer.err
    assert left(machine) == before


def test_a_joined_server_is_a_dc_of_the_domain_and_holds_its_sysvol(machine, words):
    before = left(machine)
    script = machine.folder("dc1") / "state" / "sysvol" / REALM.lower() / "scripts" / "logon.cmd"
    script.write_text("echo hello\n")
    answer = machine.galaxy(*join(machine, words))
    assert answer.code == 0, answer.err
    assert "one more DC of DC1.EXAMPLE.ORG (QUICK)" in answer.out
    folder = machine.folder("dc2")
    assert not (folder / "secrets" / "joining.json").exists(), "the credentials of the join are still there"
    assert words["--admin-password-file"].read_text() not in (folder / "log" / "join.log").read_text()
    assert (folder / "state/sysvol" / REALM.lower() / "scripts/logon.cmd").read_text() == "echo hello\n"
    [policy, *_] = (folder / "state/sysvol" / REALM.lower() / "Policies").iterdir()
    assert "system.posix_acl_access" in os.listxattr(policy), (
        "NTACLs were set without what the host's own checks see"
    )
    assert machine.galaxy("start", "dc2").code == 0
    for tool in (("ntacl", "sysvolcheck"), ("drs", "showrepl", "-P"), ("dbcheck", "--cross-ncs")):
        done = machine.galaxy("exec", "dc2", "--", "samba-tool", *tool)
        assert done.code == 0, done.out + done.err
    pulled = ("samba-tool", "drs", "replicate", "dc2", "dc1", "DC=dc1,DC=example,DC=org", "-P")
    machine.galaxy("exec", "dc1", "--", "samba-tool", "user", "create", "later", "Made-afterwards-1")
    assert machine.galaxy("exec", "dc2", "--", *pulled).code == 0
    assert "later" in machine.galaxy("exec", "dc2", "--", "samba-tool", "user", "list").out.split()
    demoted = ("samba-tool", "domain", "demote", "--remove-other-dead-server=DC2")
    assert machine.galaxy("rm", "dc2", "--force").code == 0
    assert machine.galaxy("exec", "dc1", "--", *demoted).code == 0
    assert left(machine) == before


def test_a_killed_join_is_taken_out_of_the_domain_by_the_next_command(machine, words):
    before = left(machine)
    run = machine.begin(*join(machine, words))
    deadline = time.monotonic() + 60
    while "DC2$" not in left(machine)[1]:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline, "the join never made its account"
    assert run.poll() is None, "the join was done before it could be killed"
    run.kill()
    run.communicate()
    assert left(machine) != before, "the kill came too early to leave anything"
    answer = machine.galaxy("recover")
    assert answer.code == 0, answer.err
    assert "settled an interrupted join of dc2" in answer.out + answer.err
    assert left(machine) == before

"""A running server as the target of the checks: what its file says is compared with what it says itself."""

import json
import re

import pytest

from galaxy.server.config import load
from galaxy.server.script import argv_of
from galaxy.upgrade.consult import run_inside
from verify.clients.waiting import within


@pytest.fixture(scope="module")
def target(machine):
    """A function that writes the server's target file with some keys changed."""
    answer = machine.create("dc1", "--address", machine.addresses[0])
    assert answer.code == 0, answer.err
    assert machine.galaxy("start", "dc1").code == 0
    (machine.store.root / "wrong-password").write_text("Wrong-1\n")

    def written(**changed):
        keys = {
            "address": machine.addresses[0],
            "fqdn": "dc1.ad.example.org",
            "realm": "AD.EXAMPLE.ORG",
            "domain": "AD",
            "password_file": str(machine.folder("dc1") / "secrets/admin-password"),
        }
        file = machine.store.root / "target.toml"
        file.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in (keys | changed).items()))
        return file

    yield written
    assert machine.galaxy("rm", "dc1", "--force").code == 0


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"realm": "OTHER.TEST"}, "realm is OTHER.TEST, and the domain controller says AD.EXAMPLE.ORG"),
        (
            {"base_dn": "DC=other"},
            "base_dn is DC=other, and the domain controller says DC=ad,DC=example,DC=org",
        ),
        ({"fqdn": "dc2.ad.example.org"}, "fqdn is dc2.ad.example.org, and the domain controller says dc1."),
        ({"domain": "OTHER"}, "domain is OTHER, and the domain controller says AD"),
        ({"password_file": "wrong-password"}, "does not let Administrator in with the password given: "),
    ],
)
def test_a_target_that_is_another_one_is_told_once(machine, target, changed, why):
    answer = machine.galaxy("verify", "--target", target(**changed), "--tier", "smoke")
    assert answer.code == 1
    (told,) = [line for line in answer.out.splitlines() if line.startswith(("blocked: ", "failed: "))]
    assert why in told


def test_a_target_that_is_right_passes(machine, target):
    answer = machine.galaxy("verify", "--target", target(), "--tier", "smoke")
    assert answer.code == 0, answer.out + answer.err
    assert "failed: " not in answer.out


def test_checks_of_the_host_and_of_signed_time_apply_to_a_server_of_galaxys(machine, target):
    target()  # the server runs
    chosen = ("--tier", "full", "-k", "host.seccomp or time.signed-reply or join.member")
    answer = machine.galaxy("verify", "--server", "dc1", *chosen)
    assert answer.code == 0, answer.out + answer.err
    assert "3 passed" in answer.out, answer.out


@pytest.fixture
def without_ntlm(machine, target):
    """The server as a hardened domain has it: no NTLM, and with it no simple binds."""
    file = machine.folder("dc1") / "etc/smb.conf"
    before = file.read_text()
    file.write_text(before.replace("[global]", "[global]\n\tntlm auth = disabled", 1))
    assert machine.galaxy("restart", "dc1").code == 0
    yield target
    file.write_text(before)
    assert machine.galaxy("restart", "dc1").code == 0


def test_where_ntlm_is_switched_off_the_checks_log_on_by_kerberos(machine, without_ntlm):
    chosen = ("--tier", "full", "-k", "smb or rpc or ldap or dns.tool")
    answer = machine.galaxy("verify", "--target", without_ntlm(ntlm=False), *chosen)
    assert answer.code == 0, answer.out + answer.err
    passed, others = (
        int(re.search(rf"(\d+) {what}", answer.out)[1]) for what in ("passed", "not-applicable")
    )
    assert passed > 90
    assert 5 < others < 35
    answer = machine.galaxy("verify", "--server", "dc1")
    assert answer.code == 0, answer.out + answer.err
    wrong = without_ntlm(ntlm=False, password_file="wrong-password")
    answer = machine.galaxy("verify", "--target", wrong, "--tier", "smoke")
    assert answer.code == 1
    assert "does not let Administrator in with the password given: " in answer.out
    assert "kinit: " in answer.out


def test_without_ntlm_a_server_still_registers_its_own_records(machine, without_ntlm):
    """samba_dnsupdate insists on NTLM; whoever looks for a DC finds it by these records."""
    record = (
        "dc1.ad.example.org",
        "_msdcs.ad.example.org",
        "_ldap._tcp.pdc",
        "SRV",
        "dc1.ad.example.org 389 0 100",
    )
    tool = ("exec", "dc1", "--", "samba-tool", "dns")
    done = machine.galaxy(*tool, "delete", *record, "-P")
    assert done.code == 0, done.out + done.err
    query = (*tool, "query", *record[:4], "-P")
    assert "389" not in machine.galaxy(*query).out
    (machine.folder("dc1") / "state/private/dns_update_cache").unlink()
    assert machine.galaxy("restart", "dc1").code == 0
    assert within(60, lambda: "389" in machine.galaxy(*query).out), (
        machine.folder("dc1") / "log/log.samba"
    ).read_text()


@pytest.mark.parametrize(
    ("ntlm", "why"),
    [
        (True, "has NTLM switched off; if that is meant, say so: ntlm = false in the target's file"),
        (False, "lets people in by NTLM, and the target says that it does not"),
    ],
)
def test_what_the_file_says_of_ntlm_is_compared_too(request, machine, target, ntlm, why):
    written = request.getfixturevalue("without_ntlm") if ntlm else target
    answer = machine.galaxy("verify", "--target", written(ntlm=ntlm), "--tier", "smoke")
    assert answer.code == 1
    (told,) = [line for line in answer.out.splitlines() if line.startswith(("blocked: ", "failed: "))]
    assert why in told


def test_what_would_reach_the_hosts_file_system_is_refused_inside(machine, target):
    """The filter looks at ioctl's request: nothing is frozen, for /dev/null has nothing that could be.

    Last here: it is a server that is stopped, of which a program can be run as its own processes are.
    """
    target()
    assert machine.galaxy("stop", "dc1").code == 0
    script = (
        "import errno, fcntl\n"
        "def said(request):\n"
        "    try: fcntl.ioctl(null, request, bytes(64))\n"
        "    except OSError as error: return errno.errorcode[error.errno]\n"
        "null = open('/dev/null')\n"
        "print(*(said(request) for request in (0xC0045877, 0x5412, 0xD0009411, 0x5401)))\n"
    )
    done = run_inside(load(machine.store, "dc1"), argv_of(script))
    assert done.stdout.split() == ["EPERM", "EPERM", "EPERM", "ENOTTY"], done.output

"""Checks that can fail: faults planted in a server, each of which must be found by the checks named beside it."""

import json

import pytest
from spoils import OPEN

from galaxy.server.config import load
from galaxy.server.script import argv_of
from galaxy.upgrade.consult import run_inside

# What smb.conf says: the checks that find it.
SETTINGS = {
    "server signing = disabled": ("smb.signing-required",),
    "server min protocol = NT1": ("smb.smb1-refused",),
    "server smb encrypt = off": ("smb.encryption-aes128", "smb.encryption-aes256", "smb.encryption-300"),
    "server multi channel support = no": ("smb.multichannel",),
    "case sensitive = yes": ("smb.case-insensitive-names",),
    "locking = no": ("smb.byte-range-locks",),
    "change notify = no": ("smb.notify",),
    "durable handles = no": ("smb.durable-handle",),
    "smb2 max read = 65536": ("smb.large-reads",),
    "host msdfs = no": ("smb.dfs-domain-list", "smb.dfs-sysvol"),
    "vfs objects = dfs_samba4": ("smb.ntacl-round-trip", "sysvol.rights"),
    "browseable = no": ("rpc.share-list",),
    "rpc start on demand helpers = false": ("rpc.winreg",),
    "ntlm auth = ntlmv1-permitted": ("security.ntlmv1-refused",),
    "server schannel require seal = no": ("security.unsealed-channel-refused",),
    "reject md5 clients = no": ("security.md5-channel-refused",),
    "ldap server require strong auth = no": ("ldap.bind-simple-clear", "ldap.bind-gssapi-bare"),
    "acl:search = no": ("ldap.secrets-hidden", "security.hashes-unreadable", "security.tombstones-hidden"),
    "allow dns updates = nonsecure": ("dns.update-unsigned", "dns.update-others"),
    "kpasswd port = 465": ("kerberos.kpasswd",),
    "kdc default domain supported enctypes = rc4-hmac": ("kerberos.tgs-default-enctype",),
    "server services = -ntp_signd": ("time.signed-reply",),
}
# What is written into the directory and sysvol: the checks that find it.
STATE = {
    'replace(db, krbtgt, "userAccountControl", ["512"])': ("security.krbtgt-disabled",),
    'replace(db, domain, "pwdProperties", ["0"]); replace(db, domain, "minPwdLength", ["0"])': (
        "ldap.password-complexity",
        "kerberos.kpasswd-weak",
    ),
    'replace(db, domain, "pwdHistoryLength", ["0"])': ("ldap.password-history",),
    'replace(db, service, "dSHeuristics", ["0000002"]); allow("(A;CI;GR;;;AN)")': (
        "ldap.anonymous-refused",
        "security.anonymous-ldap-refused",
    ),
    'allow("(A;CI;GA;;;AU)")': (
        "ldap.unprivileged-write",
        "ldap.confidential",
        "security.no-escalation",
        "security.spn-theft-refused",
        "security.machine-accounts-refused",
    ),
    'raw(guest, "instanceType", "0")': ("health.dbcheck",),
    'shutil.rmtree(f"{policies}/{{31B2F340-016D-11D2-945F-00C04FB984F9}}")': (
        "sysvol.default-policies",
        "sysvol.policies-match-directory",
    ),
}
PLANT = """
import shutil
from samba.sd_utils import SDUtils
db = sam()
domain = ldb.Dn(db, db.domain_dn())
krbtgt, guest = dn(db, "(sAMAccountName=krbtgt)"), dn(db, "(sAMAccountName=Guest)")
service = ldb.Dn(db, f"CN=Directory Service,CN=Windows NT,CN=Services,CN=Configuration,{domain}")
policies = "/var/lib/samba/sysvol/" + lp.get("realm").lower() + "/Policies"
def raw(where, attribute, value):
    wanted = f"{domain}.LDB".upper()
    files = [name for name in os.listdir(f"{P}sam.ldb.d") if name.upper() == wanted]
    store = ldb.Ldb(f"tdb://{P}sam.ldb.d/{files[0]}", options=["modules:"])
    message = ldb.Message(ldb.Dn(store, str(where)))
    message[attribute] = ldb.MessageElement([value], ldb.FLAG_MOD_REPLACE, attribute)
    store.modify(message)
def allow(ace):
    SDUtils(db).dacl_add_ace(domain, ace)
"""


@pytest.fixture(scope="module")
def dc(machine):
    answer = machine.create("dc1", "--address", machine.addresses[0])
    assert answer.code == 0, answer.err
    yield machine
    assert machine.galaxy("rm", "dc1", "--force").code == 0


def found(dc, wanted, tmp_path):
    """The checks of those that fail; all of them must have been made."""
    assert dc.galaxy("start", "dc1").code == 0
    report = tmp_path / "report"
    chosen = ("--tier", "full", "-k", " or ".join(wanted), "--report", report)
    answer = dc.galaxy("verify", "--server", "dc1", *chosen)
    assert answer.code == 1, answer.out + answer.err
    outcomes = {
        row["id"]: row["outcome"]
        for row in map(json.loads, (report / "results.jsonl").read_text().splitlines())
    }
    assert wanted <= set(outcomes), wanted - set(outcomes)
    assert dc.galaxy("stop", "dc1").code == 0
    return {name for name, outcome in outcomes.items() if outcome == "failed"}


def test_a_setting_that_is_wrong_is_found(dc, tmp_path):
    config = dc.folder("dc1") / "etc" / "smb.conf"
    good = config.read_text()
    config.write_text(good.replace("[global]", "[global]\n\t" + "\n\t".join(SETTINGS)))
    wanted = {name for names in SETTINGS.values() for name in names}
    try:
        assert wanted - found(dc, wanted, tmp_path) == set()
    finally:
        config.write_text(good)


def test_what_is_wrong_in_the_directory_and_in_sysvol_is_found(dc, tmp_path):
    done = run_inside(load(dc.store, "dc1"), argv_of(OPEN + PLANT + "\n".join(STATE)))
    assert done.returncode == 0, done.output
    wanted = {name for names in STATE.values() for name in names}
    assert wanted - found(dc, wanted, tmp_path) == set()

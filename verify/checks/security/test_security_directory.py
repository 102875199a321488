"""What nobody, or not everybody, may read and write in the directory."""

import ldap3
from impacket.dcerpc.v5 import samr as msrpc

from verify.bench import Bench, unique
from verify.check import NotApplicable, check
from verify.clients import rpc, samr
from verify.clients.ldap import SHOW_DELETED, LdapRefusedError, Session, refused
from verify.clients.machines import machine
from verify.clients.ntstatus import SUCCESS
from verify.target import Target

COMPARE_TRUE, COMPARE_FALSE = 6, 5
OPERATIONS_ERROR, CONSTRAINT, INSUFFICIENT, UNWILLING, INVALID_DN = 1, 19, 50, 53, 34
SECRETS = ("unicodePwd", "dBCSPwd", "supplementalCredentials", "ntPwdHistory", "lmPwdHistory")


def ordinary(bench: Bench) -> Session:
    """A session of a user without any rights of its own."""
    user = bench.account()
    return bench.ldap.login(user.principal, user.password)


@check("security.anonymous-ldap-refused", loses="anybody on the network could read the whole directory")
def test_anonymous_ldap_refused(target: Target, bench: Bench) -> None:
    anybody = bench.ldap.anonymous()
    assert anybody.read("", ["defaultNamingContext"]).one("defaultNamingContext"), "expected the rootDSE"
    with refused(OPERATIONS_ERROR):
        anybody.search(target.base_dn, "(objectClass=user)", ["cn"])


@check("security.null-session-as-configured", loses="`restrict anonymous` would not do what it says")
def test_null_session_as_configured(target: Target) -> None:
    level = _restrict_anonymous(target)

    def enumerate_users() -> None:
        with samr.opened(target, caller=rpc.ANONYMOUS, level=None) as call:
            samr.users(call, target)

    said = rpc.outcome(enumerate_users)
    allowed = said == SUCCESS
    assert allowed is (level == 0), f"expected null sessions under `restrict anonymous = {level}`, got {said}"


def _restrict_anonymous(target: Target) -> int:
    """The configured value; Samba's default where the configuration can't be seen."""
    if target.version is None:
        raise NotApplicable("what null sessions may do is Samba's setting `restrict anonymous`")
    if target.shell is None:
        return 0
    done = target.shell("testparm", "-s", "--parameter-name=restrict anonymous")
    return int(done.stdout.strip().splitlines()[-1])


@check("security.machine-accounts-refused", loses="any user could bring machines of his own into the domain")
def test_machine_accounts_refused(target: Target, bench: Bench) -> None:
    name = unique("gq").upper()
    dn = f"CN={name},CN=Computers,{target.base_dn}"
    body = {"objectClass": "computer", "sAMAccountName": f"{name}$", "userAccountControl": 0x1000}
    user = bench.account()
    try:
        with refused(INSUFFICIENT):
            bench.ldap.login(user.principal, user.password).add(dn, body)
        said = _create_by_samr(target, rpc.Caller(user=user.name, password=user.password), f"{name}$")
    finally:
        for row in bench.admin.search(target.base_dn, f"(sAMAccountName={name}$)", ["cn"]):
            bench.admin.delete(row.dn)
    # Samba's word, or impacket's for it.
    assert "ACCESS_DENIED" in said or "doesn't have the right to create" in said, (
        f"expected a plain user's SamrCreateUser2InDomain to be refused, got: {said}"
    )


def _create_by_samr(target: Target, caller: rpc.Caller, name: str) -> str:
    """What the server says when a machine account is to be made the way joins do it."""
    with samr.opened(target, caller=caller) as call:
        domain = samr.domain_handle(call, target)
        try:
            msrpc.hSamrCreateUser2InDomain(call, domain, name, msrpc.USER_WORKSTATION_TRUST_ACCOUNT)
        except Exception as error:  # noqa: BLE001 - impacket turns this refusal into a plain Exception
            return str(error)
    return SUCCESS


@check("security.tombstones-hidden", loses="every user could read what was deleted (CVE-2018-14628)")
def test_tombstones_hidden(target: Target, bench: Bench) -> None:
    gone = bench.account()
    bench.admin.delete(gone.dn)
    found = {
        who: len(
            session.search(target.base_dn, f"(sAMAccountName={gone.name})", ["cn"], controls=[SHOW_DELETED])
        )
        for who, session in (("administrator", bench.admin), ("user", ordinary(bench)))
    }
    assert found["administrator"] == 1, f"expected the administrator to see one tombstone, got {found}"
    assert found["user"] == 0, f"expected a user to see none, got {found}"


@check(
    "security.special-dn-refused", loses="any user could change the database's own records (CVE-2026-58221)"
)
def test_special_dn_refused(bench: Bench) -> None:
    user = ordinary(bench)
    dn = f"@{unique('GALAXY')}"
    try:
        user.add(dn, {"objectClass": "top", "galaxyCheck": "1"})
        said = SUCCESS
    except LdapRefusedError as error:
        said = f"result {error.code}"
    else:
        user.delete(dn)
    assert said != SUCCESS, f"expected an add of {dn} to be refused, it was made"


@check("security.compare-confidential", loses="any user could guess confidential attributes (CVE-2026-58222)")
def test_compare_confidential(bench: Bench) -> None:
    secret = unique("gc")
    other = bench.account(unixUserPassword=secret.encode())
    user = ordinary(bench)
    found = {
        who: _compare(session, other.dn, "unixUserPassword", secret)
        for who, session in (("administrator", bench.admin), ("user", user))
    }
    public = _compare(user, other.dn, "sAMAccountName", other.name)
    assert found["administrator"] == COMPARE_TRUE, f"expected the administrator to be told, got {found}"
    assert public == COMPARE_TRUE, f"expected Compare to work on other attributes, got {public}"
    assert found["user"] != COMPARE_TRUE, f"expected a user not to be told that a guess is right, got {found}"


def _compare(session: Session, dn: str, attribute: str, value: str) -> int:
    """The result code of an LDAP Compare."""
    session.connection.compare(dn, attribute, value)
    return int(session.connection.result["result"])


@check("security.confidential-hidden", loses="any user could read confidential attributes")
def test_confidential_hidden(bench: Bench) -> None:
    other = bench.account(unixUserPassword=b"galaxy")
    user = ordinary(bench)
    shown = user.read(other.dn, ["unixUserPassword", "cn"])
    found = user.search(other.dn, "(unixUserPassword=gal*)", ["cn"], scope="BASE")
    assert not shown.all("unixUserPassword"), "expected a confidential attribute to be left out, it was shown"
    assert not found, "expected a confidential attribute to match no filter of a user, it did"
    assert shown.one("cn"), "expected the other attributes to be shown"


@check(
    "security.hashes-unreadable", loses="a stolen administrator session would give away every password's hash"
)
def test_hashes_unreadable(target: Target, bench: Bench) -> None:
    rows = bench.admin.search(target.base_dn, "(sAMAccountName=krbtgt)", [*SECRETS, "cn"])
    shown = [name for name in SECRETS if rows[0].all(name)]
    assert rows[0].one("cn") == "krbtgt", f"expected krbtgt, got {rows[0].dn}"
    assert not shown, f"expected no secret over LDAP, got {shown}"


@check("security.no-escalation", loses="any user could make himself an administrator")
def test_no_escalation(target: Target, bench: Bench) -> None:
    user = bench.account()
    session = bench.ldap.login(user.principal, user.password)
    rows = bench.admin.search(target.base_dn, "(sAMAccountName=Domain Admins)", ["cn"])
    for dn, attribute, value in (
        (rows[0].dn, "member", user.dn),
        (user.dn, "userAccountControl", "532480"),
        (user.dn, "adminCount", "1"),
    ):
        with refused(INSUFFICIENT, CONSTRAINT):
            session.modify(dn, {attribute: (ldap3.MODIFY_ADD, [value])})
    # A name that nobody has: one of the server's own would be refused for that alone.
    with refused(INSUFFICIENT):
        session.modify(
            user.dn,
            {"servicePrincipalName": (ldap3.MODIFY_ADD, [f"HTTP/{unique('gs')}.{target.dns_domain}"])},
        )


@check(
    "security.spn-theft-refused", loses="a member could have the tickets made that are meant for the server"
)
def test_spn_theft_refused(target: Target, bench: Bench) -> None:
    member = machine(bench)
    dn = bench.admin.search(target.base_dn, f"(sAMAccountName={member.account})", ["cn"])[0].dn
    cache = bench.kerberos.kinit(f"{member.account}@{target.realm}", member.password)
    session = bench.ldap.gssapi(cache)
    for name in (f"HOST/{target.fqdn}", f"cifs/{target.hostname}"):
        with refused(CONSTRAINT):
            session.modify(dn, {"servicePrincipalName": (ldap3.MODIFY_ADD, [name])})
    session.modify(dn, {"servicePrincipalName": (ldap3.MODIFY_ADD, [f"HOST/{member.name}"])})

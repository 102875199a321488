"""Setting and changing passwords over LDAP."""

import secrets

import ldap3

from verify.bench import Account, Bench
from verify.check import check
from verify.clients.controls import policy_hints
from verify.clients.kerberos import Kerberos
from verify.clients.ldap import Ldap, Session, refused

_UNAVAILABLE_CRITICAL_EXTENSION = 12
_INVALID_CREDENTIALS = 49
_CONSTRAINT = 19
_UNWILLING = 53


def _encoded(password: str) -> bytes:
    """A value of unicodePwd: in quotes, UTF-16-LE (MS-ADTS 3.1.1.3.1.5.1)."""
    return f'"{password}"'.encode("utf-16-le")


def _fresh() -> str:
    return f"Bb2-{secrets.token_urlsafe(12)}"


def _own_session(ldap: Ldap, bench: Bench, user: Account) -> Session:
    """The user's own session, in which the password may be changed: one of today is too young unless it must be."""
    session = ldap.login(user.principal, user.password, transport="tls")
    bench.admin.set(user.dn, pwdLastSet="0")
    return session


def _change(session: Session, user: Account, old: str, new: str) -> None:
    """What a user does: the old password is deleted and the new one added, in one operation."""
    changes = [(ldap3.MODIFY_DELETE, [_encoded(old)]), (ldap3.MODIFY_ADD, [_encoded(new)])]
    session.connection.modify(user.dn, {"unicodePwd": changes})
    session.require("change unicodePwd")


@check("ldap.password-reset", loses="administrators could not give people a new password")
def test_reset_over_tls(ldap: Ldap, kerberos: Kerberos, bench: Bench) -> None:
    user, new = bench.account(), _fresh()
    bench.admin.set(user.dn, unicodePwd=_encoded(new))
    assert ldap.login(user.principal, new).sid() == user.sid, "the new password belongs to somebody else"
    # A simple bind takes the old password for another hour (smb.conf: old password allowed period).
    old = kerberos.try_kinit(user.principal, user.password)
    assert "Password incorrect" in old.output, f"the KDC on the old password: {old.output.strip()}"


@check("ldap.password-unencrypted", loses="new passwords could be sent readable over the network")
def test_reset_without_encryption(ldap: Ldap, bench: Bench) -> None:
    user, new = bench.account(), _fresh()
    session = ldap.gssapi(layer="sign")
    if bench.target.since("4.19"):
        with refused(_UNWILLING, saying="encrypted connection"):
            session.set(user.dn, unicodePwd=_encoded(new))
        assert ldap.login(user.principal, user.password).sid() == user.sid
    else:
        session.set(user.dn, unicodePwd=_encoded(new))
        assert ldap.login(user.principal, new).sid() == user.sid


@check("ldap.password-change", loses="users could not change their own password")
def test_change_with_the_old_one(ldap: Ldap, bench: Bench) -> None:
    user, new = bench.account(), _fresh()
    _change(_own_session(ldap, bench, user), user, user.password, new)
    assert ldap.login(user.principal, new).sid() == user.sid


@check("ldap.password-change-wrong-old", loses="whoever sits at an open session could take the account")
def test_change_with_a_wrong_old_one(ldap: Ldap, bench: Bench) -> None:
    user = bench.account()
    session = _own_session(ldap, bench, user)
    with refused(_CONSTRAINT, saying="00000056"):
        _change(session, user, _fresh(), _fresh())
    bench.admin.set(user.dn, pwdLastSet="-1")
    assert ldap.login(user.principal, user.password).sid() == user.sid


@check("ldap.password-history", loses="users could go back to a password that leaked")
def test_history(ldap: Ldap, bench: Bench) -> None:
    user, second = bench.account(), _fresh()
    session = _own_session(ldap, bench, user)
    _change(session, user, user.password, second)
    bench.admin.set(user.dn, pwdLastSet="0")
    with refused(_CONSTRAINT, saying="0000052D"):
        _change(session, user, second, user.password)


@check(
    "ldap.policy-hints",
    loses="portals for new passwords (Entra ID, Keycloak) would fail, or get round the domain's rules",
)
def test_policy_hints(ldap: Ldap, bench: Bench) -> None:
    user, new = bench.account(pwdLastSet="0"), _fresh()
    if not bench.target.since("4.24"):
        with refused(_UNAVAILABLE_CRITICAL_EXTENSION):
            _reset_by_portal(bench, user, new)
        return
    with refused(_UNWILLING, saying="0000052D"):
        _reset_by_portal(bench, user, user.password)  # its history forbids it
    _reset_by_portal(bench, user, new)
    assert ldap.login(user.principal, new).sid() == user.sid
    with refused(_UNWILLING, saying="0000052D"):
        _reset_by_portal(bench, user, _fresh())  # one of today is too young
    assert ldap.login(user.principal, new).sid() == user.sid, "a password that was refused is the user's now"


def _reset_by_portal(bench: Bench, user: Account, new: str) -> None:
    changes = {"unicodePwd": (ldap3.MODIFY_REPLACE, [_encoded(new)])}
    bench.admin.modify(user.dn, changes, [policy_hints()])


@check("ldap.password-complexity", loses="passwords like 'password' would be taken")
def test_complexity(bench: Bench) -> None:
    user = bench.account()
    code = bench.target.expect(old=_CONSTRAINT, new=_UNWILLING, since="4.24")
    for weak in ("alllowercaseletters", "Aa1-"):
        with refused(code, saying="0000052D"):
            bench.admin.set(user.dn, unicodePwd=_encoded(weak))


@check(
    "ldap.password-settings",
    loses="stricter rules for some people's passwords would hold for nobody, or for the wrong ones",
)
def test_fine_grained_policies(ldap: Ldap, bench: Bench) -> None:
    member, other = bench.account(), bench.account()
    staff = bench.group(bench.group(member.dn))
    bench.password_policy(staff, precedence=3, length=7)
    strict = bench.password_policy(staff, precedence=2, length=14)
    short = f"Bb2-{secrets.token_hex(4)}"
    assert _policy_of(bench, member) == strict, "the policy of the outer group is not its inner members'"
    code = bench.target.expect(old=_CONSTRAINT, new=_UNWILLING, since="4.24")
    with refused(code, saying="0000052D"):
        bench.admin.set(member.dn, unicodePwd=_encoded(short))
    assert _policy_of(bench, other) == "", "somebody has a policy whom nobody gave one"
    bench.admin.set(other.dn, unicodePwd=_encoded(short))
    own = bench.password_policy(member.dn, precedence=9, length=7)
    assert _policy_of(bench, member) == own, "a user's own policy does not come before that of groups"
    bench.admin.set(member.dn, unicodePwd=_encoded(short))
    assert ldap.login(member.principal, short).sid() == member.sid


def _policy_of(bench: Bench, user: Account) -> str:
    return bench.admin.read(user.dn, ["msDS-ResultantPSO"]).one("msDS-ResultantPSO")


@check("ldap.must-change", loses="a first password would stay for ever")
def test_must_change_password(ldap: Ldap, bench: Bench) -> None:
    user = bench.account(pwdLastSet="0")
    with refused(_INVALID_CREDENTIALS, saying="data 773"):
        ldap.simple(user.principal, user.password)


@check("ldap.account-expired", loses="people whose contract ended could still log in")
def test_expired_account(ldap: Ldap, bench: Bench) -> None:
    # 100-nanosecond steps since 1601: the second of January 1601.
    user = bench.account(accountExpires="864000000000")
    with refused(_INVALID_CREDENTIALS, saying="data 701"):
        ldap.simple(user.principal, user.password)


@check(
    "ldap.lockout", loses="passwords could be guessed without end, and stricter rules for some would not hold"
)
def test_lockout_by_fine_grained_policy(ldap: Ldap, bench: Bench) -> None:
    user = bench.account()
    bench.password_policy(user.dn, threshold=2)
    assert ldap.simple(user.principal, user.password).sid() == user.sid
    for _attempt in range(2):
        with refused(_INVALID_CREDENTIALS):
            ldap.simple(user.principal, user.password + "x")
    with refused(_INVALID_CREDENTIALS, saying="data 775"):
        ldap.simple(user.principal, user.password)
    bench.admin.set(user.dn, lockoutTime="0")
    assert ldap.simple(user.principal, user.password).sid() == user.sid, "unlocked, and still locked out"

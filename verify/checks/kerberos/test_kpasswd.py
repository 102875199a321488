"""Changing passwords with kpasswd (RFC 3244)."""

import secrets

from verify.bench import Bench
from verify.check import check
from verify.clients.kerberos import Kerberos


@check("kerberos.kpasswd", loses="users of Linux and macOS could not change their password")
def test_change(kerberos: Kerberos, bench: Bench) -> None:
    # A password that must be changed is not too young to be changed.
    user, new = bench.account(pwdLastSet="0"), f"Cc3-{secrets.token_urlsafe(12)}"
    done = kerberos.kpasswd(user.principal, user.password, new)
    assert done.returncode == 0, f"kpasswd: {done.output}"
    kerberos.kinit(user.principal, new)


@check("kerberos.kpasswd-weak", loses="kpasswd would take passwords that the domain's rules forbid")
def test_weak_password_refused(kerberos: Kerberos, bench: Bench) -> None:
    user = bench.account(pwdLastSet="0")
    done = kerberos.kpasswd(user.principal, user.password, "short")
    assert done.returncode != 0, "a password of five letters was taken"
    assert "Password change rejected" in done.output, done.output

"""Service accounts whose password the domain makes and changes (gMSA)."""

from galaxy.release.version import Version
from verify.bench import Bench
from verify.check import NotApplicable, check
from verify.clients.kerberos import Kerberos
from verify.clients.ldap import Ldap
from verify.clients.managed import current_password, has_root_key, logon, managed_account
from verify.target import Target

_PASSWORD = "msDS-ManagedPassword"
_SINCE = "4.21"


@check(
    "kerberos.managed-account",
    loses="services whose password the domain manages (gMSA) could not log on, or anybody could as one",
)
def test_managed_account(kerberos: Kerberos, ldap: Ldap, bench: Bench, target: Target) -> None:
    if target.since(_SINCE) and not has_root_key(bench):
        maker = bench.place.maker
        assert maker is None or maker < Version.parse(_SINCE), (
            f"{maker} made the domain without a KDS root key"
        )
        raise NotApplicable(
            "the domain has no KDS root key: `samba-tool domain kds root-key create` makes one"
        )
    reader, other = bench.user, bench.account()
    dn, name = managed_account(bench, reader)
    told = [
        ldap.gssapi(kerberos.kinit(user.principal, user.password)).read(dn, [_PASSWORD]).raw(_PASSWORD)
        for user in (reader, other)
    ]
    assert not told[1], "the password is given to somebody who may not have it"
    if not target.since(_SINCE):
        assert not told[0], "this version was known to give no such passwords"
        return
    assert told[0], "who may have the password does not get it"
    word = current_password(told[0])
    refusal = logon(target, name, word)
    assert not refusal, f"the managed password is not good for a ticket: {refusal}"
    assert "PREAUTH_FAILED" in logon(target, name, word[::-1]), "another password is good for a ticket"

"""Computers that become members of the domain, stay so and leave it, by the programs that do it everywhere."""

import shutil

from verify.bench import Bench
from verify.check import check
from verify.clients.adcli import Computer, computer
from verify.clients.kerberos import UNKNOWN_PRINCIPAL, Kerberos
from verify.clients.ldap import Ldap

_ATTRIBUTES = ["objectSid", "dNSHostName", "servicePrincipalName"]
_WRONG_KEY = "Preauthentication failed"


@check("join.member", loses="new computers could not become members of the domain, nor old ones leave it")
def test_a_computer_joins_and_leaves(ldap: Ldap, bench: Bench) -> None:
    member = _joined(bench)
    account = bench.admin.read(f"CN={member.name},{bench.ou}", _ATTRIBUTES)
    assert account.one("dNSHostName") == member.fqdn, f"it is called {account.one('dNSHostName')}"
    assert f"host/{member.fqdn}" in account.all("servicePrincipalName"), (
        "nobody could log on to it by Kerberos"
    )
    cache, said = member.log_on()
    assert said.returncode == 0, f"the computer cannot log on: {said.output}"
    assert ldap.gssapi(cache).sid() == account.raw("objectSid"), "the computer is taken for another account"
    done = member.test()
    assert done.returncode == 0, f"adcli says that it is no member: {done.output}"
    done = member.leave()
    assert done.returncode == 0, f"adcli could not remove the account: {done.output}"
    _, said = member.log_on()
    assert UNKNOWN_PRINCIPAL in said.output, f"the KDC on an account that is gone: {said.output}"


@check("join.password-renewal", loses="members would drop out of the domain after a month, one by one")
def test_a_member_renews_its_password(bench: Bench, kerberos: Kerberos) -> None:
    member, before = _joined(bench), str(kerberos.file("keytab."))
    shutil.copyfile(member.keytab, before)
    done = member.renew()
    assert done.returncode == 0, f"adcli could not renew the password: {done.output}"
    _, said = member.log_on()
    assert said.returncode == 0, f"the computer cannot log on with its new key: {said.output}"
    _, said = member.log_on(before)
    assert said.returncode != 0, "the computer's old key is taken still"
    assert _WRONG_KEY in said.output, f"the KDC on the old key: {said.output}"


def _joined(bench: Bench) -> Computer:
    made = computer(bench)
    done = made.join(bench.ou)
    assert done.returncode == 0, f"adcli could not join: {done.output}"
    return made

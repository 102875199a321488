"""What a server tells anybody about itself."""

from verify.check import check
from verify.clients.ldap import Ldap
from verify.target import Target


@check("ldap.rootdse", loses="no client could find out which domain this server serves", tier="smoke")
def test_rootdse(ldap: Ldap, target: Target) -> None:
    root = ldap.anonymous().read("", ["defaultNamingContext", "dnsHostName", "isSynchronized"])
    assert root.one("defaultNamingContext").lower() == target.base_dn.lower()
    assert root.one("dnsHostName").lower() == target.fqdn
    assert root.one("isSynchronized") == "TRUE"

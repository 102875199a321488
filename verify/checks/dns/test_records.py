"""The records by which clients find a domain, and how the server answers."""

from uuid import UUID

from dns.flags import AA, TC

from verify.check import check
from verify.clients.dns import Dns, rcode, records
from verify.clients.ldap import Ldap
from verify.clients.waiting import REGISTRATION, within
from verify.target import Target


@check("dns.srv-ldap", loses="clients would not find the directory, nor Windows the domain", tier="smoke")
def test_ldap_service(dns: Dns, target: Target) -> None:
    for name in (f"_ldap._tcp.{dns.zone}", f"_ldap._tcp.dc._msdcs.{dns.zone}"):
        _points_here(dns, target, name, 389)


@check("dns.srv-kerberos", loses="clients would not find the KDC", tier="smoke")
def test_kerberos_service(dns: Dns, target: Target) -> None:
    for name in (f"_kerberos._tcp.{dns.zone}", f"_kerberos._udp.{dns.zone}"):
        _points_here(dns, target, name, 88)


@check("dns.srv-kpasswd", loses="clients would not find where passwords are changed")
def test_kpasswd_service(dns: Dns, target: Target) -> None:
    for name in (f"_kpasswd._tcp.{dns.zone}", f"_kpasswd._udp.{dns.zone}"):
        _points_here(dns, target, name, 464)


@check("dns.srv-gc", loses="clients would not find the global catalogue")
def test_global_catalogue_service(dns: Dns, target: Target) -> None:
    for name in (f"_gc._tcp.{dns.zone}", f"_ldap._tcp.gc._msdcs.{dns.zone}"):
        _points_here(dns, target, name, 3268)


@check("dns.srv-site", loses="clients would log on at a far away site")
def test_site_service(dns: Dns, ldap: Ldap, target: Target) -> None:
    server = ldap.anonymous().read("", ["serverName"]).one("serverName")
    # CN=<server>,CN=Servers,CN=<site>,CN=Sites,...
    site = server.split(",")[2].partition("=")[2]
    _points_here(dns, target, f"_ldap._tcp.{site}._sites.{dns.zone}", 389)


@check("dns.address", loses="clients would find the server's name and no way to it", tier="smoke")
def test_addresses(dns: Dns, target: Target) -> None:
    for name in (target.fqdn, dns.zone):
        there = within(REGISTRATION, lambda name=name: target.address in dns.texts(name, "A"))  # type: ignore[misc]
        assert there, f"{name}: expected {target.address}, got {dns.texts(name, 'A')}"


@check("dns.soa-ns", loses="clients could not update their records, nor other servers find this zone")
def test_authority(dns: Dns, target: Target) -> None:
    names = dns.texts(dns.zone, "NS")
    assert f"{target.fqdn}." in [name.lower() for name in names], f"NS of {dns.zone}: {names}"
    [soa] = dns.texts(dns.zone, "SOA")
    primary, _mailbox, serial, *_times = soa.split()
    assert primary.lower().endswith(f".{dns.zone}."), f"the primary of {dns.zone} is {primary}"
    assert int(serial) > 0, soa


@check("dns.replication-alias", loses="other domain controllers would not find this one")
def test_replication_alias(dns: Dns, ldap: Ldap, target: Target) -> None:
    where = ldap.admin.read("", ["dsServiceName"]).one("dsServiceName")
    raw = ldap.admin.read(where, ["objectGUID"]).raw("objectGUID")
    alias = f"{UUID(bytes_le=raw)}._msdcs.{dns.zone}"

    def found() -> list[str]:
        """A DC that joined is written DC2 by Samba."""
        return [name.lower() for name in dns.texts(alias, "CNAME")]

    assert within(REGISTRATION, lambda: found() == [f"{target.fqdn}."]), f"{alias} is {found()}"


@check("dns.authoritative", loses="caches would not trust the domain's own server")
def test_answers_with_authority(dns: Dns, target: Target) -> None:
    answer = dns.ask(target.fqdn, "A")
    assert rcode(answer) == "NOERROR", rcode(answer)
    assert answer.flags & AA, "the answer about the server's own zone is not authoritative"


@check("dns.nxdomain", loses="clients would wait for names that do not exist")
def test_unknown_name(dns: Dns) -> None:
    answer = dns.ask(f"galaxy-no-such-name.{dns.zone}", "A")
    assert rcode(answer) == "NXDOMAIN", f"expected NXDOMAIN, got {rcode(answer)}"
    assert not answer.answer, f"a name that does not exist has {answer.answer}"


@check("dns.no-data", loses="clients would take a missing AAAA record for a missing host")
def test_name_without_such_a_record(dns: Dns, target: Target) -> None:
    answer = dns.ask(target.fqdn, "MX")
    assert rcode(answer) == "NOERROR", f"the name exists without an MX: expected NOERROR, got {rcode(answer)}"
    assert not answer.answer


@check("dns.tcp", loses="long answers could not be had")
def test_over_tcp(dns: Dns, target: Target) -> None:
    answer = dns.ask(target.fqdn, "A", tcp=True)
    found = records(answer)
    assert target.address in found, f"over TCP: {found}"
    assert not answer.flags & TC, "an answer over TCP is truncated"


@check("dns.edns", loses="modern resolvers would get errors or have to ask twice")
def test_edns(dns: Dns, target: Target) -> None:
    answer = dns.ask(target.fqdn, "A", edns=1232)
    assert rcode(answer) == "NOERROR", f"an EDNS question got {rcode(answer)}"
    assert target.address in records(answer)


@check("dns.transfer-refused", loses="anybody could fetch the list of all hosts")
def test_zone_transfer_refused(dns: Dns) -> None:
    # Samba doesn't know the question and says that there is no such record; others say REFUSED.
    answer = dns.ask(dns.zone, "AXFR", tcp=True)
    names = {str(group.name) for group in answer.answer}
    assert not names, f"the zone was handed out ({rcode(answer)}): {sorted(names)[:5]}"


def _points_here(dns: Dns, target: Target, name: str, port: int) -> None:
    """A DC registers itself in its own time, once it has started for the first time."""
    wanted = f" {port} {target.fqdn}."

    def there() -> bool:
        return any(record.lower().endswith(wanted) for record in dns.texts(name, "SRV"))

    assert within(REGISTRATION, there), f"{name}: expected a record to{wanted}, got {dns.texts(name, 'SRV')}"

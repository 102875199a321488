"""Service tickets, and what is in them."""

import gssapi

from verify.bench import Account, Bench
from verify.check import check
from verify.clients.kerberos import UNKNOWN_PRINCIPAL, Kerberos, enctypes
from verify.clients.ldap import Ldap
from verify.clients.machines import service_account
from verify.target import Target

_AES = "aes256-cts-hmac-sha1-96"


@check("kerberos.tgs-ldap", loses="single sign-on to the directory would not work", tier="smoke")
def test_ticket_for_ldap(kerberos: Kerberos, target: Target) -> None:
    _own_granted(kerberos, f"ldap/{target.fqdn}")


@check(
    "kerberos.tgs-cifs", loses="single sign-on to file shares and group policies would not work", tier="smoke"
)
def test_ticket_for_cifs(kerberos: Kerberos, target: Target) -> None:
    _own_granted(kerberos, f"cifs/{target.fqdn}")


@check("kerberos.tgs-host", loses="single sign-on to the server itself would not work")
def test_ticket_for_host(kerberos: Kerberos, target: Target) -> None:
    _own_granted(kerberos, f"host/{target.fqdn}")
    _own_granted(kerberos, f"host/{target.hostname}")


@check("kerberos.tgs-unknown", loses="clients would not learn that a service does not exist")
def test_unknown_service(kerberos: Kerberos, target: Target) -> None:
    done = kerberos.service_ticket(f"galaxy/no-such-host.{target.dns_domain}")
    assert done.returncode != 0, "a ticket for a service that does not exist"
    assert UNKNOWN_PRINCIPAL in done.output, done.output


@check("kerberos.tgs-aes", loses="tickets for the server itself would have weak keys")
def test_service_ticket_is_aes(kerberos: Kerberos, target: Target) -> None:
    _own_granted(kerberos, f"cifs/{target.fqdn}")
    used = enctypes(kerberos.tickets(kerberos.admin), f"cifs/{target.fqdn}@")
    assert used == (_AES, _AES), f"session and ticket have {used}"


@check("kerberos.tgs-default-enctype", loses="service passwords could be cracked from RC4 tickets")
def test_ticket_for_a_service_that_names_no_enctypes(
    kerberos: Kerberos, bench: Bench, target: Target
) -> None:
    service = bench.account()
    bench.admin.set(service.dn, servicePrincipalName=f"galaxy/{service.name}")
    cache = kerberos.kinit(bench.user.principal, bench.user.password)
    _granted(kerberos, f"galaxy/{service.name}", cache)
    session, ticket = enctypes(kerberos.tickets(cache), f"galaxy/{service.name}@")
    assert session == _AES, f"the session key is {session}"
    expected = target.expect(old="arcfour-hmac", new=_AES, since="4.24")
    assert ticket == expected, f"the ticket is {ticket}, this version's default is {expected}"


@check("kerberos.tgs-rc4", loses="RC4 would come back on request, or stop for old clients unannounced")
def test_rc4_service_ticket(kerberos: Kerberos, bench: Bench, target: Target) -> None:
    service = bench.account()
    bench.admin.set(service.dn, servicePrincipalName=f"galaxy/{service.name}")
    cache = kerberos.kinit(bench.user.principal, bench.user.password)
    argv = ("kvno", "-e", "arcfour-hmac", f"galaxy/{service.name}")
    done = kerberos.run(*argv, cache=cache, config=kerberos.rc4_configuration())
    if target.since("4.24"):
        assert "no support for encryption type" in done.output, f"expected a refusal: {done.output}"
    else:
        assert done.returncode == 0, f"RC4 on request was still granted in this version: {done.output}"


@check("kerberos.keytab", loses="services (web servers, databases) could not use their keytabs")
def test_service_keytab(kerberos: Kerberos, bench: Bench) -> None:
    service = service_account(bench)
    keytab = kerberos.keytab(service.principal, service.password)
    _, done = kerberos.by_keytab(service.principal, keytab)
    assert done.returncode == 0, f"the keytab was refused: {done.output}"
    ticket = kerberos.service_ticket(service.principal, "-k", keytab)
    assert ticket.returncode == 0, f"the service cannot read its tickets: {ticket.output}"


@check("kerberos.pac", loses="group membership would not reach file servers", tier="smoke")
def test_groups_reach_the_service(kerberos: Kerberos, ldap: Ldap, bench: Bench) -> None:
    user = bench.user
    group = bench.group(user.dn)
    sid = bench.admin.read(group, ["objectSid"]).raw("objectSid")
    cache = kerberos.kinit(user.principal, user.password)
    token = ldap.gssapi(cache).read("", ["tokenGroups"]).attributes["tokengroups"]
    assert token[0] == user.sid, "the ticket makes its holder somebody else"
    assert sid in token, "the group is not in the token that the server made from the ticket"


@check("kerberos.pac-buffers", loses="services that read tickets' PAC would not know who the user is")
def test_pac_reaches_a_keytab_service(kerberos: Kerberos, bench: Bench) -> None:
    user, service = bench.user, service_account(bench)
    keytab = kerberos.keytab(service.principal, service.password)
    cache = kerberos.kinit(user.principal, user.password)
    attributes = _accepted_attributes(cache, keytab, service)
    for buffer in ("logon-info", "upn-dns-info"):
        assert any(buffer in name for name in attributes), f"no {buffer} in the PAC, only {attributes}"


@check("kerberos.pac-not-wanted", loses="tickets would be good that do not say what their holder may do")
def test_client_that_wants_no_pac(kerberos: Kerberos, bench: Bench, target: Target) -> None:
    user, service = bench.user, service_account(bench)
    keytab = kerberos.keytab(service.principal, service.password)
    cache = kerberos.kinit(user.principal, user.password, "--no-request-pac")
    attributes = _accepted_attributes(cache, keytab, service)
    has = any("logon-info" in name for name in attributes)
    assert has == target.expect(old=False, new=True, since="4.24"), f"the ticket has {attributes}"


def _own_granted(kerberos: Kerberos, service: str) -> None:
    done = kerberos.own_ticket(service)
    assert done.returncode == 0, f"no ticket for {service}: {done.output.strip()}"


def _granted(kerberos: Kerberos, service: str, cache: str = "") -> None:
    done = kerberos.service_ticket(service, cache=cache)
    assert done.returncode == 0, f"no ticket for {service}: {done.output.strip()}"


def _accepted_attributes(cache: str, keytab: str, service: Account) -> list[str]:
    """Play client and service with each other; what the service learns of the client (RFC 6680)."""
    name = gssapi.Name(service.principal, gssapi.NameType.kerberos_principal)
    client = gssapi.SecurityContext(
        name=name,
        mech=gssapi.MechType.kerberos,
        creds=gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"}),
        usage="initiate",
    )
    server = gssapi.SecurityContext(
        creds=gssapi.Credentials(usage="accept", store={"keytab": keytab}), usage="accept"
    )
    server.step(client.step())
    peer = server.initiator_name
    return [attribute.decode(errors="replace") for attribute in peer.attributes]

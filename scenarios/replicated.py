"""What must be the same on every DC of a domain: changes of all kinds, made at one and looked for at the other."""

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING

from scenarios.partners import Partner, arrival, settle
from scenarios.tickets import use_tickets

if TYPE_CHECKING:
    from collections.abc import Callable

Figures = Mapping[str, float]
# A worker that dies again and again is started later each time (smb.conf, prefork backoff increment).
_KDC_SECONDS = 60.0
# What a KDC says before it ends by a TGT that it cannot read; see `takes_tickets`.
END_BY_TICKET = "krb5_pac_add_buffer: Assertion"


def told(a: Partner, b: Partner) -> Figures:
    """A change travels by itself, both ways."""
    figures = {}
    for source, other in ((a, b), (b, a)):
        dn = source.new_object("contact", f"told-{secrets.token_hex(3)}")
        figures[f"{source.hostname}_to_{other.hostname}_s"] = arrival(
            f"{dn}, made at {source.hostname},", _has(other, dn)
        )
    return figures


def _has(partner: Partner, dn: str) -> "Callable[[], bool]":
    return lambda: partner.has(dn)


def objects(a: Partner, b: Partner) -> None:
    """Users, groups, membership and deletion: made at one DC, found at the other."""
    made = [_some_objects(source) for source in (a, b)]
    settle((a, b))
    for (user, group, doomed), other in zip(made, (b, a), strict=True):
        assert other.members(group) == {user.lower(), doomed.lower()}, f"{group} has {other.members(group)}"
        same = ["objectSid", "objectGUID", "sAMAccountName", "userPrincipalName", "whenCreated"]
        mine, theirs = (host.admin.read(user, same).attributes for host in (a, b))
        assert mine == theirs, f"{user} differs: {mine} at {a.hostname}, {theirs} at {b.hostname}"
        other.admin.delete(doomed)
    settle((a, b))
    for user, group, doomed in made:
        for host in (a, b):
            assert not host.has(doomed), f"{doomed}, deleted at one DC, is still at {host.hostname}"
            assert host.members(group) == {user.lower()}, (
                f"{host.hostname}: {group} has {host.members(group)}"
            )


def _some_objects(source: Partner) -> tuple[str, str, str]:
    """A user, a group, and a user that shall be deleted; both are in the group."""
    import ldap3  # noqa: PLC0415 - see scenarios.partners

    user, _, _ = source.new_user()
    doomed, _, _ = source.new_user()
    group = source.new_object("group", f"group-{secrets.token_hex(3)}")
    source.admin.modify(group, {"member": (ldap3.MODIFY_ADD, [user, doomed])})
    return user, group, doomed


def passwords(a: Partner, b: Partner) -> None:
    """A password that is changed at one DC is good at the other, and the old one is not."""
    for source, other in ((a, b), (b, a)):
        dn, name, old = source.new_user()
        other.pull(source)
        principal, new = f"{name}@{source.target.realm}", f"Bb2-{secrets.token_urlsafe(12)}"
        other.kerberos.kinit(principal, old)
        other.admin.set(dn, unicodePwd=f'"{new}"'.encode("utf-16-le"))
        source.pull(other)
        source.kerberos.kinit(principal, new)
        refusal = source.kerberos.try_kinit(principal, old)
        assert refusal.returncode != 0, f"the old password is still good for a ticket at {source.hostname}"


def names(a: Partner, b: Partner) -> None:
    """A DNS record that is made at one DC is answered by the other, and gone there when it is removed."""
    zone, address = f"DC=DomainDnsZones,{a.target.base_dn}", "10.99.0.77"
    for source, other in ((a, b), (b, a)):
        name = f"host-{secrets.token_hex(3)}"
        for verb, wanted in (("add", [address]), ("delete", [])):
            source.tool("dns", verb, source.target.address, source.dns.zone, name, "A", address)
            other.pull(source, [zone])
            found = other.dns.texts(f"{name}.{other.dns.zone}", "A")
            assert found == wanted, f"after {verb} at {source.hostname}, {other.hostname} answers {found}"


def tickets(a: Partner, b: Partner) -> Figures:
    """A TGT of one DC gets tickets at the other, and they are good there, for LDAP and for SMB."""
    refused = 0
    for source, other in ((a, b), (b, a)):
        dn, name, word = source.new_user()
        other.pull(source)
        for issuer in (other, source):
            cache = source.kerberos.kinit(f"{name}@{source.target.realm}", word)
            if issuer is source or takes_tickets(issuer, source):
                _require_tickets(issuer, other, cache)
                _use(other, cache, dn, name)
            else:
                _require_refusal(issuer, other, cache)
                refused += 1
    return {"known_refusals": refused}


def takes_tickets(issuer: Partner, source: Partner) -> bool:
    """Whether one DC's KDC can read the TGTs of another.

    Since 4.19 a TGT's PAC has an empty buffer for claims, and copying that is more than the KDC of 4.18.6 and older
    survives: samba_kdc_update_pac hands it on, and krb5_pac_add_buffer asserts that there are data. The worker dies,
    its master starts another, and the client asks another KDC if it knows one.
    """
    return issuer.target.since("4.18.7") or not source.target.since("4.19")


def _require_tickets(issuer: Partner, other: Partner, cache: str) -> None:
    for service in ("ldap", "cifs"):
        done = issuer.kerberos.service_ticket(f"{service}/{other.target.fqdn}", cache=cache)
        assert done.returncode == 0, (
            f"{issuer.hostname} gives no ticket for {service} at {other.hostname}: {done.output.strip()}"
        )


def _require_refusal(issuer: Partner, other: Partner, cache: str) -> None:
    """The known refusal is still one: otherwise `takes_tickets` has to learn it. Then wait for the KDC's return."""
    done = issuer.kerberos.service_ticket(f"ldap/{other.target.fqdn}", cache=cache)
    assert done.returncode != 0, f"{issuer.hostname} takes TGTs that its version was known to die of"
    admin = issuer.target.admin_principal
    arrival(
        f"the KDC of {issuer.hostname}, killed by a TGT,",
        lambda: issuer.kerberos.try_kinit(admin, issuer.target.password).returncode == 0,
        _KDC_SECONDS,
    )


def _use(partner: Partner, cache: str, dn: str, name: str) -> None:
    known = use_tickets(partner.target, partner.kerberos, partner.ldap, cache, name)
    assert known == partner.admin.read(dn, ["objectSid"]).raw("objectSid"), f"LDAP takes {name} for {known!r}"

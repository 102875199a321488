"""Changing records: clients register themselves, and only they."""

import re

import dns.update

from verify.bench import Bench, unique
from verify.check import check
from verify.clients.dns import Dns, rcode
from verify.clients.kerberos import Kerberos
from verify.clients.machines import machine
from verify.target import Shell, Target


@check("dns.update-unsigned", loses="anybody on the network could redirect any name")
def test_unsigned_update_refused(dns: Dns) -> None:
    name = unique("gd")
    answer = dns.send(_update(dns, name), tcp=True)
    made = dns.texts(f"{name}.{dns.zone}", "A")
    if made:
        dns.secure_update(f"update delete {name}.{dns.zone} A")
    assert rcode(answer) == "REFUSED", f"an unsigned update got {rcode(answer)}, expected REFUSED"
    assert made == [], "refused, and made all the same"


def _update(dns_client: Dns, name: str) -> dns.update.UpdateMessage:
    update = dns.update.UpdateMessage(dns_client.zone)
    update.add(name, 60, "A", "192.0.2.7")
    return update


@check("dns.update-secure", loses="computers of the domain could not register their addresses")
def test_secure_update(dns: Dns, kerberos: Kerberos, bench: Bench, target: Target) -> None:
    member = machine(bench)
    cache = kerberos.kinit(f"{member.account}@{target.realm}", member.password)
    name = f"{member.name}.{dns.zone}"
    done = dns.secure_update(f"update add {name} 60 A 192.0.2.7", cache=cache)
    try:
        found = dns.texts(name, "A")
        assert found == ["192.0.2.7"], f"no record after a signed update, only {found}: {done.output}"
    finally:
        dns.secure_update(f"update delete {name} A", cache=cache)
    assert dns.texts(name, "A") == [], "removed, and still there"


@check(
    "dns.update-signature", loses="clients that check the server's signature would take updates for failed"
)
def test_signed_answer(dns: Dns) -> None:
    name = f"{unique('gd')}.{dns.zone}"
    done = dns.secure_update(f"update add {name} 60 A 192.0.2.7", f"update delete {name} A")
    assert done.returncode == 0, f"nsupdate does not take the server's answer: {done.output.strip()}"


@check("dns.update-others", loses="any user could redirect any name, that of a server too")
def test_users_may_not_change_others_records(dns: Dns, kerberos: Kerberos, bench: Bench) -> None:
    user, own, others = bench.user, f"{unique('gd')}.{dns.zone}", f"{unique('gd')}.{dns.zone}"
    cache = kerberos.kinit(user.principal, user.password)
    allowed = dns.secure_update(f"update add {own} 60 A 192.0.2.66", cache=cache)
    assert dns.texts(own, "A"), f"a user's own name is refused too: {allowed.output}"
    dns.secure_update(f"update delete {own} A", cache=cache)
    # Not the server's own name: where users may change it, clients would be led astray by this very check.
    dns.secure_update(f"update add {others} 60 A 192.0.2.7")
    try:
        done = dns.secure_update(f"update add {others} 60 A 192.0.2.66", cache=cache)
        found = dns.texts(others, "A")
    finally:
        dns.secure_update(f"update delete {others} A")
    assert found == ["192.0.2.7"], f"a user changed the administrator's record: {found}"
    # An access denied by the database is a SERVFAIL to older versions.
    assert re.search("update failed: (REFUSED|SERVFAIL)", done.output), f"expected a refusal: {done.output}"


@check("dns.update-types", loses="aliases, mail servers and texts could not be published", tier="full")
def test_record_types(dns: Dns, target: Target) -> None:
    name = f"{unique('gd')}.{dns.zone}"
    records = {
        "AAAA": "2001:db8::7",
        "MX": f"10 {target.fqdn}.",
        "TXT": '"galaxy verify"',
        "SRV": f"0 100 443 {target.fqdn}.",
    }
    added = dns.secure_update(*(f"update add {name} 60 {kind} {data}" for kind, data in records.items()))
    try:
        found = {kind: dns.texts(name, kind) for kind in records}
        assert found == {kind: [data] for kind, data in records.items()}, added.output
    finally:
        dns.secure_update(f"update delete {name}")


@check("dns.tool-record", loses="administrators could not make records with samba-tool", tier="full")
def test_record_by_samba_tool(dns: Dns, shell: Shell, target: Target) -> None:
    name = unique("gt")
    record = (target.fqdn, dns.zone, name, "A", "192.0.2.8", "-P")
    added = shell("samba-tool", "dns", "add", *record)
    try:
        assert added.returncode == 0, f"samba-tool dns add: {added.output}"
        assert dns.texts(f"{name}.{dns.zone}", "A") == ["192.0.2.8"]
    finally:
        shell("samba-tool", "dns", "delete", *record)
    assert dns.texts(f"{name}.{dns.zone}", "A") == [], "deleted, and still there"

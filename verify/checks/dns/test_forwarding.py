"""Names outside the domain: the server asks its forwarder, and what is the domain's own never goes there."""

import time

from dns.flags import AA, RA

from verify.bench import Bench, unique
from verify.check import check
from verify.clients import upstream as outside
from verify.clients.dns import Dns, rcode, records
from verify.clients.waiting import within

# A client's patience with a name, in seconds: glibc waits five.
_SOON = 2.0


@check("dns.forwarded", loses="nobody in the domain would find a name outside: no web, no mail")
def test_outside_name(dns: Dns, bench: Bench) -> None:
    asked = bench.upstream.asked
    answer = dns.ask(outside.WEB, "A")
    assert records(answer) == [outside.ADDRESS], f"{outside.WEB}: {rcode(answer)} {records(answer)}"
    assert answer.flags & RA, "the server does not say that it asks others"
    assert not answer.flags & AA, "the server claims authority over a name outside"
    assert outside.WEB in asked, asked


@check(
    "dns.forwarded-nxdomain", loses="a domain outside that does not exist would look like one without records"
)
def test_unknown_outside_name(dns: Dns, bench: Bench) -> None:
    name = f"{unique('gn')}.{outside.ZONE}"
    asked = bench.upstream.asked
    answer = dns.ask(name, "A")
    assert name in asked, asked
    assert not records(answer), f"a name that does not exist has {records(answer)}"
    assert rcode(answer) == "NXDOMAIN", f"expected the forwarder's NXDOMAIN, got {rcode(answer)}"


@check("dns.forwarded-long", loses="mail would bounce: policies and keys of mail domains are long")
def test_long_answer(dns: Dns, bench: Bench) -> None:
    asked = bench.upstream.asked
    found = records(answer := dns.ask(outside.MAIL, "TXT", tcp=True))
    assert len(found) == len(outside.LONG), f"{rcode(answer)}: {len(found)} of {len(outside.LONG)} records"
    assert outside.MAIL in asked, asked


@check("dns.forwarded-alias", loses="inner names for outside services would lead nowhere")
def test_alias_to_outside(dns: Dns, bench: Bench) -> None:
    alias, asked = f"{unique('ga')}.{dns.zone}", bench.upstream.asked
    made = dns.secure_update(f"update add {alias} 60 CNAME {outside.WEB}.")
    try:
        answer = dns.ask(alias, "A")
    finally:
        dns.secure_update(f"update delete {alias} CNAME")
    assert outside.ADDRESS in records(answer), (
        f"{alias}, which is {outside.WEB}: {rcode(answer)} {records(answer)}; {made.output}"
    )
    assert alias not in asked, f"the forwarder was asked for {alias}"


@check("dns.own-names-inside", loses="the names of inner hosts would be told to strangers")
def test_own_names_stay(dns: Dns, bench: Bench) -> None:
    missing, asked = f"{unique('gm')}.{dns.zone}", bench.upstream.asked
    answer = dns.ask(missing, "A")
    assert rcode(answer) == "NXDOMAIN", rcode(answer)
    told = sorted(name for name in asked if f".{name}".endswith(f".{dns.zone}"))
    assert not told, f"the forwarder was asked for {told}"


@check("dns.forwarder-silent", loses="nobody could log on while the line to the outside is down")
def test_forwarder_is_silent(dns: Dns, bench: Bench) -> None:
    asked = bench.upstream.asked
    before = asked.count(outside.MUTE)
    dns.send_only(outside.MUTE, "A")
    assert within(_SOON, lambda: asked.count(outside.MUTE) > before), "the forwarder was not asked"
    began = time.monotonic()
    found = dns.texts(f"_ldap._tcp.{dns.zone}", "SRV")
    took = time.monotonic() - began
    assert found, "no record of the domain while the forwarder is silent"
    assert took < _SOON, f"a record of the domain took {took:.1f} s while the forwarder is silent"

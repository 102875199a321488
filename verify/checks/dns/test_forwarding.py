"""Names outside the domain: the server asks its forwarder, and what is the domain's own never goes there."""

import time

from dns.flags import AA, RA
from dns.message import Message

from verify.bench import unique
from verify.check import check
from verify.clients.dns import Dns, rcode
from verify.clients.upstream import upstream
from verify.clients.waiting import within
from verify.target import Target

_OUTSIDE = "outside.galaxy.test"
_WEB = f"www.{_OUTSIDE}"
_ADDRESS = "192.0.2.80"
# More than a UDP answer takes, as mail policies and their keys often are.
_LONG = [f'"part {number} {"x" * 200}"' for number in range(20)]
_RECORDS = {(_WEB, "A"): [_ADDRESS], (f"mail.{_OUTSIDE}", "TXT"): _LONG}
_MUTE = f"mute.{_OUTSIDE}"
# A client's patience with a name, in seconds: glibc waits five.
_SOON = 2.0


@check("dns.forwarded", loses="nobody in the domain would find a name outside: no web, no mail")
def test_outside_name(dns: Dns, target: Target) -> None:
    with upstream(target, _RECORDS, _MUTE) as outside:
        answer = dns.ask(_WEB, "A")
    assert _texts(answer) == [_ADDRESS], f"{_WEB}: {rcode(answer)} {_texts(answer)}"
    assert answer.flags & RA, "the server does not say that it asks others"
    assert not answer.flags & AA, "the server claims authority over a name outside"
    assert _WEB in outside.asked, outside.asked


@check(
    "dns.forwarded-nxdomain", loses="a domain outside that does not exist would look like one without records"
)
def test_unknown_outside_name(dns: Dns, target: Target) -> None:
    with upstream(target, _RECORDS, _MUTE):
        answer = dns.ask(f"no-such.{_OUTSIDE}", "A")
    assert not _texts(answer), f"a name that does not exist has {_texts(answer)}"
    assert rcode(answer) == "NXDOMAIN", f"expected the forwarder's NXDOMAIN, got {rcode(answer)}"


@check("dns.forwarded-long", loses="mail would bounce: policies and keys of mail domains are long")
def test_long_answer(dns: Dns, target: Target) -> None:
    with upstream(target, _RECORDS, _MUTE):
        answer = dns.ask(f"mail.{_OUTSIDE}", "TXT", tcp=True)
    assert len(_texts(answer)) == len(_LONG), (
        f"{rcode(answer)}: {len(_texts(answer))} of {len(_LONG)} records"
    )


@check("dns.forwarded-alias", loses="inner names for outside services would lead nowhere")
def test_alias_to_outside(dns: Dns, target: Target) -> None:
    alias = f"{unique('ga')}.{dns.zone}"
    with upstream(target, _RECORDS, _MUTE):
        made = dns.secure_update(f"update add {alias} 60 CNAME {_WEB}.")
        try:
            answer = dns.ask(alias, "A")
        finally:
            dns.secure_update(f"update delete {alias} CNAME")
    assert _ADDRESS in _texts(answer), (
        f"{alias}, which is {_WEB}: {rcode(answer)} {_texts(answer)}; {made.output}"
    )


@check("dns.own-names-inside", loses="the names of inner hosts would be told to strangers")
def test_own_names_stay(dns: Dns, target: Target) -> None:
    missing = f"{unique('gm')}.{dns.zone}"
    with upstream(target, _RECORDS, _MUTE) as outside:
        answer = dns.ask(missing, "A")
    assert rcode(answer) == "NXDOMAIN", rcode(answer)
    assert not outside.asked, f"the forwarder was asked for {outside.asked}"


@check("dns.forwarder-silent", loses="nobody could log on while the line to the outside is down")
def test_forwarder_is_silent(dns: Dns, target: Target) -> None:
    with upstream(target, _RECORDS, _MUTE) as outside:
        dns.send_only(_MUTE, "A")
        assert within(_SOON, lambda: _MUTE in outside.asked), "the forwarder was not asked"
        began = time.monotonic()
        found = dns.texts(f"_ldap._tcp.{dns.zone}", "SRV")
        took = time.monotonic() - began
    assert found, "no record of the domain while the forwarder is silent"
    assert took < _SOON, f"a record of the domain took {took:.1f} s while the forwarder is silent"


def _texts(answer: Message) -> list[str]:
    return [str(record) for group in answer.answer for record in group]

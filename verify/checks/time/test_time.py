"""Time that members believe: without it Windows' clocks drift, and a clock five minutes off cannot log on."""

import struct

from verify.bench import Bench
from verify.check import check
from verify.clients import ntp
from verify.clients.descriptor import rid_of
from verify.clients.machines import WORKSTATION_TRUST
from verify.target import Target


@check("time.signed-reply", loses="members' clocks would drift until nobody can log on from them")
def test_reply_is_signed(target: Target, bench: Bench) -> None:
    member, packet = bench.account(control=WORKSTATION_TRUST, objectClass="computer"), ntp.reply()
    signed = ntp.sign(target, packet, rid_of(member.sid))
    expected = packet + struct.pack("<I", rid_of(member.sid)) + ntp.signature(packet, member.password)
    assert signed.result == ntp.SUCCESS, f"the reply was not signed: result {signed.result}"
    assert signed.packet == expected, "expected the reply, the member's key id and its signature"


@check("time.members-only", loses="the signature would give material to crack people's passwords with")
def test_no_signature_for_people(target: Target, bench: Bench) -> None:
    member = bench.account(control=WORKSTATION_TRUST, objectClass="computer")
    signed = ntp.sign(target, ntp.reply(), rid_of(member.sid))
    assert signed.result == ntp.SUCCESS, f"a member's reply was not signed either: result {signed.result}"
    for whose, rid in {"a user": rid_of(bench.user.sid), "nobody": 0x7FFFFFF0}.items():
        signed = ntp.sign(target, ntp.reply(), rid)
        assert (signed.result, signed.packet) == (ntp.FAILURE, b""), (
            f"a reply was signed with the key of {whose}"
        )

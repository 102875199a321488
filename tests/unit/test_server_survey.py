"""What a DC tells of its domain, as it is on the wire; and what a join makes of it."""

import socket
import struct
import threading
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from galaxy.host.errors import HostError, InputError
from galaxy.release.version import Version
from galaxy.server import survey as surveying
from galaxy.server.create import CreateRequest
from galaxy.server.join import JoinRequest, _checked, _level
from galaxy.server.survey import Domain, survey
from galaxy.server.wire import integer, read, tlv

DOMAIN = Domain(
    realm="AD.EXAMPLE.ORG", netbios="CORP", dc="dc1.ad.example.org", site="Hall", level=4, skew=0.0
)


def name(text):
    return b"".join(bytes((len(label),)) + label.encode() for label in text.split(".")) + b"\0"


def ping():
    """Forest, domain (a pointer to it), DC, NetBIOS names, user, sites: RFC 1035's compression as Samba uses it."""
    head = struct.pack("<HHI16s", 23, 0, 0x3FD, b"\1" * 16)
    pointer = struct.pack(">H", 0xC000 | len(head))
    names = [
        name("ad.example.org"),
        pointer,
        b"\3dc1" + pointer,
        name("CORP"),
        name("DC1"),
        b"\0",
        name("Hall"),
        name("Hall"),
    ]
    return head + b"".join(names) + struct.pack("<IHH", 5, 0xFFFF, 0xFFFF)


def entry(**values):
    listed = [
        tlv(0x30, tlv(0x04, key.encode()), tlv(0x31, tlv(0x04, value))) for key, value in values.items()
    ]
    return tlv(0x30, integer(1), tlv(0x64, tlv(0x04), tlv(0x30, *listed)))


@contextmanager
def server(answers):
    """Answers datagrams on loopback, one after the other; None stays silent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))

        def serve():
            for answer in answers:
                _, client = bound.recvfrom(4096)
                if answer is not None:
                    bound.sendto(answer, client)

        threading.Thread(target=serve, daemon=True).start()
        yield bound.getsockname()[1]


@pytest.fixture
def at_port(monkeypatch):
    def set_port(port):
        monkeypatch.setattr(surveying, "_PORT", port)
        monkeypatch.setattr(surveying, "_PATIENCE", 0.2)

    return set_port


def facts(ahead=0):
    now = datetime.now(UTC) + timedelta(seconds=ahead)
    stamp = now.strftime("%Y%m%d%H%M%S.0Z").encode()
    return entry(currentTime=stamp, domainFunctionality=b"4", forestFunctionality=b"7")


def test_a_domain_is_read_from_the_wire(at_port):
    with server([entry(Netlogon=ping()), facts(ahead=100)]) as port:
        at_port(port)
        found = survey("127.0.0.1")
    assert abs(found.skew - 100) < 3
    assert replace(found, skew=0.0) == replace(DOMAIN, level=7)


def test_a_lost_datagram_is_sent_again(at_port):
    with server([None, entry(Netlogon=ping()), facts()]) as port:
        at_port(port)
        assert survey("127.0.0.1").netbios == "CORP"


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ([None] * 3, "silence for 0.6 s"),
        ([b"hello"], "what answers is no domain controller"),
        ([entry(Netlogon=ping()[:40]), facts()], "what answers is no domain controller"),
        ([entry(Netlogon=ping()), entry(currentTime=b"yesterday")], "what answers is no domain controller"),
    ],
)
def test_what_is_no_dc_is_told(at_port, answers, says):
    with server(answers) as port:
        at_port(port)
        with pytest.raises(InputError, match=says):
            survey("127.0.0.1")


def test_a_name_that_points_at_itself_ends():
    with pytest.raises(ValueError, match="nowhere"):
        surveying._name(b"\xc0\x00", 0)


def request(**changes):
    made = CreateRequest(name="dc2", image="0" * 64, realm="ad.example.org", password="Sesame-1")
    return JoinRequest(server=replace(made, **changes), dc="192.0.2.1")


def test_nobody_joins_by_an_empty_name():
    with pytest.raises(InputError, match="cannot be a user's name"):
        replace(request(), user="")


@pytest.mark.parametrize(
    ("domain", "changes", "error", "says"),
    [
        (
            DOMAIN,
            {"realm": "other.example.org"},
            InputError,
            "is a DC of AD.EXAMPLE.ORG, not of OTHER.EXAMPLE.ORG",
        ),
        (DOMAIN, {"hostname": "dc1"}, InputError, "has a DC1 already"),
        (DOMAIN, {"password": None}, InputError, "needs Administrator's password"),
        (replace(DOMAIN, skew=420.0), {}, HostError, "420 s behind dc1.ad.example.org's"),
        (replace(DOMAIN, skew=-301.0), {}, HostError, "301 s ahead of"),
    ],
)
def test_what_cannot_be_joined_is_refused_before_anything_is_made(domain, changes, error, says):
    with pytest.raises(error, match=says):
        _checked(domain, request(**changes))


def test_the_level_that_a_dc_must_claim():
    assert _checked(DOMAIN, request()) is DOMAIN
    assert _level(DOMAIN, Version.parse("4.17.12")) == ""
    high = replace(DOMAIN, level=7)
    assert _level(high, Version.parse("4.22.11")) == "2016"
    with pytest.raises(InputError, match=r"is 2016, and Samba 4\.17\.12 knows none above 2008_R2"):
        _level(high, Version.parse("4.17.12"))


def test_the_question_is_ldap():
    tag, content, rest = read(tlv(0x30, integer(1), surveying._PING))
    assert (tag, rest) == (0x30, b"")
    assert b"NtVer" in content


@pytest.mark.parametrize("data", [b"\1a\xc0\x00", b"\xc0\x00", b"\1a\1b\xc0\x02\xc0\x00"])
def test_a_name_that_leads_round_in_a_circle_is_refused(data):
    for place in (0, len(data) - 2):
        with pytest.raises(ValueError, match="leads nowhere"):
            surveying._name(data, place)

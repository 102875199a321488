"""The questions that readiness asks, read by other people's decoders, and the answers that count."""

import socket
import struct
import threading
from datetime import UTC, datetime

import dns.message
import pytest
from impacket.krb5.asn1 import AS_REQ
from pyasn1.codec.der import decoder
from smbprotocol.connection import SMB2HeaderRequest, SMB3NegotiateRequest

from galaxy.server import probes, wire
from galaxy.server.config import ServerConfig
from galaxy.server.probes import PROBES
from galaxy.server.questions import QUESTIONS, NoAnswerError

CONFIG = ServerConfig(
    name="dc1", image_id="x", realm="AD.EXAMPLE.ORG", domain="AD", hostname="dc1", address="127.0.0.1",
    created=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


@pytest.mark.parametrize("size", [0, 1, 127, 128, 255, 256, 70000])
def test_elements_read_back(size):
    body = b"x" * size
    assert wire.read(wire.tlv(0x04, body) + b"rest") == (0x04, body, b"rest")
    with pytest.raises(ValueError, match="short"):
        wire.read(wire.tlv(0x04, body)[:-1])


@pytest.mark.parametrize("value", [0, 1, 127, 128, 255, 256, 2**31 - 1])
def test_integers_are_der(value):
    assert decoder.decode(wire.integer(value))[0] == value


def test_the_as_req_is_one():
    request, rest = decoder.decode(QUESTIONS["kerberos"].packet(CONFIG), asn1Spec=AS_REQ())
    assert rest == b""
    body = request["req-body"]
    assert [str(part) for part in body["cname"]["name-string"]] == ["DC1$"]
    assert str(body["realm"]) == "AD.EXAMPLE.ORG"
    assert [int(kind) for kind in body["etype"]] == [18, 17, 23]


def test_the_negotiation_offers_all_dialects_and_the_algorithms_of_the_newest():
    header, request = SMB2HeaderRequest(), SMB3NegotiateRequest()
    header.unpack(QUESTIONS["smb"].packet(CONFIG)[4:])
    request.unpack(header["data"].get_value())
    assert request["dialects"].get_value() == [0x0202, 0x0210, 0x0300, 0x0302, 0x0311]
    hashes, ciphers, signing = (
        one["data"].get_value() for one in request["negotiate_context_list"].get_value()
    )
    assert hashes["hash_algorithms"].get_value() == [1]
    assert ciphers["ciphers"].get_value() == [2, 1, 4, 3]
    assert signing["signing_algorithms"].get_value() == [2, 1, 0]


def answered(name, answer):
    """Whether `answer(packet)` is the right one."""
    packet = QUESTIONS[name].packet(CONFIG)
    return QUESTIONS[name].answered(CONFIG, packet, answer(packet))


def krb_error(code):
    fields = (
        wire.tlv(0xA0, wire.integer(5)),
        wire.tlv(0xA1, wire.integer(30)),
        wire.tlv(0xA6, wire.integer(code)),
    )
    return wire.tlv(0x7E, wire.tlv(0x30, *fields))


def test_a_kdc_that_wants_preauthentication_is_ready():
    assert answered("kerberos", lambda _: krb_error(25))


@pytest.mark.parametrize("code", [6, 68, 60])
def test_a_kdc_that_does_not_know_its_own_account_is_not(code):
    with pytest.raises(NoAnswerError, match=f"Kerberos error {code}"):
        answered("kerberos", lambda _: krb_error(code))


def dns_answer(*records, rcode=0):
    def answer(packet):
        query = dns.message.from_wire(packet)
        reply = dns.message.make_response(query)
        reply.set_rcode(rcode)
        for record in records:
            reply.answer.append(dns.rrset.from_text(query.question[0].name, 900, "IN", "SRV", record))
        return reply.to_wire()

    return answer


def test_the_dns_question_is_for_the_domains_ldap_servers():
    assert answered("dns", dns_answer("0 100 389 dc1.ad.example.org."))
    question = dns.message.from_wire(QUESTIONS["dns"].packet(CONFIG)).question[0]
    assert (str(question.name), question.rdtype.name) == ("_ldap._tcp.ad.example.org.", "SRV")


@pytest.mark.parametrize("rcode", [0, 2, 3])
def test_dns_without_the_record_is_not_ready(rcode):
    with pytest.raises(NoAnswerError):
        answered("dns", dns_answer(rcode=rcode))


def test_an_answer_to_another_question_is_none():
    with pytest.raises(NoAnswerError):
        answered(
            "dns", lambda _: dns_answer("0 100 389 dc1.ad.example.org.")(QUESTIONS["dns"].packet(CONFIG))
        )


def served(monkeypatch, *blocks):
    """A TCP server that answers with these blocks, sent apart."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            for block in blocks:
                connection.sendall(block)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    address = listener.getsockname()
    monkeypatch.setattr(probes, "_tcp", lambda *_: socket.create_connection(address, timeout=2))
    return listener


def ldap_message(operation):
    return wire.tlv(0x30, wire.integer(1), operation)


ENTRY = ldap_message(
    wire.tlv(0x64, wire.tlv(0x04), wire.tlv(0x30, wire.tlv(0x04, b"DC=ad,DC=example,DC=org")))
)
DONE = ldap_message(wire.tlv(0x65, wire.integer(0, 0x0A), wire.tlv(0x04), wire.tlv(0x04)))
BUSY = ldap_message(wire.tlv(0x65, wire.integer(51, 0x0A), wire.tlv(0x04), wire.tlv(0x04)))


def test_a_rootdse_in_pieces(monkeypatch):
    with served(monkeypatch, ENTRY[:5], ENTRY[5:] + DONE[:3], DONE[3:]):
        PROBES["ldap"](CONFIG)


@pytest.mark.parametrize(
    ("blocks", "says"),
    [((BUSY,), "ended with 51"), ((DONE,), "does not name"), ((ENTRY,), "closed"), ((), "closed")],
)
def test_ldap_that_is_not_ready(monkeypatch, blocks, says):
    with served(monkeypatch, *blocks), pytest.raises(NoAnswerError, match=says):
        PROBES["ldap"](CONFIG)


def smb_answer(status=0, dialect=0x0302):
    header = struct.pack("<4sHHI", b"\xfeSMB", 64, 0, status).ljust(64, b"\0")
    body = header + struct.pack("<HHH", 65, 1, dialect) + b"\0" * 58
    return struct.pack(">I", len(body)) + body


def test_smb_that_negotiates(monkeypatch):
    with served(monkeypatch, smb_answer()[:3], smb_answer()[3:]):
        PROBES["smb"](CONFIG)


@pytest.mark.parametrize("answer", [smb_answer(status=0xC00000BB), smb_answer(dialect=0x9999)])
def test_smb_that_does_not(monkeypatch, answer):
    with served(monkeypatch, answer), pytest.raises(NoAnswerError, match="SMB negotiate"):
        PROBES["smb"](CONFIG)


def test_smb_that_does_not_listen_to_who_asks(monkeypatch):
    """As smbd answers where `hosts allow` leaves the server's own address out."""
    with served(monkeypatch, b"\x83\0\0\1\x81"), pytest.raises(NoAnswerError, match="hosts allow"):
        PROBES["smb"](CONFIG)

"""The parts of the checks' clients that turn bytes and text into values."""

import struct
from pathlib import Path
from types import SimpleNamespace

import pytest
from gssapi.raw.misc import GSSError

from galaxy.release.version import Version
from verify.check import NotApplicable
from verify.clients import descriptor, host, sasl, smbwire
from verify.clients import kerberos as kerberos_client
from verify.clients.descriptor import Ace
from verify.clients.kerberos import Kerberos
from verify.clients.versions import has_fix
from verify.target import Target

DOMAIN_ADMINS = "S-1-5-21-3096974185-2948331061-2248980468-512"


@pytest.mark.parametrize("text", [DOMAIN_ADMINS, "S-1-5-32-544", "S-1-1-0"])
def test_a_sid_survives_packing(text: str) -> None:
    assert descriptor.sid_text(descriptor.sid_bytes(text)) == text


def test_a_descriptor_keeps_its_rights_and_their_order() -> None:
    aces = [
        Ace(sid="S-1-5-32-544", mask=0x1F01FF, flags=3),
        Ace(sid=DOMAIN_ADMINS, mask=0x100, right="edacfd8f-ffb3-11d1-b41d-00a0c968f939"),
        Ace(sid="S-1-1-0", mask=0x1, kind=1),
    ]
    assert descriptor.dacl_of(descriptor.descriptor(aces)) == aces


def test_a_descriptor_without_rights_gives_none() -> None:
    assert descriptor.dacl_of(struct.pack("<BBHIIII", 1, 0, 0x8000, 0, 0, 0, 0)) == []


@pytest.mark.parametrize(
    ("version", "fixed"),
    [
        ("4.15.12", False), ("4.15.13", True), ("4.16.7", False), ("4.16.8", True), ("4.17.0", False),
        ("4.17.4", True), ("4.14.99", False), ("4.22.11", True),
    ],
)  # fmt: skip
def test_a_fix_counts_from_its_release_in_each_series(version: str, fixed: bool) -> None:  # noqa: FBT001 - a table
    target = SimpleNamespace(version=Version.parse(version))
    assert has_fix(target, "4.15.13", "4.16.8", "4.17.4") is fixed


def test_an_unknown_vendor_has_every_fix() -> None:
    assert has_fix(SimpleNamespace(version=None), "4.17.4")


def test_listeners_are_read_from_ss_and_those_of_others_left_out() -> None:
    found = list(
        host._listeners(
            'tcp LISTEN 0 50 10.92.4.2:445 0.0.0.0:* users:(("smbd",pid=12,fd=36))\n'
            'udp UNCONN 0 0 [::1]:53 [::]:* users:(("dns[master]",pid=53,fd=47))\n'
            "tcp LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"
        )
    )
    assert [(row.protocol, row.address, row.port) for row in found] == [
        ("tcp", "10.92.4.2", 445),
        ("udp", "::1", 53),
    ]


def test_a_process_that_has_gone_is_none(tmp_path: Path) -> None:
    assert host._process(tmp_path / "4711") is None


def test_a_target_without_a_process_here_is_not_applicable() -> None:
    with pytest.raises(NotApplicable):
        host.inside(SimpleNamespace(pid=None))


def test_contexts_of_a_negotiate_answer_are_found_at_their_offset() -> None:
    first = struct.pack("<HHI", 1, 3, 0) + b"abc"
    second = struct.pack("<HHI", 0x100, 16, 0) + smbwire.POSIX_GUID
    answer = bytearray(128)
    struct.pack_into("<I", answer, 64 + 60, 128)
    packed = bytes(answer) + first + bytes(-len(first) % 8) + second
    assert smbwire._parsed(packed, 2) == {1: b"abc", 0x100: smbwire.POSIX_GUID}


KVNO = """
tries="$(dirname "$0")/tries"; echo >>"$tries"
test $(wc -l <"$tries") -gt {refusals} && exit 0
echo "kvno: Server {words} while getting credentials" >&2; exit 1
"""


@pytest.fixture
def kerberos(tmp_path: Path) -> Kerberos:
    names = {"address": "192.0.2.7", "fqdn": "dc1.a.test", "realm": "A.TEST", "domain": "A"}
    target = Target(**names, base_dn="DC=a,DC=test", admin_user="Administrator", password="x")
    return Kerberos(target, tmp_path)


def test_a_name_that_the_server_registers_is_waited_for(fake_bin, kerberos: Kerberos) -> None:
    fake_bin("kvno", KVNO.format(refusals=2, words="ldap/dc1.a.test@A.TEST not found in Kerberos database"))
    assert kerberos.own_ticket("ldap/dc1.a.test", cache="x").returncode == 0
    assert len(fake_bin.calls("kvno")) == 3


def test_a_name_that_never_comes_and_other_refusals_fail(fake_bin, kerberos: Kerberos, monkeypatch) -> None:
    monkeypatch.setattr(kerberos_client, "REGISTRATION", 0.1)
    fake_bin("kvno", KVNO.format(refusals=999, words="x not found in Kerberos database"))
    assert kerberos.own_ticket("ldap/dc1.a.test", cache="x").returncode == 1
    monkeypatch.setattr(kerberos_client, "REGISTRATION", 60)
    fake_bin("kvno", KVNO.format(refusals=999, words="rejects the ticket"))
    assert "rejects" in kerberos.own_ticket("ldap/dc1.a.test", cache="x").output


def test_a_bind_waits_for_the_service_too(monkeypatch) -> None:
    answers = iter([GSSError(0xD0000, 0), GSSError(0xD0000, 0), b"token"])

    def step(_token: None) -> bytes:
        answer = next(answers)
        if isinstance(answer, GSSError):
            raise answer
        return answer

    monkeypatch.setattr(sasl, "UNKNOWN_PRINCIPAL", "")  # what libkrb5 says is not to be had without a KDC
    monkeypatch.setattr(sasl, "_context", lambda *_arguments: SimpleNamespace(step=step))
    assert sasl._begun("dc1.a.test", "x", None)[1] == b"token"

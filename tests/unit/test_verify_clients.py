"""The parts of the checks' clients that turn bytes and text into values."""

import struct
from pathlib import Path
from types import SimpleNamespace

import pytest

from galaxy.release.version import Version
from verify.check import NotApplicable
from verify.clients import descriptor, host, smbwire
from verify.clients.descriptor import Ace
from verify.clients.versions import has_fix

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

"""Samba's version numbers and Debian's."""

import itertools

import pytest

from galaxy.host.errors import InputError
from galaxy.release.version import Version, debian_key, upstream_version


@pytest.mark.parametrize("text", ["4.17.12", "4.22.6", "4.23.0rc2", "4.0.0"])
def test_a_version_is_written_as_it_was_read(text):
    assert str(Version.parse(text)) == text


def test_a_series_is_its_first_release():
    assert Version.parse("4.22") == Version.parse("4.22.0")
    assert Version.parse("4.22.11").series == "4.22"


@pytest.mark.parametrize("text", ["", "4", "4.22.x", "samba", "4.22.6; rm -rf /", "4.22.6+dfsg", "٤.2.1"])
def test_what_is_no_version_is_refused_with_the_way_out(text):
    with pytest.raises(InputError, match="not a Samba version") as caught:
        Version.parse(text)
    assert "galaxy releases" in caught.value.hint


def test_versions_are_ordered_by_number_and_candidates_come_first():
    ordered = [
        "4.0.0",
        "4.9.18",
        "4.10.0",
        "4.22.0pre1",
        "4.22.0rc1",
        "4.22.0rc2",
        "4.22.0",
        "4.22.6",
        "4.22.11",
    ]
    for earlier, later in itertools.pairwise(ordered):
        assert Version.parse(earlier) < Version.parse(later)


def test_the_nearest_version_is_of_the_same_series():
    have = [Version.parse(text) for text in ("4.17.12", "4.22.6", "4.22.11", "4.24.7")]
    assert min(have, key=Version.parse("4.22.9").distance) == Version.parse("4.22.11")
    assert min(have, key=Version.parse("4.20.0").distance).series == "4.22"


def test_debian_versions_are_ordered_as_policy_says():
    ordered = [
        "2:4.17.12+dfsg-0+deb12u2",
        "2:4.17.12+dfsg-0+deb12u4",
        "2:4.17.12+dfsg-0+deb12u10",
        "2:4.22.6+dfsg-0+deb13u1~bpo12+1",
        "2:4.22.6+dfsg-0+deb13u1",
        "2:4.23.0~rc1+dfsg-1",
        "2:4.23.0+dfsg-1",
        "3:1.0-1",
    ]
    assert sorted(ordered, key=debian_key) == ordered


@pytest.mark.parametrize(
    ("package", "upstream"),
    [
        ("2:4.22.6+dfsg-0+deb13u1~bpo12+1", "4.22.6"),
        ("2:4.23.0~rc1+dfsg-1", "4.23.0rc1"),
        ("4.13.13", "4.13.13"),
    ],
)
def test_sambas_version_is_found_in_debians(package, upstream):
    assert upstream_version(package) == upstream

"""Which of apt's offers is taken, and what happens when an archive no longer has what its index names.

The indexes are given as the small file that is kept of them, so that no apt runs.
"""

import json
import os
from dataclasses import replace

import pytest

from galaxy.host.errors import BuildError, HostError, InputError
from galaxy.host.settings import AptSettings, Settings
from galaxy.host.store import Store
from galaxy.release.apt import HEIMDAL_PATCH, AptSource
from galaxy.release.aptindex import samba_index
from galaxy.release.aptstate import AptState
from galaxy.release.find import Wanted, find_release, source_of
from galaxy.release.version import Version, upstream_version

DAY = 86400.0
SOURCES = (
    ("bookworm", "2:4.17.12+dfsg-0+deb12u2"),
    ("bookworm-security", "2:4.17.12+dfsg-0+deb12u4"),
    ("bookworm-backports", "2:4.22.6+dfsg-0+deb13u1~bpo12+1"),
    ("trixie", "2:4.22.11+dfsg-0+deb13u1"),
    ("sid", "2:4.25.1+dfsg-1"),
)
BINARIES = (*SOURCES, ("trixie-backports", "2:4.24.7+dfsg-1~bpo13+1"))


def files(version):
    plain = version.split(":")[1]
    upstream = plain.split("-")[0]
    names = (f"samba_{plain}.dsc", f"samba_{upstream}.orig.tar.xz", f"samba_{plain}.debian.tar.xz")
    return [
        {"name": name, "sha256": f"sha of {name}", "size": 1, "uri": f"http://127.0.0.1:9/{name}"}
        for name in names
    ]


class Offers:
    """A private apt state whose indexes have been read."""

    def __init__(self, tmp_path):
        etc = tmp_path / "apt"
        etc.mkdir()
        (etc / "sources.list").write_text("deb http://127.0.0.1:9/debian bookworm main\n")
        self.store = Store(root=tmp_path / "store")
        self.state = AptState(folder=self.store.apt, suites=("trixie",), store=self.store, host_etc=etc)
        self.state.folder.mkdir(parents=True)
        (self.state.folder / "updated").write_text(self.state._identity())
        self.state.config.write_text(f'Dir::State "{self.state.folder}";\n')
        sources = [
            {"suite": suite, "package_version": version, "files": files(version)}
            for suite, version in SOURCES
        ]
        binaries = [{"suite": suite, "package_version": version} for suite, version in BINARIES]
        self.write("samba.json", {"sources": sources, "binaries": binaries})
        self.gone()

    def write(self, name, body):
        (self.state.folder / name).write_text(json.dumps({"state": self.state.index_digest(), "known": body}))

    def gone(self, *endings):
        """Files whose names end so are gone from the pool; `4.22.6*.dsc` means that version's."""
        answers = {}
        for _, version in SOURCES:
            for file in files(version):
                lost = any(upstream_version(version) == one and end in file["name"] for one, end in endings)
                answers[file["sha256"]] = lost
        self.write("pool.json", answers)


@pytest.fixture
def offers(tmp_path):
    return Offers(tmp_path)


@pytest.fixture
def source(offers):
    return AptSource(offers.state)


def found(source, version, *, packaged=False):
    release = source.find(Version.parse(version), packaged=packaged)
    assert release is not None
    return release


def test_of_two_packagings_the_newest_is_taken_wherever_it_is(source):
    release = found(source, "4.17.12")
    assert (release.suite, release.package_version) == ("bookworm-security", "2:4.17.12+dfsg-0+deb12u4")


def test_a_packaging_that_is_whole_is_taken_before_a_newer_one_that_is_not(offers, source):
    index = json.loads((offers.state.folder / "pool.json").read_text())["known"]
    newest = next(file for file in files("2:4.17.12+dfsg-0+deb12u4") if file["name"].endswith(".dsc"))
    offers.write("pool.json", {**index, newest["sha256"]: True})
    assert found(source, "4.17.12").package_version != "2:4.17.12+dfsg-0+deb12u4"


@pytest.mark.parametrize(
    ("version", "days", "asked"),
    [("4.17.12", 0.5, [DAY]), ("4.22.6", 0.5, [DAY, 3600.0]), ("4.17.1", 0.5, [DAY, 60.0])],
)
def test_how_old_the_indexes_may_be(offers, source, monkeypatch, version, days, asked):
    updates = []
    monkeypatch.setattr(AptState, "ensure", lambda _self, fresh_for: updates.append(fresh_for))
    offers.gone(("4.22.6", ".dsc"))
    stamp = offers.state.folder / "updated"
    os.utime(stamp, (0, stamp.stat().st_mtime - days * DAY))
    source.find(Version.parse(version), packaged=False)
    assert updates == asked


def test_packages_without_a_source_are_not_asked_for_each_hour(offers, source, monkeypatch):
    updates = []
    monkeypatch.setattr(AptState, "ensure", lambda _self, fresh_for: updates.append(fresh_for))
    assert found(source, "4.24.7", packaged=True).note == "binary packages only"
    assert updates == [DAY]


def test_indexes_of_yesterday_go_on_when_no_mirror_answers(offers, source, monkeypatch, capsys):
    def refuse(*_, **__):
        raise HostError("no mirror answers", "Wait.")

    monkeypatch.setattr(AptState, "_update", refuse)
    stamp = offers.state.folder / "updated"
    os.utime(stamp, (0, stamp.stat().st_mtime - 3 * DAY))
    assert found(source, "4.17.12").suite == "bookworm-security"
    assert "3.0 days ago: no mirror answers" in capsys.readouterr().err
    stamp.write_text("other mirrors")
    with pytest.raises(HostError):
        source.find(Version.parse("4.17.12"), packaged=False)


def test_all_offers_are_listed_newest_first_with_what_can_be_had(source):
    listed = [(str(one.version), one.source, one.packages) for one in source.releases()]
    assert listed[0] == ("4.25.1", True, True)
    assert ("4.24.7", False, True) in listed
    assert [version for version, _, _ in listed].count("4.17.12") == 2


def test_a_version_that_has_only_packages_is_no_source(source):
    assert found(source, "4.24.7", packaged=True).suite == "trixie-backports"
    assert source._known(Version.parse("4.24.7"), packaged=False) is None


def test_a_whole_source_package_is_taken_as_it_is(source):
    spec = source.describe(found(source, "4.22.11"))
    assert len(spec.files) == 3
    assert spec.donor is None


def test_packaging_that_is_gone_is_made_good_by_the_nearest_that_is_left(offers, source):
    offers.gone(("4.22.6", ".dsc"), ("4.22.6", ".debian.tar"))
    spec = source.describe(found(source, "4.22.6"))
    assert [file.name for file in spec.files] == ["samba_4.22.6+dfsg.orig.tar.xz"]
    assert spec.donor is not None
    assert (spec.donor.package_version, spec.donor.patch) == ("2:4.22.11+dfsg-0+deb13u1", HEIMDAL_PATCH)
    assert "2:4.22.11" in spec.note


def test_a_neighbour_that_is_gone_too_is_no_donor(offers, source):
    offers.gone(("4.22.6", ".dsc"), ("4.22.6", ".debian.tar"), ("4.22.11", ".debian.tar"))
    donor = source.describe(found(source, "4.22.6")).donor
    assert donor is not None
    assert donor.package_version == "2:4.25.1+dfsg-1"


def test_the_donor_is_an_input_of_the_build(offers, source):
    offers.gone(("4.22.6", ".dsc"))
    spec = source.describe(found(source, "4.22.6"))
    assert spec.donor is not None
    other = replace(spec.donor, archive=replace(spec.donor.archive, sha256="another"))
    assert replace(spec, donor=other).digest != spec.digest
    assert replace(spec, note="told otherwise").digest == spec.digest


def test_a_source_whose_tarball_is_gone_says_so_with_the_way_out(offers, source):
    offers.gone(("4.25.1", ""))
    with pytest.raises(BuildError, match="in the index of sid but gone from the archive's pool") as caught:
        source.describe(found(source, "4.25.1"))
    assert caught.value.exit_code == 4
    assert "--packages" in caught.value.hint


def test_what_is_gone_is_noted_in_the_list(offers, source):
    offers.gone(("4.25.1", ""), ("4.22.6", ".dsc"))
    notes = {str(one.version): one.note for one in source.releases()}
    assert notes["4.25.1"] == "source in the index but gone from the pool"
    assert "built from its tarball" in notes["4.22.6"]
    assert notes["4.22.11"] == ""


def settings():
    return Settings(apt=AptSettings(suites=("trixie",)))


def test_an_unknown_version_names_the_nearest_there_are(offers, monkeypatch):
    monkeypatch.setattr("galaxy.release.find.apt_state", lambda *_: offers.state)
    monkeypatch.setattr(AptState, "ensure", lambda *_, **__: None)
    with pytest.raises(InputError, match=r"no configured source offers Samba 4\.22\.9") as caught:
        find_release(offers.store, settings(), Wanted(version="4.22.9"))
    assert "4.22.6, 4.22.11" in caught.value.hint


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        (Wanted(version="4.22.11", origin="git"), "no source 'git'"),
        (Wanted(version="4.22.11", origin="tarball", packaged=True), "binary packages come from apt only"),
        (Wanted(version="4.22.11", origin="directory"), "must be named"),
        (Wanted(version="4.22.11", sha256="0" * 64), "are for a tarball"),
    ],
)
def test_options_that_do_not_fit_together_are_refused(tmp_path, wanted, reason):
    with pytest.raises(InputError, match=reason):
        source_of(Store(root=tmp_path), settings(), wanted)


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"state": 1}'])
def test_a_damaged_memory_is_made_again_rather_than_believed(offers, source, monkeypatch, damage):
    (offers.state.folder / "samba.json").write_text(damage)
    monkeypatch.setattr(AptState, "indexes", lambda *_: [])
    assert source.releases() == ()
    assert json.loads((offers.state.folder / "samba.json").read_text())["known"] == {
        "sources": [],
        "binaries": [],
    }


def test_one_package_with_an_odd_version_hides_no_other(offers, monkeypatch, capsys):
    packages = offers.state.folder / "packages"
    packages.write_text(
        "".join(
            f"Package: samba\nVersion: {version}\n\n"
            for version in ("2:4.22.11+dfsg-1", "1:4.17.12.1-0vendor")
        )
    )
    offers.write("samba.json", "of another form")
    monkeypatch.setattr(
        AptState, "indexes", lambda _self, kind: [("trixie", "", packages)] if kind == "Packages" else []
    )
    monkeypatch.setattr(AptState, "read", lambda _self, file: file.read_text())
    assert [one.package_version for one in samba_index(offers.state).binaries] == ["2:4.22.11+dfsg-1"]
    assert "trixie has samba 1:4.17.12.1-0vendor" in capsys.readouterr().err

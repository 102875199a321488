"""apt's source packages from an archive made here: real apt, real dpkg-source, no network."""

import hashlib
import shutil

import pytest
from archive import PATCH, Archive

from galaxy.host.errors import BuildError, HostError
from galaxy.host.journal import journal
from galaxy.host.store import Store
from galaxy.release.apt import HEIMDAL_PATCH, AptSource
from galaxy.release.aptstate import AptState
from galaxy.release.model import SourceTree
from galaxy.release.version import Version


@pytest.fixture
def source(archive: Archive) -> AptSource:
    store = Store(root=archive.top / "store")
    return AptSource(
        AptState(folder=store.apt, suites=("trixie",), store=store, host_etc=archive.top / "etc")
    )


def fetched(source: AptSource, version: str) -> SourceTree:
    release = source.find(Version.parse(version), packaged=False)
    assert release is not None
    spec = source.describe(release)
    with journal(source.state.store, "build", "test") as entry:
        return source.fetch(spec, entry, source.state.store.builds / "tree")


def test_a_source_package_is_fetched_and_unpacked_with_its_patches(
    archive: Archive, source: AptSource
) -> None:
    archive.add("4.22.11+dfsg-1")
    archive.publish()
    tree = fetched(source, "4.22.11")
    assert (tree.path / "table").read_text() == "removed by dfsg\nput back\n"
    assert [(patch.name, patch.donor) for patch in tree.patches] == [(HEIMDAL_PATCH, "")]
    assert tree.epoch == 1_700_000_000
    assert len(tree.files) == 3


def test_packaging_that_is_gone_is_made_good_by_a_neighbours_patch(
    archive: Archive, source: AptSource
) -> None:
    archive.add("4.22.6+dfsg-1")
    archive.add("4.22.11+dfsg-1")
    archive.publish()
    (archive.pool / "samba_4.22.6+dfsg-1.dsc").unlink()
    (archive.pool / "samba_4.22.6+dfsg-1.debian.tar.xz").unlink()
    assert "gone" in next(one.note for one in source.releases() if str(one.version) == "4.22.6")
    tree = fetched(source, "4.22.6")
    assert (tree.path / "table").read_text() == "removed by dfsg\nput back\n"
    assert [patch.donor for patch in tree.patches] == ["2:4.22.11+dfsg-1"]
    assert tree.patches[0].sha256 == hashlib.sha256(PATCH.encode()).hexdigest()
    assert {file.name for file in tree.files} == {
        "samba_4.22.6+dfsg.orig.tar.xz",
        "samba_4.22.11+dfsg-1.debian.tar.xz",
    }


def test_a_patch_that_does_not_fit_is_a_clear_failure_and_nothing_stays(
    archive: Archive, source: AptSource
) -> None:
    archive.add("4.22.6+dfsg-1", table="something else\n")
    archive.add("4.22.11+dfsg-1")
    archive.publish()
    (archive.pool / "samba_4.22.6+dfsg-1.debian.tar.xz").unlink()
    with pytest.raises(BuildError, match=r"of 2:4\.22\.11\+dfsg-1 does not fit Samba 4\.22\.6"):
        fetched(source, "4.22.6")
    assert list(source.state.store.builds.iterdir()) == []


def test_a_release_of_which_everything_is_gone_says_so(archive: Archive, source: AptSource) -> None:
    archive.add("4.25.1+dfsg-1")
    archive.publish()
    shutil.rmtree(archive.pool)
    with pytest.raises(BuildError, match="in the index of trixie but gone from the archive's pool"):
        fetched(source, "4.25.1")


def test_a_tampered_file_is_refused(archive: Archive, source: AptSource) -> None:
    archive.add("4.22.11+dfsg-1")
    archive.publish()
    orig = archive.pool / "samba_4.22.11+dfsg.orig.tar.xz"
    orig.write_bytes(orig.read_bytes()[:-1] + b"x")
    with pytest.raises(BuildError, match="digest of the signed index"):
        fetched(source, "4.22.11")
    assert not list(source.state.store.sources.glob(".*.partial"))


def test_an_index_that_was_changed_after_signing_is_refused(archive: Archive, source: AptSource) -> None:
    archive.add("4.22.11+dfsg-1")
    archive.publish()
    index = archive.top / "debian/dists/trixie/main/source/Sources"
    index.write_text(index.read_text().replace("4.22.11", "4.22.12"))
    with pytest.raises(HostError, match="apt could not read the indexes"):
        source.releases()


def test_an_archive_signed_by_a_stranger_is_refused(archive: Archive, source: AptSource) -> None:
    archive.add("4.22.11+dfsg-1")
    archive.publish()
    (archive.top / "debian-test.gpg").write_bytes(b"")
    with pytest.raises(HostError, match="apt could not read the indexes"):
        source.releases()

"""A Debian archive made here, with a key made here: real apt, real dpkg-source, no network."""

import hashlib
import io
import lzma
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from galaxy.host.errors import BuildError, HostError
from galaxy.host.journal import journal
from galaxy.host.process import run
from galaxy.host.store import Store
from galaxy.release.apt import HEIMDAL_PATCH, AptSource
from galaxy.release.aptstate import AptState
from galaxy.release.model import SourceTree
from galaxy.release.version import Version

PATCH = "--- a/table\n+++ b/table\n@@ -1 +1,2 @@\n removed by dfsg\n+put back\n"


def tar_xz(files: dict[str, str]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            member.mtime = 1_700_000_000
            archive.addfile(member, io.BytesIO(text.encode()))
    return lzma.compress(plain.getvalue())


def packaging(version: str, patch: str) -> bytes:
    return tar_xz(
        {
            "debian/changelog": f"samba ({version})\n",
            "debian/source/format": "3.0 (quilt)\n",
            "debian/patches/series": f"{HEIMDAL_PATCH}\n",
            f"debian/patches/{HEIMDAL_PATCH}": patch,
        }
    )


def checksums(files: dict[str, bytes], algorithm: str) -> str:
    return "".join(
        f"\n {hashlib.new(algorithm, data).hexdigest()} {len(data)} {name}" for name, data in files.items()
    )


@dataclass
class Archive:
    """A signed archive of one suite under a folder that apt's own user can read."""

    top: Path
    paragraphs: str = ""

    @property
    def pool(self) -> Path:
        return self.top / "debian/pool"

    def add(self, version: str, *, table: str = "removed by dfsg\n", patch: str = PATCH) -> None:
        """Add a source package of Samba."""
        upstream = version.split("-", maxsplit=1)[0]
        tree = f"samba-{upstream}"
        files = {
            f"samba_{upstream}.orig.tar.xz": tar_xz({f"{tree}/VERSION": "", f"{tree}/table": table}),
            f"samba_{version}.debian.tar.xz": packaging(version, patch),
        }
        fields = (
            f"Format: 3.0 (quilt)\nSource: samba\nBinary: samba\nArchitecture: any\nVersion: 2:{version}\n"
        )
        dsc = f"{fields}Checksums-Sha256:{checksums(files, 'sha256')}\nFiles:{checksums(files, 'md5')}\n"
        files[f"samba_{version}.dsc"] = dsc.encode()
        for name, data in files.items():
            (self.pool / name).write_bytes(data)
        self.paragraphs += (
            f"Package: other\nVersion: 1\nDirectory: pool\n\nPackage: samba\nVersion: 2:{version}\n"
        )
        self.paragraphs += f"Directory: pool\nChecksums-Sha256:{checksums(files, 'sha256')}\n\n"

    def publish(self) -> None:
        """Write the indexes and sign them."""
        folder = self.top / "debian/dists/trixie"
        indexes = {"main/source/Sources": self.paragraphs, "main/binary-amd64/Packages": ""}
        for name, text in indexes.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        listed = checksums({name: text.encode() for name, text in indexes.items()}, "sha256")
        head = "Origin: Debian\nCodename: trixie\nSuite: trixie\nArchitectures: amd64\nComponents: main\n"
        (folder / "Release").write_text(f"{head}Date: Sat, 01 Jan 2022 00:00:00 UTC\nSHA256:{listed}\n")
        self._gpg("--yes", "--clearsign", "--output", str(folder / "InRelease"), str(folder / "Release"))

    def make_key(self) -> None:
        (self.top / "gpg").mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "archive <archive@test>", "rsa2048", "sign", "1d")
        self._gpg("--output", str(self.top / "debian-test.gpg"), "--export")

    def _gpg(self, *words: str) -> None:
        options = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
        run(["gpg", "--homedir", self.top / "gpg", *options, *words])


@pytest.fixture(scope="module")
def signed() -> Iterator[Path]:
    """A folder with a key; tests copy it rather than making keys."""
    top = Path(tempfile.mkdtemp(prefix="galaxy-archive-"))
    Archive(top).make_key()
    yield top
    run(["gpgconf", "--homedir", top / "gpg", "--kill", "all"], check=False)
    shutil.rmtree(top)


@pytest.fixture
def archive(signed: Path) -> Iterator[Archive]:
    top = Path(tempfile.mkdtemp(prefix="galaxy-archive-"))
    top.chmod(0o755)
    (top / "gpg").symlink_to(signed / "gpg")
    shutil.copy(signed / "debian-test.gpg", top)
    (top / "etc").mkdir()
    line = f"deb [signed-by={top}/debian-test.gpg] file:{top}/debian bookworm main\n"
    (top / "etc/sources.list").write_text(line)
    (top / "debian/pool").mkdir(parents=True)
    yield Archive(top)
    shutil.rmtree(top)


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

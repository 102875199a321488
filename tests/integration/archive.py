"""A Debian archive made here, with a key made here."""

import hashlib
import io
import lzma
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.process import run
from galaxy.release.apt import HEIMDAL_PATCH

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
        numbers = zip(("MAJOR", "MINOR", "RELEASE"), upstream.partition("+")[0].split("."), strict=True)
        stated = "".join(f"SAMBA_VERSION_{name}={number}\n" for name, number in numbers)
        files = {
            f"samba_{upstream}.orig.tar.xz": tar_xz({f"{tree}/VERSION": stated, f"{tree}/table": table}),
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

    @property
    def keyring(self) -> Path:
        """The public key, for apt and gpgv."""
        return self.top / "debian-test.gpg"

    def make_key(self) -> None:
        (self.top / "gpg").mkdir(mode=0o700)
        self._gpg("--quick-generate-key", "archive <archive@test>", "rsa2048", "sign", "1d")
        self._gpg("--output", str(self.keyring), "--export")

    def sign(self, file: Path) -> Path:
        """A detached signature beside a file."""
        self._gpg("--yes", "--detach-sign", "--armor", "--output", f"{file}.asc", str(file))
        return file.with_name(file.name + ".asc")

    def _gpg(self, *words: str) -> None:
        options = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
        run(["gpg", "--homedir", self.top / "gpg", *options, *words])


@contextmanager
def key_folder() -> Iterator[Path]:
    """A folder with a key; archives copy it rather than making keys."""
    top = Path(tempfile.mkdtemp(prefix="galaxy-archive-"))
    Archive(top).make_key()
    try:
        yield top
    finally:
        run(["gpgconf", "--homedir", top / "gpg", "--kill", "all"], check=False)
        shutil.rmtree(top)


@contextmanager
def empty_archive(signed: Path) -> Iterator[Archive]:
    """An archive that knows a key; `etc` is what a host that uses it has in /etc/apt."""
    top = Path(tempfile.mkdtemp(prefix="galaxy-archive-"))
    top.chmod(0o755)
    (top / "gpg").symlink_to(signed / "gpg")
    shutil.copy(signed / "debian-test.gpg", top)
    (top / "etc").mkdir()
    line = f"deb [signed-by={top}/debian-test.gpg] file:{top}/debian bookworm main\n"
    (top / "etc/sources.list").write_text(line)
    (top / "debian/pool").mkdir(parents=True)
    try:
        yield Archive(top)
    finally:
        shutil.rmtree(top)

"""Bad sources: tarballs, signatures, mirrors and archives that cannot be trusted or do not deliver."""

import gzip
import http.server
import io
import shutil
import tarfile
import threading
from pathlib import Path

import pytest
from support import refuse

from galaxy.host.files import sha256_file
from galaxy.host.store import Store


class Mirror(http.server.BaseHTTPRequestHandler):
    """Sends the beginning of a file and stays silent; whoever asks again gets no answer at all."""

    def do_GET(self) -> None:
        if self.server.released.is_set() or self.server.asked.is_set():
            return
        self.server.asked.set()
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        self.wfile.write(b"x" * 100_000)
        self.wfile.flush()
        self.server.released.wait(120)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class TestTarballs:
    NAME = "samba-4.20.1.tar.gz"

    @pytest.fixture
    def tarball(self, tmp_path) -> Path:
        text = b"SAMBA_VERSION_MAJOR=4\nSAMBA_VERSION_MINOR=20\nSAMBA_VERSION_RELEASE=1\n"
        with tarfile.open(tmp_path / self.NAME, "w:gz") as packed:
            member = tarfile.TarInfo("samba-4.20.1/VERSION")
            member.size = len(text)
            packed.addfile(member, io.BytesIO(text))
        return tmp_path / self.NAME

    @pytest.fixture
    def build(self, archive, tmp_path):
        """Build from a tarball, with a key ring that knows the archive's key."""
        store = Store(root=tmp_path / "store").ensure()
        (tmp_path / "galaxy.toml").write_text(f'tarball.keyring = "{archive.keyring}"\n')
        known = ("env", f"GALAXY_SETTINGS={tmp_path / 'galaxy.toml'}")

        def command(code: int, words: str, tarball: str | Path, *more: str | Path, wrap=known) -> None:
            refuse(
                store,
                code,
                words,
                "build",
                "4.20.1",
                "--from",
                "tarball",
                "--path",
                tarball,
                *more,
                wrap=wrap,
            )

        return command

    @pytest.fixture
    def signature(self, archive, tarball) -> Path:
        """A good signature over the uncompressed tar."""
        plain = tarball.with_suffix("")
        plain.write_bytes(gzip.decompress(tarball.read_bytes()))
        return archive.sign(plain)

    def test_neither_digest_nor_signature(self, build, tarball) -> None:
        build(2, "has neither digest nor signature", tarball)

    def test_a_wrong_digest(self, build, tarball) -> None:
        build(4, "has the SHA-256", tarball, "--sha256", "0" * 64)

    def test_a_digest_that_is_none(self, build, tarball) -> None:
        build(2, "'abc' is not a SHA-256", tarball, "--sha256", "abc")

    def test_a_signature_that_is_none(self, build, tarball, tmp_path) -> None:
        (tmp_path / "x.asc").write_text("no signature")
        build(4, "holds no signature", tarball, "--signature", tmp_path / "x.asc")

    def test_a_signature_that_nobody_can_judge(self, build, tarball, signature) -> None:
        build(2, "no key ring", tarball, "--signature", signature, wrap=())

    def test_a_signature_of_a_stranger(self, build, archive, tarball, signature) -> None:
        shutil.copy("/usr/share/keyrings/debian-archive-keyring.gpg", archive.keyring)
        build(4, "does not have the key that signed it", tarball, "--signature", signature)

    def test_a_tampered_tarball(self, build, tarball, signature) -> None:
        plain = gzip.decompress(tarball.read_bytes())
        tarball.write_bytes(gzip.compress(plain.replace(b"MINOR=20", b"MINOR=21")))
        build(4, "does not fit its content", tarball, "--signature", signature)

    def test_a_truncated_tarball(self, build, tarball, signature) -> None:
        digest = sha256_file(tarball)
        tarball.write_bytes(tarball.read_bytes()[:-20])
        build(4, "can't be unpacked", tarball, "--signature", signature)
        build(4, "has the SHA-256", tarball, "--sha256", digest)

    def test_a_file_that_is_not_there(self, build) -> None:
        build(2, "/no/samba-4.20.1.tar.gz", "/no/samba-4.20.1.tar.gz", "--sha256", "0" * 64)

    def test_a_name_that_tells_no_version(self, build, tarball) -> None:
        build(2, "is not named like", tarball.rename(tarball.with_name("x.tar.gz")), "--sha256", "0" * 64)

    def test_a_mirror_that_stops_answering_half_way(self, build) -> None:
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as server:
            server.released, server.asked = threading.Event(), threading.Event()
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}/{self.NAME}"
            try:
                build(3, f"{address} stopped answering after", address, "--sha256", "0" * 64)
            finally:
                server.released.set()
                server.shutdown()


class TestArchives:
    """apt's sources, on a host whose /etc/apt names an archive made here."""

    @pytest.fixture
    def build(self, archive, tmp_path):
        """Build on such a host, with a store that no other archive has touched."""
        store = Store(root=tmp_path / "store").ensure()
        (tmp_path / "galaxy.toml").write_text('apt.suites = ["trixie"]\n')
        bound = f'mount --bind {archive.top}/etc /etc/apt; exec "$0" "$@"'
        settings = f"GALAXY_SETTINGS={tmp_path / 'galaxy.toml'}"
        host = ("env", settings, "unshare", "--mount", "sh", "-ec", bound)
        return lambda code, words, *more: refuse(store, code, words, "build", *more, wrap=host)

    def test_a_version_in_the_index_but_gone_from_the_pool(self, archive, build) -> None:
        archive.add("4.25.1+dfsg-1")
        archive.publish()
        shutil.rmtree(archive.pool)
        build(4, "Samba 4.25.1 is in the index of trixie but gone from the archive's pool", "4.25.1")

    def test_an_index_that_was_tampered_with(self, archive, build) -> None:
        archive.add("4.25.1+dfsg-1")
        archive.publish()
        index = archive.top / "debian/dists/trixie/main/source/Sources"
        index.write_text(index.read_text().replace("4.25.1", "4.25.2"))
        build(3, "apt could not read the indexes", "4.25.2")

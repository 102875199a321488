"""Upstream's tarballs, from a server on this machine, signed with a key made here."""

import gzip
import hashlib
import http.server
import io
import re
import tarfile
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from galaxy.host.errors import BuildError, HostError, InputError
from galaxy.host.journal import journal
from galaxy.host.process import run
from galaxy.host.settings import Settings, TarballSettings
from galaxy.host.store import Store
from galaxy.release import download as downloading
from galaxy.release.find import Wanted, find_release
from galaxy.release.tarball import TarballSource

VERSION = "4.22.11"
NAME = f"samba-{VERSION}.tar.gz"
NEWEST = 1_700_000_000


def tarball() -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as archive:
        stated = "SAMBA_VERSION_MAJOR=4\nSAMBA_VERSION_MINOR=22\nSAMBA_VERSION_RELEASE=11\n"
        for name, text in {"VERSION": stated, "source4/a.c": "x" * 300_000}.items():
            member = tarfile.TarInfo(f"samba-{VERSION}/{name}")
            member.size = len(text)
            member.mtime = NEWEST
            archive.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(plain.getvalue(), 0, mtime=0)


TARBALL = tarball()
DIGEST = hashlib.sha256(TARBALL).hexdigest()


class Site(http.server.ThreadingHTTPServer):
    """`files` by path; `cuts` is how many answers end after half of what was asked for."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answer)
        self.files: dict[str, bytes] = {}
        self.cuts = 0
        self.stalls = False
        self.ranges: list[str] = []
        self.release = threading.Event()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Answer(http.server.BaseHTTPRequestHandler):
    server: Site

    def do_GET(self):
        body = self.server.files.get(self.path.lstrip("/"))
        if body is None:
            self.send_error(404)
            return
        asked = re.match(r"bytes=(\d+)-", self.headers.get("Range", ""))
        self.server.ranges.append(self.headers.get("Range", ""))
        fitting = asked and self.headers.get("If-Range") == self.tag(body)
        rest = body[int(asked[1]) :] if fitting else body
        self.send_response(206 if fitting else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", self.tag(body))
        self.end_headers()
        if self.server.cuts > 0 or self.server.stalls:
            self.server.cuts -= 1
            self.wfile.write(rest[: len(rest) // 2])
            self.wfile.flush()
            if self.server.stalls:
                self.server.release.wait(10)
            return
        self.wfile.write(rest)

    def tag(self, body):
        return f'"{hashlib.sha256(body).hexdigest()[:8]}"'

    def log_message(self, *_):
        pass


@pytest.fixture
def site():
    with Site() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        server.files[NAME] = TARBALL
        yield server
        server.release.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def store(tmp_path):
    return Store(root=tmp_path / "store")


def source(store, site, **options):
    settings = TarballSettings(url=site.url, keyring=options.pop("keyring", None))
    return TarballSource(store, settings, location=site.url + NAME, **options)


def described(store, site, **options):
    one = source(store, site, **options)
    return one, one.describe(one.releases()[0])


def left_over(store):
    return [path for path in store.root.rglob("*") if ".tarball-" in path.name or "partial" in path.name]


def test_a_tarball_with_its_digest_is_fetched_and_unpacked(store, site, tmp_path):
    one, spec = described(store, site, sha256=DIGEST.upper())
    assert [file.sha256 for file in spec.files] == [DIGEST]
    with journal(store, "build", "test") as entry:
        tree = one.fetch(spec, entry, tmp_path / "tree")
    assert (tree.path / "source4/a.c").stat().st_size == 300_000
    assert tree.epoch == NEWEST
    assert left_over(store) == []


def test_a_tarball_of_another_version_than_its_name_is_refused(store, site, tmp_path):
    site.files["samba-4.22.10.tar.gz"] = TARBALL
    one = TarballSource(
        store, TarballSettings(url=site.url), location=site.url + "samba-4.22.10.tar.gz", sha256=DIGEST
    )
    spec = one.describe(one.releases()[0])
    why = r"is named Samba 4\.22\.10 and holds Samba 4\.22\.11"
    with pytest.raises(BuildError, match=why), journal(store, "build", "test") as entry:
        one.fetch(spec, entry, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_two_commands_fetch_a_tarball_once(store, site):
    with ThreadPoolExecutor(max_workers=2) as both:
        specs = list(both.map(lambda _: described(store, site, sha256=DIGEST)[1], range(2)))
    assert {spec.files[0].sha256 for spec in specs} == {DIGEST}
    assert site.ranges == [""]
    assert left_over(store) == []


def test_what_was_verified_once_is_not_fetched_again(store, site):
    described(store, site, sha256=DIGEST)
    asked = len(site.ranges)
    described(store, site, sha256=DIGEST)
    assert len(site.ranges) == asked


def test_a_wrong_digest_is_refused_and_nothing_stays(store, site):
    with pytest.raises(BuildError, match=f"has the SHA-256 {DIGEST}, not the one given"):
        described(store, site, sha256="0" * 64)
    assert left_over(store) == []


def test_without_digest_or_signature_nothing_is_fetched(store, site):
    with pytest.raises(InputError, match="neither digest nor signature"):
        described(store, site)
    assert site.ranges == []


@pytest.mark.parametrize("digest", ["abc", "g" * 64, DIGEST[:-1]])
def test_what_is_no_digest_is_refused(store, site, digest):
    with pytest.raises(InputError, match="not a SHA-256"):
        source(store, site, sha256=digest)


def test_an_interrupted_download_goes_on_where_it_ended(store, site):
    site.cuts = 2
    _, spec = described(store, site, sha256=DIGEST)
    assert spec.files[0].size == len(TARBALL)
    assert site.ranges[0] == ""
    assert all(re.fullmatch(r"bytes=\d+-", asked) for asked in site.ranges[1:])
    assert len(set(site.ranges)) == 3


def test_a_file_that_changed_meanwhile_is_fetched_whole(store, site, tmp_path):
    target = tmp_path / "in" / NAME
    target.parent.mkdir()
    target.with_name(NAME + ".partial").write_bytes(b"old content")
    target.with_name(NAME + ".partial.tag").write_text('"another"')
    downloading.download(site.url + NAME, target)
    assert target.read_bytes() == TARBALL


def test_a_server_that_stops_half_way_is_given_up_with_a_clear_line(store, site, tmp_path):
    site.stalls = True
    with pytest.raises(HostError, match=r"stopped answering after \d+ bytes") as caught:
        downloading.download(site.url + NAME, tmp_path / NAME, read=0.2)
    assert "continues where this one ended" in caught.value.hint
    site.stalls = False
    downloading.download(site.url + NAME, tmp_path / NAME)
    assert (tmp_path / NAME).read_bytes() == TARBALL


def test_a_file_that_the_server_has_not_is_no_reason_to_try_again(store, site):
    site.files.clear()
    with pytest.raises(BuildError, match="does not exist"):
        described(store, site, sha256=DIGEST)


def test_a_truncated_file_is_refused_when_it_is_unpacked(store, site, tmp_path):
    cut = TARBALL[: len(TARBALL) // 2]
    site.files[NAME] = cut
    one, spec = described(store, site, sha256=hashlib.sha256(cut).hexdigest())
    with pytest.raises(BuildError, match="can't be unpacked"), journal(store, "build", "test") as entry:
        one.fetch(spec, entry, tmp_path / "tree")
    assert not (tmp_path / "tree").exists()


def test_the_configured_site_is_listed(store, site):
    site.files[""] = (
        b'<a href="samba-4.22.11.tar.gz">x</a> <a href="samba-4.23.0rc1.tar.gz">y</a> <a href="talloc-2.tar.gz">'
    )
    found = TarballSource(store, TarballSettings(url=site.url)).releases()
    assert [str(release.version) for release in found] == ["4.23.0rc1", "4.22.11"]


@pytest.mark.parametrize("name", ["samba.tar.gz", "samba-latest.tar.gz", "samba-4.22.11.zip"])
def test_a_tarball_must_be_named_like_a_release(store, name):
    with pytest.raises(InputError, match="not named like a Samba release"):
        TarballSource(store, TarballSettings(), location=name, sha256=DIGEST).releases()


def gpg(home: Path, *words: str) -> None:
    options = ["--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    run(["gpg", "--homedir", home, *options, *words])


@pytest.fixture(scope="session")
def signer(tmp_path_factory):
    """A key, a stranger's key, and a way to sign."""
    base = tmp_path_factory.mktemp("gpg")
    homes = {}
    for name in ("release", "stranger"):
        home = base / name
        home.mkdir(mode=0o700)
        gpg(home, "--quick-generate-key", f"{name} <{name}@test>", "ed25519", "sign", "1d")
        gpg(home, "--output", str(base / f"{name}.gpg"), "--export")
        gpg(home, "--armor", "--output", str(base / f"{name}.asc"), "--export")
        homes[name] = home

    def sign(who, data, target):
        plain = target.with_suffix(".plain")
        plain.write_bytes(data)
        gpg(homes[who], "--yes", "--armor", "--output", str(target), "--detach-sign", str(plain))
        return str(target)

    sign.ring = lambda who, kind="gpg": base / f"{who}.{kind}"
    yield sign
    for home in homes.values():
        run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@pytest.mark.parametrize("kind", ["gpg", "asc"])
def test_a_signature_over_the_uncompressed_tar_is_enough(store, site, signer, tmp_path, kind):
    signature = signer("release", gzip.decompress(TARBALL), tmp_path / "tar.asc")
    _, spec = described(store, site, signature=signature, keyring=signer.ring("release", kind))
    assert spec.files[0].sha256 == DIGEST


def test_upstreams_own_place_for_the_signature_is_known(store, site, signer, tmp_path):
    signer("release", gzip.decompress(TARBALL), tmp_path / "tar.asc")
    site.files[f"samba-{VERSION}.tar.asc"] = (tmp_path / "tar.asc").read_bytes()
    site.files[""] = f'<a href="{NAME}">'.encode()
    one = TarballSource(store, TarballSettings(url=site.url, keyring=signer.ring("release")))
    assert one.describe(one.releases()[0]).files[0].sha256 == DIGEST


def test_an_altered_tarball_is_refused(store, site, signer, tmp_path):
    signature = signer("release", gzip.decompress(TARBALL) + b"\0", tmp_path / "tar.asc")
    with pytest.raises(BuildError, match="altered, or truncated"):
        described(store, site, signature=signature, keyring=signer.ring("release"))
    assert left_over(store) == []


def test_a_signature_over_the_packed_file_is_not_taken(store, site, signer, tmp_path):
    signature = signer("release", TARBALL, tmp_path / "tar.asc")
    with pytest.raises(BuildError, match="refused"):
        described(store, site, signature=signature, keyring=signer.ring("release"))


def test_a_strangers_signature_is_refused(store, site, signer, tmp_path):
    signature = signer("stranger", gzip.decompress(TARBALL), tmp_path / "tar.asc")
    with pytest.raises(BuildError, match="key ring does not have the key"):
        described(store, site, signature=signature, keyring=signer.ring("release"))


def test_a_signature_without_a_key_ring_vouches_for_nothing(store, site, tmp_path):
    with pytest.raises(InputError, match="no key ring"):
        described(store, site, signature=str(tmp_path / "tar.asc"))


def test_a_digest_makes_up_for_no_signature(store, site, signer, tmp_path):
    with pytest.raises(InputError, match="no key ring"):
        described(store, site, sha256=DIGEST, signature=str(tmp_path / "tar.asc"))
    described(store, site, sha256=DIGEST)
    signature = signer("stranger", gzip.decompress(TARBALL), tmp_path / "tar.asc")
    with pytest.raises(BuildError, match="key ring does not have the key"):
        described(store, site, sha256=DIGEST, signature=signature, keyring=signer.ring("release"))


def test_a_file_that_is_no_signature_is_refused(store, site, signer, tmp_path):
    (tmp_path / "tar.asc").write_text("hello")
    with pytest.raises(BuildError, match="refused"):
        described(store, site, signature=str(tmp_path / "tar.asc"), keyring=signer.ring("release"))


def test_a_version_is_asked_for_by_upstreams_naming(store, site):
    wanted = Wanted(version=VERSION, origin="tarball", sha256=DIGEST)
    release = find_release(store, Settings(tarball=TarballSettings(url=site.url)), wanted)
    assert release.location == site.url + NAME
    assert site.ranges == []


def test_a_site_that_is_not_there_is_named_in_one_line(store):
    with pytest.raises(HostError) as caught:
        TarballSource(store, TarballSettings(url="http://127.0.0.1:9/")).releases()
    assert caught.value.message.startswith("http://127.0.0.1:9/ can't be reached: ")
    assert "HTTPConnection" not in caught.value.message

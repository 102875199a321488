"""Bad input: one clear line of what, why and what to do, the documented exit code, and nothing left behind."""

import base64
import functools
import json
import shutil
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from securesystemslib.dsse import Envelope
from securesystemslib.signer import CryptoSigner
from support import galaxy_run, refuse, temporary_store

from galaxy.gate.certificate import PAYLOAD_TYPE
from galaxy.gate.signing import signer
from galaxy.gate.withdrawal import certificate_file
from galaxy.host.netns import addresses_of
from galaxy.host.process import run
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.image.mount import mount_point
from galaxy.server.config import PrivateNetwork
from galaxy.server.ports import host_addresses

# It may read this checkout wherever it is, below /root for one.
READS = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *READS)
PRIVATE = ("--network", "private")


@pytest.fixture(scope="module")
def own(image: Image) -> Iterator[Store]:
    """A store with the image and a stopped server dc1 in it."""
    with temporary_store(image) as own:
        made = galaxy_run(own, "create", "dc1", "--image", image.id, "--realm", "BAD.TEST", *PRIVATE)
        assert made.returncode == 0, made.output
        yield own


@pytest.fixture
def refused(own: Store):
    """The same, in the store with dc1."""
    return functools.partial(refuse, own)


CREATE = ("create", "dc2", "--image", "4.17.12+packages", "--realm", "OTHER.TEST", *PRIVATE)


def create(**changes: str) -> list[str]:
    """A good create command with some options changed; `name` is the server's name."""
    words = list(CREATE)
    for option, value in changes.items():
        if option == "name":
            words[1] = value
        elif f"--{option}" in words:
            words[words.index(f"--{option}") + 1] = value
        else:
            words += [f"--{option}", value] if value else [f"--{option}"]
    return words


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "../dc2"}, "../dc2"),
        ({"name": "d" * 80}, "d" * 80),
        ({"realm": "bad realm.test"}, "bad realm.test"),
        ({"realm": "SINGLE"}, "SINGLE"),
        ({"domain": "LONGER-THAN-FIFTEEN"}, "LONGER-THAN-FIFTEEN"),
        ({"domain": "A B"}, "A B"),
        ({"address": "300.1.1.1"}, "300.1.1.1"),
        ({"address": "10.213.0.1"}, "10.213.0.1"),
        ({"address": "127.0.0.9"}, "127.0.0.9 cannot be a server's"),
        ({"address": "127.0.0.9", "network": "host", "allow-uncertified": ""}, "loopback"),
        (
            {"address": "192.0.2.77", "network": "host", "allow-uncertified": ""},
            "192.0.2.77 is not an address of this host",
        ),
        ({"address": "10.213.7.9", "dns-forwarder": "10.213.7.9"}, "10.213.7.9 is dc2 itself"),
        ({"image": "9.9.9"}, "there is no image 9.9.9"),
        ({"name": "dc1"}, "there is a server dc1 already"),
        ({"admin-password-file": "/no/such/file"}, "cannot read /no/such/file"),
    ],
    ids=str,
)
def test_a_server_that_cannot_be(refused, changes, words) -> None:
    refused(2, words, *create(**changes))


def test_a_password_that_the_domain_refuses(refused, tmp_path) -> None:
    (tmp_path / "password").write_text("short\n")
    refused(2, "password", *create(**{"admin-password-file": str(tmp_path / "password")}))


def test_a_port_in_use_and_by_whom(refused) -> None:
    with socket.socket() as taken:
        address = _bound(taken, 389)
        taken.listen()
        words = create(network="host", address=address)
        done = refused(2, "389/tcp by ", *words, "--allow-uncertified")
    assert "pytest" in done.stderr or "python" in done.stderr


def _bound(taken: socket.socket, port: int) -> str:
    """Bind to an address of the host; one of somebody's bridge may go between being seen and being taken."""
    private = addresses_of(PrivateNetwork().bridge)
    for address in host_addresses():
        if not address.startswith("127.") and address not in private:
            with suppress(OSError):
                taken.bind((address, port))
                return address
    raise AssertionError("the host has no address of its own")


def test_an_uncertified_image_on_the_hosts_network(refused) -> None:
    refused(6, "4.17.12+packages", *create(network="host", address="127.0.0.9"))


@pytest.mark.parametrize("verb", ["start", "stop", "restart", "status", "logs", "rm"])
def test_a_server_that_is_not_there(refused, verb) -> None:
    refused(2, "there is no server dc9", verb, "dc9")


@pytest.mark.parametrize("words", [("stop", "dc1"), ("exec", "dc1", "--", "true"), ("shell", "dc1")], ids=str)
def test_a_server_that_does_not_run(refused, words) -> None:
    refused(2, "dc1 is not running", *words)


def test_a_server_that_runs(own, refused) -> None:
    assert galaxy_run(own, "start", "dc1").returncode == 0
    try:
        refused(2, "dc1 is running already", "start", "dc1")
        refused(2, "dc1 is running", "rm", "dc1")
    finally:
        assert galaxy_run(own, "stop", "dc1").returncode == 0


@pytest.mark.parametrize(
    "words",
    [("start", "dc1"), ("build", "4.17.12"), ("recover",), CREATE, ("image", "rm", "4.17.12")],
    ids=str,
)
def test_not_root(own, words) -> None:
    done = galaxy_run(own, *words, wrap=NOBODY)
    assert done.returncode == 3
    assert "needs root" in done.stderr
    assert "sudo" in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [("x = 1\n", "x: unknown key"), ("[[", "is not valid TOML"), ("", "required")],
    ids=["unknown key", "no TOML", "empty"],
)
def test_a_damaged_server_toml(own, refused, text, words) -> None:
    file = own.servers / "dc1/server.toml"
    good = file.read_text()
    file.write_text(text + good if text == "x = 1\n" else text)
    try:
        refused(2, words, "start", "dc1")
    finally:
        file.write_text(good)


def test_a_server_with_a_damaged_file_can_be_removed(own, refused) -> None:
    folder = own.servers / "dc7"
    (folder / "state").mkdir(parents=True)
    (folder / "server.toml").write_text("[[")
    done = refused(2, "is not valid TOML", "rm", "dc7")
    assert "galaxy rm dc7 --force" in done.stderr
    assert galaxy_run(own, "rm", "dc7", "--force").stdout == "dc7: removed\n"
    assert not folder.exists()


@pytest.mark.parametrize("lost", ["state", "etc/smb.conf"])
def test_a_server_that_has_lost_its_data(own, refused, lost) -> None:
    path = own.servers / "dc1" / lost
    path.rename(path.with_name("lost"))
    try:
        refused(5, f"{path} is missing", "start", "dc1")
    finally:
        path.with_name("lost").rename(path)


def test_settings_that_are_damaged_are_told_by_doctor(own, tmp_path) -> None:
    (tmp_path / "galaxy.toml").write_text("job = 1")
    done = galaxy_run(own, "doctor", wrap=("env", f"GALAXY_SETTINGS={tmp_path / 'galaxy.toml'}"))
    assert done.returncode == 3
    assert "galaxy.toml: job: unknown key" in done.stdout


def test_an_output_that_cannot_be_written(own) -> None:
    for words in (("ls",), ("image", "ls"), ("--version",)):
        done = galaxy_run(own, *words, wrap=("sh", "-c", '"$0" "$@" >/dev/full'))
        assert done.returncode == 3, done.output
        assert done.stderr.startswith("error: the output cannot be written: No space left on device\n")


@pytest.mark.parametrize("text", ["jobs = 0", "unknown = 1", "[["])
def test_damaged_settings(own, tmp_path, text) -> None:
    (tmp_path / "galaxy.toml").write_text(text)
    done = galaxy_run(own, "build", "4.17.12", wrap=("env", f"GALAXY_SETTINGS={tmp_path / 'galaxy.toml'}"))
    assert (done.returncode, "galaxy.toml" in done.stderr) == (2, True), done.stderr


@pytest.mark.parametrize(
    ("version", "words"),
    [("9.9.9", "9.9.9"), ("latest!", "is not a Samba version"), ("4.0", "4.0")],
)
def test_an_unknown_version(refused, version, words) -> None:
    refused(2, words, "build", version)


def test_a_missing_program(refused, own) -> None:
    hide = 'mount --bind /dev/null "$(command -v runc)"; exec "$0" "$@"'
    refused(3, "runtime", "start", "dc1", wrap=("unshare", "--mount", "sh", "-c", hide))


def test_a_missing_capability(refused) -> None:
    bounded = ("setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin")
    refused(3, "namespace", "start", "dc1", wrap=bounded)


def test_no_space_left(own) -> None:
    """On a file system of 2 MB that exists for this command alone; what it leaves there is printed."""
    mount = 'mount -t tmpfs -o size=2m tmpfs "$GALAXY_ROOT"'
    script = f'{mount}; "$0" "$@"; code=$?; find "$GALAXY_ROOT" -size +0; exit $code'
    words = ("build", "4.22.11", "--packages")
    done = galaxy_run(own, *words, wrap=("unshare", "--mount", "sh", "-c", script))
    assert done.returncode == 3, done.output
    assert "error: " in done.stderr
    assert "space" in done.stderr or "GB are free" in done.stderr
    assert "Traceback" not in done.stderr
    left = [line for line in done.stdout.splitlines() if not line.endswith((".lock", "/journal", "/locks"))]
    assert [line for line in left if "/apt" not in line and "." in line.rsplit("/", 1)[-1]] == []


@pytest.fixture
def on_full_disk(own, image):
    """Run a command on a store with the image, on a full file system that exists for this command alone."""
    fill = f'mkdir "$GALAXY_ROOT/images"; cp -r {image.path} "$GALAXY_ROOT/images"; cat /dev/zero >"$GALAXY_ROOT/fill"'
    room = f"{image.squashfs.stat().st_size // 1_000_000 + 12}m"
    script = (
        f'export GALAXY_ROOT=/mnt; mount -t tmpfs -o size={room} tmpfs /mnt; {fill} 2>/dev/null; "$0" "$@"; code=$?; '
        'ls -A "$GALAXY_ROOT/images" "$GALAXY_ROOT/journal" "$GALAXY_ROOT/servers" >&2; exit $code'
    )
    return lambda *words: galaxy_run(own, *words, wrap=("unshare", "--mount", "sh", "-c", script))


def test_an_image_goes_from_a_full_disk(on_full_disk, image) -> None:
    done = on_full_disk("image", "rm", image.id[:12])
    assert (done.returncode, done.stdout) == (0, f"removed image {image.id[:12]}\n"), done.output
    assert done.stderr.split() == ["/mnt/images:", "/mnt/journal:", "/mnt/servers:"]


def test_a_server_for_which_there_is_no_space(on_full_disk, image) -> None:
    done = on_full_disk(*CREATE)
    assert done.returncode == 3, done.output
    assert "error: no space left: making the server dc2 needs 100.0 MB under " in done.stderr
    assert done.stderr.split()[-1].endswith("servers:"), "something was left behind"


class TestImages:
    """What is wrong with an image is found before anything runs from it."""

    @pytest.fixture
    def broken(self, own: Store, image: Image) -> Iterator[Path]:
        folder = own.images / image.path.name
        run(["umount", mount_point(own, image.id)], check=False)
        kept = folder.with_name(f".{folder.name}.kept")
        shutil.copytree(folder, kept)
        yield folder
        shutil.rmtree(folder)
        kept.rename(folder)

    def test_a_flipped_bit(self, broken, refused) -> None:
        with (broken / "image.squashfs").open("r+b") as file:
            file.seek(5_000_000)
            byte = file.read(1)
            file.seek(5_000_000)
            file.write(bytes([byte[0] ^ 1]))
        refused(6, "was changed after it was sealed", "start", "dc1")

    def test_a_truncated_image(self, broken, refused) -> None:
        with (broken / "image.squashfs").open("r+b") as file:
            file.truncate(5_000_000)
        refused(6, "was changed after it was sealed", "start", "dc1")

    @pytest.mark.parametrize("text", ["{", "{}", '{"format": 99}'])
    def test_a_damaged_manifest(self, broken, refused, text) -> None:
        (broken / "manifest.json").write_text(text)
        refused(2, "manifest.json is corrupt", "start", "dc1")

    def test_a_file_that_is_no_export(self, refused, tmp_path) -> None:
        (tmp_path / "x.tar").write_bytes(b"no image" * 1000)
        refused(2, "x.tar", "image", "import", tmp_path / "x.tar")


class TestCertificates:
    """A certificate that is no good is none."""

    @pytest.fixture
    def create_with(self, own: Store, image: Image, refused):
        """Create a server on the host's network with this text as the image's certificate."""
        file = certificate_file(own, image.id)

        def command(text: str, words: str) -> None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            refused(6, words, *create(network="host", address="127.0.0.9"))

        yield command
        shutil.rmtree(file.parent)

    @staticmethod
    def signed(key: CryptoSigner, **changes: str) -> str:
        envelope = Envelope(b'{"predicateType": "x"}', PAYLOAD_TYPE, {})
        envelope.sign(key)
        return json.dumps(envelope.to_dict() | changes)

    @pytest.mark.parametrize("text", ["", "{", "[]", '{"payload": 1}'])
    def test_one_that_is_broken(self, create_with, text) -> None:
        create_with(text, "is not a DSSE envelope")

    def test_one_of_another_key(self, create_with) -> None:
        create_with(self.signed(CryptoSigner.generate_ed25519()), "this host does not trust that key")

    def test_one_that_was_changed(self, own, create_with) -> None:
        payload = base64.b64encode(b'{"predicateType": "y"}').decode()
        create_with(self.signed(signer(own), payload=payload), "was changed after it was signed")

    def test_one_that_says_something_else(self, own, create_with) -> None:
        create_with(self.signed(signer(own)), "is not a certificate of Galaxy")


class TestVerify:
    def test_an_unknown_image(self, refused) -> None:
        refused(2, "there is no image 9.9.9", "verify", "--matrix", "quick", "--image", "9.9.9")

    def test_an_expression_that_selects_nothing(self, own, refused) -> None:
        words = ("verify", "--matrix", "quick", "--image", "4.17.12+packages", "-k", "no_such_check")
        refused(2, "no_such_check", *words)
        assert not list(own.runs.iterdir())

    def test_an_expression_that_is_none(self, refused) -> None:
        words = ("verify", "--matrix", "quick", "--image", "4.17.12+packages", "-k", "and and")
        refused(2, "and and", *words)

    def test_an_unknown_matrix(self, refused) -> None:
        refused(2, "nosuch", "verify", "--matrix", "nosuch", "--image", "4.17.12+packages")

    @pytest.mark.parametrize("text", ["[[", "unknown = 1\n"])
    def test_a_damaged_matrix(self, refused, tmp_path, text) -> None:
        (tmp_path / "matrix.toml").write_text(text)
        words = ("verify", "--matrix", tmp_path / "matrix.toml", "--image", "4.17.12+packages")
        refused(2, "matrix.toml", *words)

    def test_a_folder_with_something_in_it(self, refused, tmp_path) -> None:
        (tmp_path / "results.jsonl").touch()
        words = ("verify", "--matrix", "quick", "--image", "4.17.12+packages", "--report", tmp_path)
        refused(2, "is not empty", *words)

    def test_a_damaged_policy(self, refused, tmp_path) -> None:
        (tmp_path / "policy.toml").write_text("unknown = 1\n")
        words = (
            "verify",
            "--matrix",
            "quick",
            "--image",
            "4.17.12+packages",
            "--policy",
            tmp_path / "policy.toml",
        )
        refused(2, "policy.toml", *words)

    @pytest.mark.parametrize("option", ["--matrix", "--target"])
    def test_a_file_that_is_not_there(self, own, refused, option) -> None:
        refused(2, "no file /no/such.toml", "verify", option, "/no/such.toml")
        assert not list(own.runs.iterdir())

    def test_a_target_that_is_dead(self, own, tmp_path) -> None:
        (tmp_path / "password").write_text("Secret-1\n")
        names = {"address": "127.0.0.77", "fqdn": "dc1.x.test", "realm": "X.TEST", "domain": "X"}
        body = {**names, "password_file": "password"}
        (tmp_path / "dead.toml").write_text("".join(f'{key} = "{value}"\n' for key, value in body.items()))
        done = galaxy_run(own, "verify", "--target", tmp_path / "dead.toml", "--report", tmp_path / "report")
        assert done.returncode == 1, done.output
        assert done.output.count("Connection refused") == 4, done.output
        assert done.output.count("no domain controller answers at 127.0.0.77: LDAP (") == 1, done.output

"""Creation: what is refused, where the password goes, and that nothing is left of what was broken off."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from galaxy.server.config import PrivateNetwork, load

PASSWORD = "Sesame-opened-4711"


@pytest.fixture
def password_file(tmp_path):
    file = tmp_path / "password"
    file.write_text(PASSWORD + "\n")
    return file


class Watch:
    """Looks into every process's argv and environment as fast as it can until told to stop."""

    def __init__(self, secret):
        self.secret = secret.encode()
        self.seen = set()
        self.looked_at = set()
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.over.is_set():
            for folder in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    words = (folder / "cmdline").read_bytes()
                    self.looked_at.add(words)
                    if self.secret in words + (folder / "environ").read_bytes():
                        self.seen.add(words)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_the_password_is_in_no_argv_environment_or_log(machine, password_file):
    before = machine.remains()
    with Watch(PASSWORD) as watch:
        answer = machine.create(
            "dc1", "--address", machine.addresses[0], "--admin-password-file", password_file
        )
        assert answer.code == 0, answer.err
    assert any(b"provision" in words for words in watch.looked_at), "the watch must have seen the provision"
    assert not watch.seen
    assert PASSWORD not in answer.out + answer.err
    folder = machine.folder("dc1")
    kept = folder / "secrets" / "admin-password"
    assert kept.read_text() == PASSWORD + "\n"
    texts = [
        path
        for part in ("etc", "log", "bundle", "etc-host")
        for path in (folder / part).rglob("*")
        if path.is_file()
    ]
    texts += [folder / "server.toml", *machine.store.journal.iterdir()]
    assert not [path for path in texts if PASSWORD.encode() in path.read_bytes()]
    assert machine.galaxy("rm", "dc1").code == 0
    assert machine.remains() == before


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("short1", "minimum password length"),
        ("alllowercaseletters", "quality"),
        ("", "has no password in it"),
        ("two\nlines", "more than one line"),
    ],
)
def test_a_password_that_cannot_be_is_refused_with_the_reason(machine, tmp_path, word, says):
    before = machine.remains()
    file = tmp_path / "password"
    file.write_text(word)
    answer = machine.create("dc1", "--address", machine.addresses[0], "--admin-password-file", file)
    assert answer.code == 2
    assert says in answer.err
    assert "Traceback" not in answer.err
    assert machine.remains() == before


def test_an_address_that_the_host_has_not(machine):
    answer = machine.create("dc1", "--address", "10.78.0.2")
    assert answer.code == 2
    assert "10.78.0.2 is not an address of this host" in answer.err
    assert machine.addresses[1] in answer.err


def test_an_uncertified_image_is_refused_on_the_hosts_network(machine):
    answer = machine.galaxy(
        "create", "dc1", "--image", machine.image.id, "--realm", "X.Y", "--address", "10.77.0.2"
    )
    assert answer.code == 6
    assert "certificate" in answer.err


def test_a_port_in_use_and_by_whom(machine):
    script = "import signal, socket; s = socket.create_server(('10.77.0.2', 389)); print('on', flush=1); signal.pause()"
    holder = machine.hold(script)
    try:
        assert holder.stdout.readline() == "on\n"
        answer = machine.create("dc1", "--address", machine.addresses[0])
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    assert answer.code == 2
    assert f"389/tcp by python3 (process {holder.pid})" in answer.err.replace("python ", "python3 ")


def container_runs(machine):
    return any(Path("/run/galaxy", machine.digest).glob("*/state.json"))


def folder_is_there(machine):
    return any(machine.store.servers.iterdir())


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("moment", [folder_is_there, container_runs])
def test_an_interrupted_creation_leaves_nothing(machine, moment, sign):
    before = machine.remains()
    run = machine.begin(
        "create", "dc1", "--image", machine.image.id, "--realm", "X.Y.Z", "--allow-uncertified",
        "--address", machine.addresses[0],
    )  # fmt: skip
    _until(lambda: moment(machine), moment.__name__)
    os.kill(run.pid, sign)
    out, err = run.communicate(timeout=60)
    assert run.returncode == 130, out + err
    assert "interrupted" in err
    assert machine.remains() == before


def test_a_killed_creation_is_undone_by_the_next_command(machine):
    before = machine.remains()
    run = machine.begin(
        "create", "dc1", "--image", machine.image.id, "--realm", "X.Y.Z", "--allow-uncertified",
        "--address", machine.addresses[0],
    )  # fmt: skip
    _until(lambda: container_runs(machine), "the container")
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()
    assert machine.galaxy("recover").code == 0
    assert machine.remains() == before


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGKILL], ids=["SIGINT", "SIGKILL"])
def test_an_interrupted_start_leaves_it_stopped(machine, sign):
    machine.clone("dc5", PrivateNetwork())
    before = machine.remains()
    run = machine.begin("start", "dc5")
    _until(lambda: container_runs(machine), "the container")
    os.kill(run.pid, sign)
    run.communicate(timeout=60)
    if sign == signal.SIGKILL:
        assert machine.galaxy("recover").code == 0
    else:
        assert run.returncode == 130
    assert machine.status("dc5")["state"] == "stopped"
    assert machine.remains() == before
    assert machine.galaxy("rm", "dc5").code == 0


def _until(condition, what, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)


def test_two_servers_that_are_made_at_once_have_two_addresses(machine):
    with ThreadPoolExecutor(max_workers=2) as both:
        answers = list(
            both.map(lambda name: machine.create(name, "--network", "private"), ("twin1", "twin2"))
        )
    try:
        assert [answer.code for answer in answers] == [0, 0], answers
        addresses = {load(machine.store, name).config.address for name in ("twin1", "twin2")}
        assert len(addresses) == 2, f"both have {addresses}"
    finally:
        for name in ("twin1", "twin2"):
            machine.galaxy("rm", name)

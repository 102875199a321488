"""The lab: a process that is in it meets servers over the bridge, and nothing of it stays, however it ends."""

import signal
import sys
from pathlib import Path

import pytest

from galaxy.host.netns import FOLDER
from galaxy.host.process import background, run
from galaxy.host.recovery import recover
from galaxy.host.store import Store

SCRIPT = """
import os, socket, sys, threading, time
from contextlib import ExitStack
from pathlib import Path
from galaxy.host.journal import journal
from galaxy.host.netns import inside_network
from galaxy.host.store import Store
from scenarios.lab import CLIENT, SERVERS, entered_lab

store = Store(root=Path(sys.argv[1])).ensure()
etc = store.root / f"etc-{os.getpid()}"  # as each worker has one of its own
etc.mkdir(exist_ok=True)
with journal(store, "verify", "test") as entry, entered_lab(entry, etc) as lab:
    with lab.connected("dc1") as one, lab.connected("dc2"):
        with inside_network(one):
            listener = socket.create_server((SERVERS["dc1"], 389))
        client = socket.create_connection((SERVERS["dc1"], 389), timeout=5)
        peer, _ = listener.accept()
        print("from", peer.getpeername()[0])
        print("resolver", Path("/etc/resolv.conf").read_text().split()[3])
        print("name", socket.gethostbyname("dc1.lab.galaxy.test"))
        print("ready", flush=True)
        if len(sys.argv) > 2:
            time.sleep(60)
"""


@pytest.fixture
def store(tmp_path):
    return Store(root=tmp_path / "galaxy")


def namespaces():
    return {path.name for path in FOLDER.glob("galaxy-lab-*")}


def test_a_process_in_the_lab_meets_servers_over_the_bridge(store):
    before, host_resolver = namespaces(), Path("/etc/resolv.conf").read_text()
    done = run([sys.executable, "-c", SCRIPT, store.root])
    assert done.stdout.splitlines() == ["from 10.99.0.1", "resolver 10.99.0.11", "name 10.99.0.11", "ready"]
    assert namespaces() == before
    assert Path("/etc/resolv.conf").read_text() == host_resolver
    assert not list(store.journal.iterdir())


def test_a_host_without_these_files_has_a_lab_too(store):
    bare = (
        "mount -t tmpfs tmpfs /mnt; cp -a /etc /mnt/etc; mount --bind /mnt/etc /etc; "
        "rm /etc/krb5.conf; ln -sf /run/nowhere/resolv.conf /etc/resolv.conf; "
        '"$@"; code=$?; readlink /etc/resolv.conf; ls /etc/krb5.conf 2>&1; exit $code'
    )
    argv = ["unshare", "--mount", "sh", "-c", bare, "sh", sys.executable, "-c", SCRIPT, store.root]
    done = run(argv, check=False)
    told = ["from 10.99.0.1", "resolver 10.99.0.11", "name 10.99.0.11", "ready"]
    *lines, link, missing = done.stdout.splitlines()
    assert lines == told, done.output
    assert (link, missing.endswith("No such file or directory")) == ("/run/nowhere/resolv.conf", True)
    assert not list(store.journal.iterdir())


def test_two_labs_use_the_same_addresses_at_once(store, tmp_path):
    logs = [tmp_path / "one.log", tmp_path / "two.log"]
    argv = [sys.executable, "-c", SCRIPT, store.root, "stay"]
    with background(argv, log=logs[0]), background(argv, log=logs[1]):
        assert all(_says_ready(log) for log in logs)
    recover(store)


def test_a_killed_lab_is_undone_by_the_next_command(store, tmp_path):
    before = namespaces()
    with background([sys.executable, "-c", SCRIPT, store.root, "stay"], log=tmp_path / "log") as process:
        assert _says_ready(tmp_path / "log")
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=5)
    assert len(namespaces() - before) == 3
    assert recover(store) == ["settled an interrupted verify of test"]
    assert namespaces() == before
    assert not list(store.journal.iterdir())


def _says_ready(log: Path) -> bool:
    """Poll for up to a minute, for a busy host; the log appears with its process."""
    done = run(["timeout", "60", "sh", "-c", f"until grep -q ready {log}; do sleep 0.05; done"], check=False)
    return done.returncode == 0

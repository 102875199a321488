"""Clients in the middle of a restart under hold: they wait, and none of them is refused."""

import os
import socket
import time
from contextlib import contextmanager

import pytest
from support import temporary_store

from galaxy.host import netns
from galaxy.host.journal import journal
from galaxy.host.process import run
from galaxy.host.recovery import recover
from galaxy.server import lifecycle, running
from galaxy.server.config import NamespaceNetwork, PrivateNetwork
from galaxy.server.create import CreateRequest, create
from galaxy.server.hold import hold
from galaxy.upgrade.outage import probing

# Two networks with a bridge between them: this host's, or a lab's.
BRIDGE, SUBNET = "galaxyhold0", "10.219.7."


@contextmanager
def in_a_lab(entry):
    """A network namespace that is somebody else's, on a bridge that we reach it over."""
    name = f"galaxy-hold-{os.getpid()}"
    with entry.temporarily("bridge", BRIDGE), entry.temporarily("netns", name):
        netns.add_bridge(BRIDGE)
        netns.add_address(BRIDGE, f"{SUBNET}1", 24)
        path = netns.add_namespace(name)
        netns.add_veth("gxhold0", peer="eth0", into=name, bridge=BRIDGE)
        netns.add_address("eth0", f"{SUBNET}2", 24, name)
        yield NamespaceNetwork(path=path)


@contextmanager
def on_its_own(_entry):
    yield PrivateNetwork(bridge=BRIDGE)


@pytest.fixture(scope="module", params=[in_a_lab, on_its_own], ids=["lab", "private"])
def server(request, image, settings):
    """One that runs, before each test and after."""
    with (
        temporary_store(image) as own,
        journal(own, "test", "hold") as entry,
        request.param(entry) as network,
    ):
        wanted = CreateRequest(
            name="dc1", image=image.id, realm="HOLD.EXAMPLE.ORG", domain="HOLD", address=f"{SUBNET}2",
            network=network,
        )  # fmt: skip
        server = create(own, settings, wanted, template_ok=True)
        try:
            lifecycle.start(server, settings)
            yield server
        finally:
            lifecycle.remove(server, settings, force=True)


def reaches(server, port=389, wait=0.5):
    """None when a connection is taken, otherwise the error."""
    try:
        socket.create_connection((server.config.address, port), timeout=wait).close()
    except OSError as error:
        return type(error)
    return None


def test_clients_of_a_restart_wait_and_none_is_refused(server, settings):
    with probing(server.config) as probe:
        with lifecycle.held(server), journal(server.store, "test", "dc1") as entry, hold(entry, server):
            assert reaches(server) is TimeoutError
            lifecycle.stop_quickly(server, settings)
            assert reaches(server) is TimeoutError
            lifecycle.start_held(server, settings, in_network=True)
            assert reaches(server) is TimeoutError, "clients were let in before the end of the block"
        seen = probe.result()
    assert reaches(server) is None
    assert {name: one.refused for name, one in seen.services.items()} == dict.fromkeys(seen.services, 0)
    for name, one in seen.services.items():
        # At least what is waited for above; all answer again once the hold is over.
        assert 1000 < one.longest_ms < 20000, (name, one)
    assert lifecycle.status(server).state == "running"


def test_a_stopped_server_is_held_before_it_starts(server, settings):
    lifecycle.stop(server, settings)
    with lifecycle.held(server), journal(server.store, "test", "dc1") as entry:
        with hold(entry, server):
            lifecycle.start_held(server, settings, in_network=True)
            assert reaches(server) is TimeoutError
        assert reaches(server, wait=5) is None


def test_a_killed_galaxys_hold_is_lifted(server):
    with journal(server.store, "test", "dc1") as entry:
        block = hold(entry, server)
        block.__enter__()
        assert reaches(server) is TimeoutError
        left = server.store.journal / "left.json"
        left.write_text(entry.path.read_text().replace(f'"owner": "{os.getpid()}:', '"owner": "1:'))
        entry.actions.clear()
    assert recover(server.store) == ["settled an interrupted test of dc1"]
    assert reaches(server) is None


def test_a_quick_stop_waits_for_a_write_and_then_takes_no_time(server, settings):
    """The directory is left with nothing to recover, also when clients were writing to it."""
    process = running.alive(server)
    began = time.monotonic()
    with lifecycle.held(server):
        lifecycle.stop_quickly(server, settings)
        assert not process.alive
        assert time.monotonic() - began < 5
        lifecycle.start_held(server, settings, in_network=True)
    done = run(
        ["nsenter", f"--target={running.alive(server).pid}", "--mount", "--", "samba-tool", "dbcheck", "--cross-ncs"]
    )  # fmt: skip
    assert "0 errors" in done.output

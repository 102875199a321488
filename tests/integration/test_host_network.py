"""An address that moves from one server to another: its neighbours find it at once."""

import os
import socket
import threading
from contextlib import contextmanager

import pytest

from galaxy.host import netns
from galaxy.host.journal import journal
from galaxy.host.netns import inside_network, path_of

BRIDGE, SUBNET = "galaxytest0", "10.219.9."
ADDRESS, PORT = f"{SUBNET}2", 7000
# Far less than what a neighbour would go on to ask at the old place.
SECONDS = 2.0


@contextmanager
def somebody(entry, number, address, *, told=True):
    """A namespace on the bridge with an address, and a listener there that takes one client after the other."""
    name = f"galaxy-test-{os.getpid()}-{number}"
    mac = f"02:00:00:00:00:{number:02x}"
    with entry.temporarily("netns", name), entry.temporarily("link", f"gxtest{number}"):
        netns.add_namespace(name)
        netns.add_veth(f"gxtest{number}", peer="eth0", into=name, bridge=BRIDGE, mac=mac)
        netns.add_address("eth0", address, 24, name)
        with inside_network(path_of(name)):
            listener = socket.create_server((address, PORT))
        if told:
            netns.announce("eth0", address, name)
        with listener:
            answering = threading.Thread(target=_answer, args=(listener,), daemon=True)
            answering.start()
            yield
            listener.shutdown(socket.SHUT_RDWR)
            answering.join(SECONDS)


def _answer(listener):
    try:
        while True:
            listener.accept()[0].close()
    except OSError:
        return


def reach():
    socket.create_connection((ADDRESS, PORT), timeout=SECONDS).close()


@pytest.fixture
def bridge(store):
    """A bridge that stays, for something else is connected to it."""
    with journal(store, "test", "network") as entry, entry.temporarily("bridge", BRIDGE):
        netns.add_bridge(BRIDGE)
        netns.add_address(BRIDGE, f"{SUBNET}1", 24)
        with somebody(entry, 1, f"{SUBNET}3"):
            yield entry


def test_an_address_that_has_moved_is_found_at_once(bridge):
    with somebody(bridge, 2, ADDRESS):
        reach()
    with somebody(bridge, 3, ADDRESS):
        reach()


def test_without_a_word_its_neighbours_go_on_to_send_to_the_old_place(bridge):
    with somebody(bridge, 2, ADDRESS):
        reach()
    with somebody(bridge, 3, ADDRESS, told=False), pytest.raises(TimeoutError):
        reach()

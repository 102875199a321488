"""What is done to bridges, by a kernel that a test plays."""

from contextlib import contextmanager

import pytest

from galaxy.host import netns, undo


class Link(dict):
    """An interface as netlink tells of it."""

    def get_attr(self, name):
        return self.get(name)


class Kernel:
    """The interfaces of one namespace."""

    def __init__(self):
        self.links = {}

    def link(self, verb, *, ifname="", index=0, address=None, **_how):
        if verb == "add":
            number = len(self.links) + 1
            self.links[number] = Link(index=number, IFLA_IFNAME=ifname, IFLA_ADDRESS=address)
        if verb == "del":
            del self.links[index]

    def link_lookup(self, ifname):
        return [number for number, link in self.links.items() if link["IFLA_IFNAME"] == ifname]

    def get_links(self):
        return iter(self.links.values())


@pytest.fixture
def kernel(monkeypatch):
    found = Kernel()

    @contextmanager
    def links(_namespace):
        yield found

    monkeypatch.setattr(netns, "_links", links)
    monkeypatch.setattr(
        netns.socket,
        "if_nameindex",
        lambda: [(number, link["IFLA_IFNAME"]) for number, link in found.links.items()],
    )
    return found


def test_an_idle_bridge_that_galaxy_made_goes(kernel):
    netns.add_bridge("galaxy0")
    netns.remove_idle_bridge("galaxy0")
    assert kernel.links == {}
    netns.remove_idle_bridge("galaxy0")


def test_a_bridge_that_somebody_is_connected_to_stays(kernel):
    netns.add_bridge("galaxy0")
    kernel.links[2] = Link(index=2, IFLA_IFNAME="gx1", IFLA_MASTER=1)
    netns.remove_idle_bridge("galaxy0")
    assert set(kernel.links) == {1, 2}


def test_a_bridge_that_somebody_else_made_stays(kernel):
    kernel.link("add", ifname="br0", address="02:11:22:33:44:55")
    kernel.link("add", ifname="galaxy0", address=netns.local_mac("galaxy0"))
    netns.add_bridge("br0")
    netns.remove_idle_bridge("br0")
    assert [link["IFLA_IFNAME"] for link in kernel.get_links()] == ["br0", "galaxy0"]


@pytest.mark.parametrize("kind", ["bridge", "subnet"])
def test_what_servers_share_is_undone_while_nobody_connects_anything(monkeypatch, kind):
    done = []

    @contextmanager
    def host_locked(name):
        done.append(f"locked {name}")
        yield
        done.append("free")

    monkeypatch.setattr(netns, "host_locked", host_locked)
    monkeypatch.setattr(netns, f"remove_idle_{kind}", done.append)
    undo._HANDLERS[kind]("galaxy0 10.213.0.1/24")
    assert done == ["locked network", "galaxy0 10.213.0.1/24", "free"]

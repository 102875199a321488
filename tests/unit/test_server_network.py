"""Which addresses and subnets a server can take; the host's own network is given, not asked for."""

from ipaddress import IPv4Network

import pytest

from galaxy.host.errors import InputError
from galaxy.host.netns import Reach, may_need
from galaxy.server import names
from galaxy.server.network import require_on_host, require_unused

SUBNET = IPv4Network("10.214.3.0/24")


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("127.0.0.9", "loopback"),
        ("169.254.7.7", "link-local"),
        ("0.1.2.3", "reserved"),
        ("8.8.8.8", "public"),
        ("240.0.0.2", "reserved"),
        ("239.1.1.1", "no single host"),
        ("0.0.0.0", "no single host"),
        ("255.255.255.255", "no single host"),
    ],
)
def test_no_private_server_has_an_address_with_a_meaning_of_its_own(address, kind):
    with pytest.raises(InputError, match=kind) as caught:
        names.private_ipv4(address)
    assert caught.value.hint


@pytest.mark.parametrize("address", ["10.214.3.2", "172.20.0.9", "192.168.7.7", "192.0.2.10", "100.64.3.2"])
def test_an_ordinary_address_is_taken(address):
    assert names.private_ipv4(address) == address


@pytest.mark.parametrize(
    ("link", "network"),
    [
        ("eth0", "10.214.3.0/24"),
        ("eth0", "10.214.3.77/32"),
        ("tun0", "10.0.0.0/8"),
        ("", "10.214.0.0/16"),
        ("galaxy0", "10.214.0.0/16"),  # another prefix on the bridge would take this subnet's traffic
    ],
)
def test_a_subnet_that_the_host_reaches_is_refused(link, network):
    known = (
        Reach(link="lo", network=IPv4Network("127.0.0.0/8")),
        Reach(link=link, network=IPv4Network(network)),
    )
    with pytest.raises(InputError, match=network):
        require_unused(SUBNET, "galaxy0", known)


def test_a_subnet_beside_the_hosts_or_on_the_bridge_already_is_taken():
    known = [("eth0", "10.214.2.0/24"), ("galaxy0", "10.214.3.0/24"), ("galaxy0", "10.214.3.1/32")]
    require_unused(
        SUBNET, "galaxy0", tuple(Reach(link=link, network=IPv4Network(network)) for link, network in known)
    )


@pytest.mark.parametrize(
    ("note", "expected"),
    [("10.214.3.9", True), ("10.214.4.9", False), (None, True), ("", True), ("somebody's uplink", True)],
)
def test_only_links_known_to_be_of_other_subnets_let_an_address_go(note, expected):
    assert may_need(SUBNET, note) is expected


def test_no_server_on_loopback():
    with pytest.raises(InputError, match="loopback"):
        require_on_host("127.0.0.9")

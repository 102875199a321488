"""Two servers at once: on two addresses of one host, and in private networks; and clones for tests."""

import os
import shutil
from dataclasses import replace

import pytest

from galaxy.host import netns
from galaxy.host.journal import journal
from galaxy.host.process import run
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.mount import unmount_idle
from galaxy.server.config import HostNetwork, NamespaceNetwork, PrivateNetwork, load, servers
from galaxy.server.create import CreateRequest, create
from galaxy.server.hold import hold
from galaxy.server.lifecycle import held, remove
from galaxy.server.listening import addresses


@pytest.mark.parametrize(
    "networks",
    [
        ((HostNetwork(), "10.77.0.2"), (HostNetwork(), "10.77.0.3")),
        ((PrivateNetwork(), None), (PrivateNetwork(), None)),
        ((HostNetwork(), "10.77.0.2"), (PrivateNetwork(), "10.213.0.9")),
    ],
    ids=["host+host", "private+private", "host+private"],
)
def test_two_servers_at_once(machine, networks):
    before = machine.remains()
    for number, (network, address) in enumerate(networks, 1):
        machine.clone(f"dc{number}", network, address)
    for name in ("dc1", "dc2"):
        answer = machine.galaxy("start", name)
        assert answer.code == 0, answer.err
    for name in ("dc1", "dc2"):
        status = machine.status(name)
        assert set(status["services"].values()) == {"answers"}, status
        # What a client is told is the server's own, not its neighbour's.
        answer = machine.galaxy("exec", name, "--", "ldbsearch", "-H", f"ldap://{status['address']}", "-s", "base",
                                "-b", "", "dnsHostName")  # fmt: skip
        assert f"dnsHostName: {status['host']}" in answer.out
    assert machine.galaxy("stop", "dc1").code == 0
    assert set(machine.status("dc2")["services"].values()) == {"answers"}
    for name in ("dc1", "dc2"):
        assert machine.galaxy("rm", name, "--force").code == 0
    assert machine.remains() == before


@pytest.fixture
def beside(machine):
    """The same host, with another store; both are empty afterwards."""
    root = machine.store.root / "beside"
    root.mkdir()
    (root / "images").symlink_to(machine.image.path.parent)
    (root / "settings.toml").touch()
    own = Store(root=root).ensure()
    other = replace(machine, store=own)
    yield other
    for each in (machine, other):
        for server in servers(each.store):
            each.galaxy("rm", server.name, "--force")
    unmount_idle(own)
    shutil.rmtree(root)


def test_private_servers_of_two_stores_have_an_address_each(machine, beside):
    machine.clone("dc1", PrivateNetwork())
    beside.clone("dc2", PrivateNetwork())
    taken = machine.status("dc1")["address"]
    assert beside.status("dc2")["address"] == taken, "nothing was running yet"
    assert machine.galaxy("start", "dc1").code == 0
    answer = beside.galaxy("start", "dc2")
    assert answer.code == 2, answer.err
    assert f"{taken} is the address of a server that runs on this host, of another store" in answer.err
    beside.clone("dc3", PrivateNetwork())
    assert beside.status("dc3")["address"] != taken
    assert set(machine.status("dc1")["services"].values()) == {"answers"}
    assert machine.galaxy("stop", "dc1").code == 0
    answer = beside.galaxy("start", "dc2")
    assert answer.code == 0, answer.err


@pytest.mark.parametrize(
    ("network", "address", "says"),
    [
        ("private", "127.0.0.9", "loopback"),
        ("private", "169.254.3.3", "link-local"),
        ("private", "10.77.0.9", "10.77.0.0/24 over lan0"),
        ("host", "127.0.0.1", "loopback"),
    ],
)
def test_an_address_that_would_break_the_hosts_network_is_refused(machine, network, address, says):
    before = machine.remains()
    answer = machine.create("dc1", "--network", network, "--address", address)
    assert answer.code == 2, answer.err
    assert says in answer.err
    assert machine.remains() == before


def test_a_subnet_that_the_host_got_since_creation_is_refused_at_start(machine):
    machine.clone("dc1", PrivateNetwork(), "10.214.0.2")
    before, routes = machine.remains(), _routes(machine)
    run(["ip", "-netns", machine.network.name, "route", "add", "10.214.0.0/16", "via", "10.77.0.1"])
    answer = machine.galaxy("start", "dc1")
    run(["ip", "-netns", machine.network.name, "route", "del", "10.214.0.0/16"])
    assert answer.code == 2, answer.err
    assert "10.214.0.0/16 over lan0" in answer.err
    assert (machine.remains(), _routes(machine)) == (before, routes)
    assert machine.galaxy("rm", "dc1").code == 0


def test_a_subnets_route_goes_with_its_last_server(machine):
    before = machine.remains()
    for name, address in (("dc1", "10.214.0.2"), ("dc2", "10.214.0.3"), ("dc3", "10.215.0.2")):
        machine.clone(name, PrivateNetwork(), address)
        answer = machine.galaxy("start", name)
        assert answer.code == 0, answer.err
    gone = []
    for name in ("dc1", "dc2", "dc3"):
        assert machine.galaxy("stop", name).code == 0
        gone.append([net for net in ("10.214.0.0/24", "10.215.0.0/24") if net not in str(_routes(machine))])
    assert gone == [[], ["10.214.0.0/24"], ["10.214.0.0/24", "10.215.0.0/24"]]
    for name in ("dc1", "dc2", "dc3"):
        assert machine.galaxy("rm", name).code == 0
    assert machine.remains() == before


def _routes(machine):
    return run(["ip", "-netns", machine.network.name, "route"]).stdout.splitlines()


def test_a_clone_has_everything_that_its_template_has(machine):
    servers = []
    for name in ("one", "two"):
        request = CreateRequest(
            name=name,
            image=machine.image.id,
            realm="CLONE.EXAMPLE.ORG",
            domain="CLONE",
            hostname="dc1",
            address="10.77.0.2",
            network=NamespaceNetwork(path=machine.network),
        )
        servers.append(create(machine.store, Settings(), request, template_ok=True))
    first, second = (_inventory(server.state) for server in servers)
    assert first == second
    assert any("security.NTACL" in attributes for *_, attributes in first.values())
    assert any("system.posix_acl_access" in attributes for *_, attributes in first.values())
    for server in servers:
        remove(server, Settings())


def _inventory(root):
    """Mode, owners, size and extended attributes of everything below a folder."""
    found = {}
    for path in sorted(root.rglob("*")):
        stat = path.lstat()
        names = os.listxattr(path, follow_symlinks=False)
        attributes = {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
        size = 0 if path.is_dir() else stat.st_size
        found[str(path.relative_to(root))] = (stat.st_mode, stat.st_uid, stat.st_gid, size, attributes)
    return found


def test_all_addresses_are_held_that_smb_conf_has_the_server_listen_on(machine):
    first, second = machine.addresses
    third = "2001:db8:77::2"
    machine.clone("dc1", HostNetwork(), first)
    conf = machine.folder("dc1") / "etc/smb.conf"
    conf.write_text(
        conf.read_text().replace(f"interfaces = {first}", f"interfaces = {first} {second} {third}")
    )
    run(["ip", "-netns", machine.network.name, "address", "add", f"{third}/64", "dev", "lan0", "nodad"])
    try:
        assert machine.galaxy("start", "dc1").code == 0
        server = load(machine.store, "dc1")
        with (
            netns.inside_network(machine.network),
            held(server),
            journal(machine.store, "test", "dc1") as entry,
        ):
            assert set(addresses(server)) == {first, second, third}
            with hold(entry, server):
                table = run(["nft", "list", "table", "inet", server.container]).stdout
            for address in (first, second, third):
                assert address in table
    finally:
        machine.galaxy("rm", "dc1", "--force")
        run(["ip", "-netns", machine.network.name, "address", "del", f"{third}/64", "dev", "lan0"])

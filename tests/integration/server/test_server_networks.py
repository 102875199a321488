"""Two servers at once: on two addresses of one host, and in private networks; and clones for tests."""

import os

import pytest

from galaxy.host.settings import Settings
from galaxy.server.config import HostNetwork, NamespaceNetwork, PrivateNetwork
from galaxy.server.create import CreateRequest, create
from galaxy.server.lifecycle import remove


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

"""What is held back, for which network, and that it is lifted again whatever happens."""

import os

import pytest

from galaxy.host.errors import HostError
from galaxy.host.journal import journal
from galaxy.host.recovery import recover
from galaxy.host.store import Store
from galaxy.server import hold as module
from galaxy.server import running
from galaxy.server.config import HostNetwork, NamespaceNetwork, PrivateNetwork, Server
from galaxy.server.hold import hold, rules


@pytest.fixture
def make(tmp_path, config_with):
    def server(network, smb_conf="[global]\n"):
        one = Server(store=Store(root=tmp_path / "galaxy").ensure(), config=config_with(network=network))
        one.etc.mkdir(parents=True)
        (one.etc / "smb.conf").write_text(smb_conf)
        return one

    return server


@pytest.fixture
def nft(fake_bin):
    """What nft was told so far."""
    told = fake_bin.folder / "told"
    fake_bin("nft", f'cat >>"{told}"')
    return told.read_text


def drops(server, *at):
    return [line.strip() for line in rules(server, at).splitlines() if line.endswith("drop")]


def test_on_the_hosts_network_only_sambas_ports_of_that_address_wait(make):
    tcp, rpc, udp = drops(make(HostNetwork()), "192.0.2.10")
    here = "ip daddr { 192.0.2.10 } "
    assert f"{here}tcp dport {{ 53, 88, 135, 139, 389, 445, 464, 636, 3268, 3269 }} tcp flags" in tcp
    assert rpc.startswith(f"{here}tcp dport 49152-65535 ")
    assert udp == f"{here}udp dport {{ 53, 88, 137, 138, 389, 464 }} drop"


def test_on_the_hosts_network_all_addresses_wait_that_the_server_listens_on(make):
    lines = drops(make(HostNetwork()), "192.0.2.10", "192.0.2.11", "2001:db8::10")
    begins = [line.partition(" } ")[0] for line in lines]
    assert begins == ["ip daddr { 192.0.2.10, 192.0.2.11"] * 3 + ["ip6 daddr { 2001:db8::10"] * 3


@pytest.mark.parametrize("wildcard", ["0.0.0.0", "::"])
def test_a_server_that_listens_everywhere_is_held_everywhere(make, wildcard):
    lines = drops(make(HostNetwork()), "192.0.2.10", wildcard)
    assert [line.split()[0] for line in lines] == ["tcp", "tcp", "udp"]


@pytest.mark.parametrize("network", [PrivateNetwork(), NamespaceNetwork(path="/run/netns/x")])
def test_in_a_network_of_its_own_every_port_does(make, network):
    tcp, udp = drops(make(network))
    assert tcp == "tcp flags & (syn | ack) == syn drop"
    assert udp.startswith("udp dport { 53, ")


@pytest.mark.parametrize(
    ("option", "ports"),
    [
        ("rpc server dynamic port range = 20000-20100", ["20000-20100"]),
        ("RPC Server Dynamic Port Range=20000 - 20100", ["20000-20100"]),
        ("rpc server port = 1234", ["1234", "49152-65535"]),
        ("rpc server port:netlogon = 1234\nrpc server dynamic port range = 20000-20100", ["1234", "20000-20100"]),
        ("# rpc server port = 1234", ["49152-65535"]),
    ],
)  # fmt: skip
def test_the_administrators_rpc_ports_wait_too(make, option, ports):
    lines = drops(make(HostNetwork(), f"[global]\n\t{option}\n"), "192.0.2.10")
    assert [line.split("dport ")[1].split(" tcp")[0] for line in lines[1:-1]] == ports


def test_it_is_lifted_at_the_end_and_after_an_error(make, nft):
    server = make(HostNetwork())
    running.note(server, os.getpid())
    with (
        pytest.raises(RuntimeError),
        journal(server.store, "upgrade", "dc1") as entry,
        hold(entry, server),
    ):
        assert "arriving" in nft()
        raise RuntimeError
    assert nft().endswith(f"delete table inet {server.container}")
    assert not list(server.store.journal.iterdir())


def test_a_killed_galaxys_hold_is_lifted_by_the_next_command(make, nft):
    server = make(HostNetwork())
    running.note(server, os.getpid())
    with journal(server.store, "upgrade", "dc1") as entry:
        block = hold(entry, server)
        block.__enter__()
        text = entry.path.read_text().replace(f'"owner": "{os.getpid()}:', '"owner": "1:')
        (server.store.journal / "left.json").write_text(text)
        before = nft()
        assert recover(server.store) == ["settled an interrupted upgrade of dc1"]
        assert nft() == f"{before}{module._without(server.container)}"


@pytest.mark.parametrize("runs", [True, False])
def test_the_network_of_a_stopped_server_stays_with_what_was_started_in_it(make, nft, monkeypatch, runs):
    server = make(PrivateNetwork())
    server.write()
    done = []
    monkeypatch.setattr(module, "bring_up", lambda *_: done.append("up"))
    monkeypatch.setattr(module, "take_down", lambda _: done.append("down"))
    monkeypatch.setattr(module, "_nft", lambda *_: None)
    with (
        pytest.raises(RuntimeError),
        journal(server.store, "rollback", "dc1") as entry,
        hold(entry, server),
    ):
        if runs:
            running.note(server, os.getpid())
        raise RuntimeError
    assert done == (["up"] if runs else ["up", "down"])


def test_a_hold_whose_namespace_is_gone_is_lifted(nft, tmp_path):
    module._lift(f"{tmp_path / 'gone'}:table")


def test_a_kernel_without_nftables_is_told(make, fake_bin):
    fake_bin("nft", "echo 'netlink: Operation not supported' >&2; exit 1")
    server = make(HostNetwork())
    running.note(server, os.getpid())
    with (
        pytest.raises(HostError, match="not supported"),
        journal(server.store, "upgrade", "dc1") as entry,
        hold(entry, server),
    ):
        pass
    assert not list(server.store.journal.iterdir()), "what cannot hold cannot lift a hold either"

"""What a server is made from: names, configuration, the texts and the sandbox that follow from it."""

from base64 import b64decode
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyasn1.codec.der.decoder import decode

from galaxy.host.errors import HostError, InputError
from galaxy.host.files import read_password
from galaxy.host.store import Store
from galaxy.server import names
from galaxy.server.broken import configs, former_self, load_to_remove
from galaxy.server.config import (
    HostNetwork,
    NamespaceNetwork,
    PrivateNetwork,
    Server,
    load,
    servers,
    unreadable,
)
from galaxy.server.confinement import CAPABILITIES, NUMBERS, granted, seccomp
from galaxy.server.create import require_new
from galaxy.server.inside import host_files, smb_conf
from galaxy.server.provision import random_password
from galaxy.server.resolver import forwarders
from galaxy.server.sandbox import Isolated, Joins, Sandbox, SharesHost, oci_config
from galaxy.server.smbconf import smb_conf_text
from galaxy.server.swap import require_movable
from galaxy.server.template import template_id
from galaxy.server.tls import DH_PARAMETERS


@pytest.fixture
def server(tmp_path, config_with):
    found = Server(store=Store(root=tmp_path).ensure(), config=config_with())
    found.folder.mkdir()
    return found


@pytest.mark.parametrize(
    "network", [HostNetwork(), PrivateNetwork(prefix=20), NamespaceNetwork(path="/run/netns/x")]
)
def test_a_configuration_survives_its_file(tmp_path, network, config_with):
    store = Store(root=tmp_path).ensure()
    written = Server(
        store=store, config=config_with(network=network, dns_forwarders=("192.0.2.1", "192.0.2.2"))
    )
    written.folder.mkdir()
    written.write()
    assert load(store, "dc1") == written
    assert servers(store) == (written,)


def test_a_copied_folder_is_not_taken_for_the_original(server):
    server.write()
    copy = server.folder.with_name("dc1-old")
    copy.mkdir()
    (copy / "server.toml").write_text((server.folder / "server.toml").read_text())
    with pytest.raises(InputError, match="is the server dc1's, not dc1-old's"):
        load(server.store, "dc1-old")
    assert [one.name for one in servers(server.store)] == ["dc1"]
    assert load_to_remove(server.store, "dc1-old", force=True).folder == copy
    assert former_self(server.store, "dc1-old") is None, "the original is there, and its network is its own"


def test_a_folder_without_a_configuration_is_told_of_and_can_be_removed(server):
    with pytest.raises(InputError, match=r"without server.toml") as told:
        load_to_remove(server.store, "dc1", force=False)
    assert "galaxy rm dc1 --force" in told.value.hint
    assert load_to_remove(server.store, "dc1", force=True).folder == server.folder


def test_the_address_of_a_server_with_a_broken_configuration_stays_its(server):
    server.write()
    server.etc_host.mkdir()
    (server.etc_host / "hosts").write_text(host_files(server.config)["hosts"])
    assert [config.address for config in configs(server.store)] == [server.config.address]
    (server.folder / "server.toml").write_text("x = ")
    assert [config.address for config in configs(server.store)] == [server.config.address]


@pytest.mark.parametrize("name", ["other", ".", "..", "", "../servers/dc1", "dc1/"])
def test_nothing_else_is_removed_for_a_server(server, name):
    with pytest.raises(InputError, match="there is no server"):
        load_to_remove(server.store, name, force=True)


def test_what_a_renamed_server_runs_has_its_old_name(server):
    server.write()
    assert former_self(server.store, "dc1") is None
    server.folder.rename(server.folder.with_name("renamed"))
    found = former_self(server.store, "renamed")
    assert found is not None
    assert found.container == server.container


def test_an_address_that_is_none_is_named(server):
    server.write()
    file = server.folder / "server.toml"
    file.write_text(file.read_text().replace('address = "', 'address = "300.'))
    with pytest.raises(InputError, match=r"server\.toml: address: .*300"):
        load(server.store, "dc1")


@pytest.mark.parametrize("part", ["state", "etc"])
def test_a_state_that_lies_elsewhere_is_not_exchanged(server, tmp_path, part):
    require_movable(server)
    (server.folder / part).symlink_to(tmp_path)
    with pytest.raises(HostError, match=f"{part} is a link"):
        require_movable(server)


def test_smb_conf_is_read_whatever_its_bytes(server):
    assert smb_conf_text(server) == ""
    server.etc.mkdir(exist_ok=True)
    (server.etc / "smb.conf").write_bytes(b"# caf\xe9\n[global]\n")
    assert "[global]" in smb_conf_text(server)


def test_unknown_keys_are_refused_by_name(server):
    server.write()
    file = server.folder / "server.toml"
    file.write_text("colour = 'red'\n" + file.read_text())
    with pytest.raises(InputError, match=r"server\.toml: colour"):
        load(server.store, "dc1")


@pytest.mark.parametrize("name", ["dc9", "../dc1", "", "d" * 300, "\u00fc" * 200])
def test_no_such_server(server, name):
    server.write()
    with pytest.raises(InputError, match="there is no server"):
        load(server.store, name)


def test_a_half_made_folder_is_no_server(server):
    assert servers(server.store) == ()


@pytest.mark.parametrize("name", ["", "DC1", "-a", "a-", "a.b", "a/b", "a b", "x" * 33, "dc\n"])
def test_bad_server_names(name):
    with pytest.raises(InputError, match="cannot name a server"):
        names.server_name(name)


@pytest.mark.parametrize("name", ["", "x" * 16, "123", "a_b", "localhost", "a\n"])
def test_bad_host_names(name):
    with pytest.raises(InputError, match="host name"):
        names.host_name(name)


@pytest.mark.parametrize(
    "realm", ["", "LOCAL", "A..B", "-A.B", "A.B-", "A_B.C", "192.0.2.1", f"{'x' * 64}.ORG", "é.org"]
)
def test_bad_realms(realm):
    with pytest.raises(InputError, match="cannot be a realm"):
        names.realm_name(realm)


def test_a_realm_is_upper_case_and_not_too_long():
    assert names.realm_name("ad.Example.org") == "AD.EXAMPLE.ORG"
    with pytest.raises(InputError, match="155"):
        names.realm_name(".".join(["x" * 39] * 4))


@pytest.mark.parametrize(
    ("domain", "realm", "expected"),
    [(None, "AD.EXAMPLE.ORG", "AD"), ("corp", "A.B", "CORP"), (None, "X" * 20 + ".B", "X" * 15)],
)
def test_netbios_names(domain, realm, expected):
    assert names.domain_name(domain, realm, "dc1") == expected


@pytest.mark.parametrize("domain", ["", "x" * 16, "a.b", "builtin", "dc1", "12", "a\n"])
def test_bad_netbios_names(domain):
    with pytest.raises(InputError, match="NetBIOS"):
        names.domain_name(domain, "AD.EXAMPLE.ORG", "dc1")


@pytest.mark.parametrize(
    "address", ["", "1.2.3", "::1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "1.2.3.4/24"]
)
def test_bad_addresses(address):
    with pytest.raises(InputError):
        names.ipv4(address)


def test_smb_conf_binds_to_the_address_alone_on_a_shared_network(config_with):
    text = smb_conf(config_with(dns_forwarders=("192.0.2.1",)))
    assert "\tinterfaces = 192.0.2.10\n\tbind interfaces only = yes\n" in text
    assert "\tdns forwarder = 192.0.2.1\n" in text
    assert "samba_dnsupdate --use-samba-tool" in text
    assert "\tinterfaces = lo 192.0.2.10\n" in smb_conf(config_with(network=PrivateNetwork()))


def test_the_server_asks_itself(config_with):
    files = host_files(config_with())
    assert files["resolv.conf"] == "search ad.example.org\nnameserver 192.0.2.10\n"
    assert "192.0.2.10 dc1.ad.example.org dc1" in files["hosts"]


def test_dh_parameters_are_the_well_known_group_of_rfc_7919(config_with):
    prime, generator = decode(b64decode("".join(DH_PARAMETERS.splitlines()[1:-1])))[0]
    shown = f"{int(prime):X}"
    assert (int(generator), len(shown)) == (2, 512)
    assert shown.startswith("FFFFFFFFFFFFFFFFADF85458A2BB4A9AAFDC5620273D3CF1")
    assert shown.endswith("886B423861285C97FFFFFFFFFFFFFFFF")
    assert host_files(config_with())["dhparams.pem"] == DH_PARAMETERS


def test_forwarders_are_the_hosts_without_stubs(tmp_path):
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\noptions edns0\n")
    real.write_text("nameserver fe80::1\nnameserver 192.0.2.10\nnameserver 192.0.2.53\nnameserver\n")
    assert forwarders("192.0.2.10", (tmp_path / "absent", stub, real)) == ("192.0.2.53",)


def test_random_passwords_differ_and_are_complex():
    words = {random_password() for _ in range(50)}
    assert len(words) == 50
    for word in words:
        assert len(word) == 24
        assert any(c.islower() for c in word)
        assert any(c.isupper() for c in word)
        assert any(c.isdigit() for c in word)


@pytest.mark.parametrize(
    ("text", "says"), [("", "no password"), ("\nx", "no password"), ("a\nb", "more than one")]
)
def test_password_files_that_cannot_be(tmp_path, text, says):
    file = tmp_path / "password"
    file.write_text(text)
    with pytest.raises(InputError, match=says):
        read_password(file)


def test_a_password_file_is_its_line(tmp_path):
    file = tmp_path / "password"
    file.write_text(" with spaces \n")
    assert read_password(file) == " with spaces "
    with pytest.raises(InputError, match="cannot read"):
        read_password(tmp_path / "absent")


def test_a_template_depends_on_all_that_shows_in_the_state(server, config_with):
    def of(password="x", **changes):
        return template_id(Server(store=server.store, config=config_with(**changes)), password)

    variants = [of(), of(None), of("y"), of(realm="B.C"), of(domain="B"), of(hostname="dc2"), of(address="192.0.2.11"),
                of(image_id="cd" * 32), of(network=PrivateNetwork())]  # fmt: skip
    assert len(set(variants)) == len(variants)
    assert of(name="other", created=datetime.now(UTC)) == of()


def box(network):
    return Sandbox(
        rootfs=Path("/images/x"),
        folder=Path("/servers/dc1"),
        hostname="dc1",
        args=("init", "samba"),
        network=network,
        capabilities=("CAP_CHOWN",),
        cgroup="/galaxy/dc1",
        files=1000,
        machine="x86_64",
    )


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (SharesHost(), None),
        (Isolated(), {"type": "network"}),
        (Joins(path=Path("/run/netns/x")), {"type": "network", "path": "/run/netns/x"}),
    ],
)
def test_a_sandbox_has_every_namespace_and_the_network_that_is_wanted(network, expected):
    found = {item["type"]: item for item in oci_config(box(network))["linux"]["namespaces"]}
    assert found.pop("network", None) == expected
    assert set(found) == {"mount", "pid", "uts", "ipc"}


def test_a_sandbox_is_read_only_but_for_the_servers_own_folders():
    body = oci_config(box(Isolated()))
    assert body["root"] == {"path": "/images/x", "readonly": True}
    binds = {mount["destination"]: mount for mount in body["mounts"] if "bind" in mount["options"]}
    assert {place for place, mount in binds.items() if "rw" in mount["options"]} == {
        "/etc/samba", "/var/lib/samba", "/var/cache/samba", "/var/log/samba",
    }  # fmt: skip
    assert all(mount["source"].startswith("/servers/dc1/") for mount in binds.values())
    process = body["process"]
    assert process["noNewPrivileges"] is True
    assert set(process["capabilities"]) == {"bounding", "effective", "permitted"}
    assert all(held == ["CAP_CHOWN"] for held in process["capabilities"].values())
    assert process["rlimits"][0] == {"type": "RLIMIT_NOFILE", "soft": 1000, "hard": 1000}


def test_the_filter_refuses_mounts_modules_and_new_namespaces():
    rules = seccomp("x86_64")["syscalls"]
    plain = {name for rule in rules if "args" not in rule for name in rule["names"]}
    assert {"mount", "bpf", "init_module", "ptrace", "unshare", "setns", "keyctl", "clone3"} <= plain
    asked = {rule["args"][0]["valueTwo"] for rule in rules if rule["names"] == ["ioctl"]}
    assert {0xC0045877, 0x5412} <= asked, "FIFREEZE, TIOCSTI"
    assert not {0x40049409, 0x4020940D} & asked, "FICLONE, FICLONERANGE"
    flags = {rule["args"][0]["value"] for rule in rules if rule["names"] == ["clone"]}
    assert flags == {0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000}
    assert all(rule["action"] == "SCMP_ACT_ERRNO" for rule in rules)


def test_only_capabilities_that_the_host_can_give_are_asked_for(tmp_path):
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapBnd:\t{1 << 21 | 1 << 0 | 1 << 12:016x}\n")
    assert set(granted(status)) == {"CAP_SYS_ADMIN", "CAP_CHOWN"}
    assert set(CAPABILITIES) == set(NUMBERS)


def test_a_broken_server_hides_no_other(server):
    server.write()
    broken = server.store.servers / "broken"
    broken.mkdir()
    (broken / "server.toml").write_text("name = [")
    assert servers(server.store) == (server,)
    assert list(unreadable(server.store)) == ["broken"]


def test_a_server_that_was_started_is_not_hidden_by_the_loss_of_its_file(server):
    server.record.write_text("{}")
    assert list(unreadable(server.store)) == ["dc1"]
    with pytest.raises(InputError, match=r"server\.toml is missing") as lost:
        load(server.store, "dc1")
    assert "snapshots/ID/server.toml" in lost.value.hint


def test_a_folder_that_may_hold_state_is_never_taken_for_a_new_server(server):
    (server.folder / "state").mkdir(parents=True)
    with pytest.raises(InputError, match="may hold a server's state"):
        require_new(server.store, server.name)
    assert (server.folder / "state").is_dir()

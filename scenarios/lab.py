"""The lab: a private network for one worker, in which the worker itself is the client.

The worker's main thread enters the client's network namespace and a mount namespace of its own, where
resolv.conf and hosts are the lab's. So any Python client or command-line tool works unchanged, and reaches
servers over the bridge, never through localhost; and every worker can use the same addresses.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.journal import Entry
from galaxy.host.mountns import own_mounts
from galaxy.host.netns import (
    add_address,
    add_bridge,
    add_default_route,
    add_namespace,
    add_veth,
    announce,
    enter_network,
    remove_link,
)
from galaxy.host.process import run

REALM = "LAB.GALAXY.TEST"
DOMAIN = "LAB"
CLIENT = "10.99.0.1"
PREFIX = 24
BRIDGE = "lab0"
# Servers by host name; scenarios with one server use the first.
SERVERS = {"dc1": "10.99.0.11", "dc2": "10.99.0.12", "dc3": "10.99.0.13"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lab:
    """A lab that this process is in; `name` begins the names of what it makes."""

    entry: Entry
    name: str

    @contextmanager
    def connected(self, hostname: str) -> Iterator[Path]:
        """A network namespace on the bridge with that server's address, for the block."""
        name = f"{self.name}-{hostname}"
        with self.entry.temporarily("netns", name):
            path = add_namespace(name)
            add_veth(hostname, peer="eth0", into=name, bridge=BRIDGE)
            add_address("eth0", SERVERS[hostname], PREFIX, namespace=name)
            add_default_route(CLIENT, namespace=name)
            announce("eth0", SERVERS[hostname], name)  # another cell's server may have had it
            try:
                yield path
            finally:
                remove_link(
                    hostname
                )  # with its namespace it would go in the kernel's own time, after the next cell began


@contextmanager
def entered_lab(entry: Entry, folder: Path) -> Iterator[Lab]:
    """Make a lab and move this thread into it; there is no way out but to end the process.

    `folder` keeps the files that stand in for those of /etc.
    """
    name = f"galaxy-lab-{os.getpid()}"
    with ExitStack() as stack:
        own_mounts()
        _own_etc(folder)
        stack.enter_context(entry.temporarily("netns", name))
        enter_network(add_namespace(name))
        add_bridge(BRIDGE)
        add_address(BRIDGE, CLIENT, PREFIX)
        yield Lab(entry=entry, name=name)


def _own_etc(folder: Path) -> None:
    """Put the lab's files over those of /etc, for this process and what it starts.

    A fresh host may have no krb5.conf, or a resolv.conf that is a link to nowhere: nothing to mount over.
    """
    places = {name: Path("/etc") / name for name in etc_files()}
    missing = [place for place in places.values() if not place.exists()]
    if missing:
        _writable_etc(folder / "layers")
    for place in missing:
        place.unlink(missing_ok=True)
        place.touch()
    for name, text in etc_files().items():
        own = folder / name
        own.write_text(text, encoding="utf-8")
        run(["mount", "--bind", own, places[name].resolve()])
    os.environ["KRB5_CONFIG"] = str(folder / "krb5.conf")


def _writable_etc(layers: Path) -> None:
    """Let what is done to /etc be seen by this mount namespace alone; it is kept in memory and ends with it."""
    layers.mkdir()
    run(["mount", "-t", "tmpfs", "tmpfs", layers])
    for name in ("upper", "work"):
        (layers / name).mkdir()
    parts = f"lowerdir=/etc,upperdir={layers}/upper,workdir={layers}/work"
    run(["mount", "-t", "overlay", "overlay", "-o", parts, "/etc"])
    run(["umount", layers])  # the overlay holds on to it
    layers.rmdir()


def etc_files() -> dict[str, str]:
    """resolv.conf, hosts and krb5.conf as a member of the lab's domain has them."""
    domain = REALM.lower()
    address = SERVERS["dc1"]
    names = "".join(f"{ip} {name}.{domain} {name}\n" for name, ip in SERVERS.items())
    return {
        # A server that is down shall cost a second, not the resolver's usual ten.
        "resolv.conf": f"search {domain}\nnameserver {address}\noptions timeout:1 attempts:1\n",
        "hosts": f"127.0.0.1 localhost\n::1 localhost\n{CLIENT} client.{domain} client\n{names}",
        "krb5.conf": (
            f"[libdefaults]\n\tdefault_realm = {REALM}\n"
            "\tdns_lookup_realm = false\n\tdns_lookup_kdc = false\n"
            f"[realms]\n\t{REALM} = {{\n\t\tkdc = {address}\n\t\tadmin_server = {address}\n\t}}\n"
            f"[domain_realm]\n\t.{domain} = {REALM}\n\t{domain} = {REALM}\n"
        ),
    }

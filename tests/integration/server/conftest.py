"""Servers on a host of the test's own: a network namespace with two addresses, and a store beside the host's.

Only the image is the host's: nothing here changes it.
"""

import json
import os
import shutil
import signal
import subprocess  # noqa: TID251 - a test sends signals to the process that it starts
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from galaxy.host import netns
from galaxy.host.mounts import mount_points
from galaxy.host.process import run
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.image.mount import unmount_idle
from galaxy.server.config import Network, load, servers
from galaxy.server.create import CreateRequest, create
from galaxy.server.lifecycle import remove


@pytest.fixture(scope="module")
def server_store(store: Store, image: Image) -> Iterator[Store]:
    """A store of its own beside the host's (the same kind of file system), with the same images."""
    folder = store.root / f"tests-{os.getpid()}"
    folder.mkdir()
    (folder / "images").symlink_to(image.path.parent)
    own = Store(root=folder).ensure()
    yield own
    for server in servers(own):
        remove(server, Settings(), force=True)
    unmount_idle(own)
    assert not [point for point in mount_points() if Path(point).is_relative_to(folder)]
    shutil.rmtree(folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a galaxy command left."""

    code: int
    out: str
    err: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A host to play with: a network namespace with two addresses, and a store."""

    store: Store
    network: Path
    addresses: tuple[str, str]
    image: Image

    def argv(self, *words: str | Path) -> list[str]:
        """The command line that runs galaxy on this host."""
        galaxy = [sys.executable, "-m", "galaxy.entry", *map(str, words)]
        return ["nsenter", f"--net={self.network}", "--", *galaxy]

    def galaxy(self, *words: str | Path, timeout: float = 180) -> Answer:
        """Run galaxy to its end."""
        done = run(self.argv(*words), env=self.env(), timeout=timeout, check=False)
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    def begin(self, *words: str | Path) -> "subprocess.Popen[str]":
        """Start galaxy and leave it running."""
        return subprocess.Popen(
            self.argv(*words), env={**os.environ, **self.env()}, text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def hold(self, script: str) -> "subprocess.Popen[str]":
        """Run a Python script on this host."""
        return subprocess.Popen(
            ["nsenter", f"--net={self.network}", "--", "/usr/bin/python3", "-c", script],
            text=True,
            stdout=subprocess.PIPE,
        )

    def create(self, name: str, *words: str | Path, realm: str = "AD.EXAMPLE.ORG") -> Answer:
        """Create a server from the image."""
        return self.galaxy(
            "create", name, "--image", self.image.id, "--realm", realm, "--allow-uncertified", *words
        )

    def clone(self, name: str, network: Network, address: str | None = None) -> None:
        """Create a server from a template: for tests that are not about creation."""
        request = CreateRequest(
            name=name,
            image=self.image.id,
            realm=f"{name}.EXAMPLE.ORG",
            domain="QUICK",
            address=address,
            dns_forwarders=(),
            network=network,
        )
        with netns.inside_network(self.network):
            create(self.store, Settings(), request, template_ok=True)

    def status(self, name: str) -> dict[str, Any]:
        """What `galaxy status --json` says."""
        answer = self.galaxy("status", name, "--json")
        assert answer.code == 0, answer.err
        return json.loads(answer.out)  # type: ignore[no-any-return]

    def kill(self, name: str) -> None:
        """SIGKILL a server's first process, and so all of them."""
        os.kill(int(self.status(name)["pid"]), signal.SIGKILL)

    def folder(self, name: str) -> Path:
        """A server's folder."""
        return load(self.store, name).folder

    def env(self) -> dict[str, str]:
        """What galaxy needs to find the store."""
        return {
            "GALAXY_ROOT": str(self.store.root),
            "GALAXY_SETTINGS": str(self.store.root / "settings.toml"),
        }

    def remains(self) -> dict[str, list[str]]:
        """Everything that a command could leave: mounts, namespaces, links, containers, journals, folders, processes.

        The image's mount stays on purpose, and so do templates and lock files.
        """
        store = self.store
        below = [
            p for p in mount_points() if Path(p).is_relative_to(store.root) and Path(p).parent != store.mounts
        ]
        links = run(["ip", "-netns", self.network.name, "-brief", "link"]).stdout.splitlines()
        return {
            "mounts": below,
            "namespaces": sorted(p.name for p in netns.FOLDER.glob("galaxy-*") if self.digest in p.name),
            "links": sorted(line.split()[0].split("@")[0] for line in links),
            "containers": sorted(p.name for p in Path("/run/galaxy", self.digest).glob("*")),
            "cgroups": sorted(p.name for p in self.groups()),
            "journal": sorted(p.name for p in store.journal.iterdir()),
            "servers": sorted(p.name for p in store.servers.iterdir()),
            "processes": sorted(_processes_of(store)),
        }

    def groups(self) -> list[Path]:
        """The control groups of this store's servers: at the top in version 2, one level down in version 1."""
        top = Path("/sys/fs/cgroup")
        return [path for depth in ("", "*/") for path in top.glob(f"{depth}galaxy-{self.digest}-*")]

    @property
    def digest(self) -> str:
        """What the names of containers and namespaces of this store have in them."""
        from galaxy.server.config import store_digest  # noqa: PLC0415 - only here

        return store_digest(self.store)


@pytest.fixture(scope="module")
def machine(server_store: Store, image: Image) -> Iterator[Machine]:
    """A host with 10.77.0.2 and 10.77.0.3 on one interface, in a network namespace."""
    name = f"test-host-{os.getpid()}"
    (server_store.root / "settings.toml").touch()
    network = netns.add_namespace(name)
    addresses = ("10.77.0.2", "10.77.0.3")
    try:
        run(["ip", "-netns", name, "link", "add", "lan0", "type", "bridge"])
        for address in addresses:
            netns.add_address("lan0", address, 24, name)
        run(["ip", "-netns", name, "link", "set", "lan0", "up"])
        found = Machine(store=server_store, network=network, addresses=addresses, image=image)
        yield found
        for server in servers(server_store):
            found.galaxy("rm", server.name, "--force")
    finally:
        netns.remove_namespace(name)


def _processes_of(store: Store) -> Iterator[str]:
    """Processes that have to do with the store: runtimes, and servers by their cgroup."""
    from galaxy.server.config import store_digest  # noqa: PLC0415

    digest = store_digest(store)
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes() + (folder / "cgroup").read_bytes()
            comm, _, rest = (folder / "stat").read_text().partition("(")[2].rpartition(")")
        except OSError:
            continue
        ended = rest.startswith(" Z")  # the host's init takes its time to reap
        if digest.encode() in words and not ended:
            yield comm

"""How long clients are without each service: an upgrade against a bare restart of the old version, in turns.

Both with the same clients at work, probed the same way from their network. The bare restart is what a service manager
does with the same binaries and state in a chroot: SIGTERM to all, wait for the last, start; its mounts are made before.
"""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.bare import bare_restarts
from benchmarks.figure import Figure, figure
from galaxy.host import netns
from galaxy.host.journal import Entry, journal
from galaxy.host.packages import package_root
from galaxy.host.process import background
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.server import lifecycle
from galaxy.server.config import NamespaceNetwork, Server, load
from galaxy.server.create import CreateRequest, create
from galaxy.server.kept import find_snapshot
from galaxy.server.restore import restore
from galaxy.server.snapshot import discard
from galaxy.upgrade.outage import Seen, probing
from galaxy.upgrade.plan import UpgradeRequest
from galaxy.upgrade.preflight import preflight
from galaxy.upgrade.switch import switch

_NAME = "bench2"
_SERVER, _CLIENT = "galaxy-bench-dc", "galaxy-bench-client"
_ADDRESSES = {_SERVER: "10.98.0.2", _CLIENT: "10.98.0.1"}
_CLIENTS = 5
# Seconds: clients connect and the start's own work ends; the probe sees a service as it is before anything is done.
_SETTLES, _BEFORE = 8.0, 1.0
_GOAL = 0.5
_LONGEST_MS = 1000.0


def measure(store: Store, settings: Settings, old: Image, new: Image, rounds: int = 10) -> tuple[Figure, ...]:
    """Milliseconds without each service, medians; and how many connections were refused or cut, of all rounds."""
    with journal(store, "benchmark", "outage") as entry, _network(entry) as client:
        server = _server(store, settings, old, entry)
        with netns.inside_network(client):
            pairs = [(_upgrade(server, settings, new), _bare(server, settings)) for _ in range(rounds)]
        lifecycle.remove(server, settings, force=True)
    ours, bare = zip(*pairs, strict=True)
    return (*_longest(ours, bare), *_counted(ours))


def _longest(ours: tuple[Seen, ...], bare: tuple[Seen, ...]) -> Iterator[Figure]:
    for name in ours[0].services:
        longest = [seen.services[name].longest_ms for seen in ours]
        yield Figure(name=f"{name}: upgrade", value=statistics.median(longest), unit="ms", goal=_LONGEST_MS)
        yield figure(
            f"{name}: upgrade vs bare restart",
            "ms",
            _GOAL,
            longest,
            [seen.services[name].longest_ms for seen in bare],
        )


def _counted(ours: tuple[Seen, ...]) -> Iterator[Figure]:
    """Connections of all rounds: none may be refused; those that were open when the old version stopped are cut."""
    seen = [one for round_ in ours for one in round_.services.values()]
    yield Figure(
        name="refused during upgrades", value=sum(one.refused for one in seen), unit="connections", goal=0
    )
    yield Figure(name="cut during upgrades", value=sum(one.cut for one in seen), unit="connections")


def _upgrade(server: Server, settings: Settings, new: Image) -> Seen:
    """Switch to the new image, then put the old state back: each round begins alike."""
    lifecycle.start(server, settings)
    request = UpgradeRequest(name=server.name, ref=new.id, rehearsal=False, allow_uncertified=True)
    with lifecycle.held(server), journal(server.store, "benchmark", "switch") as entry:
        plan = preflight(server, request)
        kept: list[str] = []
        seen = _watched(server, lambda: kept.append(switch(entry, server, plan, settings).snapshot))
    moved = load(server.store, server.name)
    lifecycle.stop(moved, settings)
    before = restore(moved, find_snapshot(moved, kept[0]), settings)
    for snapshot in (find_snapshot(moved, kept[0]), before.kept):
        discard(before.server, snapshot)
    return seen


def _bare(server: Server, settings: Settings) -> Seen:
    with bare_restarts(server, settings) as again:
        return _watched(server, again)


def _watched(server: Server, act: Callable[[], object]) -> Seen:
    """Do it to a running server with clients at work, and say what they saw."""
    config = server.config
    password = server.secrets / "admin-password"
    words = [config.address, config.realm, config.domain, str(password), str(_CLIENTS)]
    argv = [sys.executable, "-m", "benchmarks.clients", *words]
    env = {"PYTHONPATH": str(package_root("galaxy").parent)}
    with background(argv, log=server.log / "clients.log", env=env):
        time.sleep(_SETTLES)
        with probing(config) as probe:
            time.sleep(_BEFORE)
            act()
            return probe.result()


@contextmanager
def _network(entry: Entry) -> Iterator[Path]:
    """A network for the server and one for clients, with a cable in between; the clients' is given."""
    with entry.temporarily("netns", _SERVER), entry.temporarily("netns", _CLIENT):
        netns.add_namespace(_SERVER)
        client = netns.add_namespace(_CLIENT)
        netns.add_veth("eth0", peer="eth0", into=_SERVER, namespace=_CLIENT)
        for name, address in _ADDRESSES.items():
            netns.add_address("eth0", address, 24, name)
        yield client


def _server(store: Store, settings: Settings, image: Image, entry: Entry) -> Server:
    """A server that has been started twice: the first start makes keys, the second fills caches."""
    entry.on_failure("server", f"{store.root}:{_NAME}")
    request = CreateRequest(
        name=_NAME,
        image=image.id,
        realm="OUTAGE.BENCH.TEST",
        address=_ADDRESSES[_SERVER],
        network=NamespaceNetwork(path=netns.path_of(_SERVER)),
    )
    server = create(store, settings, request)
    for _ in range(2):
        lifecycle.start(server, settings)
        lifecycle.stop(server, settings)
    return server

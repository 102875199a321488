"""Copies of a live server with a large directory: their time, what its writers notice, and the disk they take."""

import ssl
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ldap3 import MODIFY_REPLACE, Connection, Tls
from ldap3 import Server as LdapServer

from benchmarks.figure import Figure
from galaxy.host.errors import ServerError
from galaxy.host.files import sha256_text
from galaxy.host.journal import Entry, journal
from galaxy.host.netns import add_namespace, inside_network, path_of
from galaxy.host.progress import bar
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.server.config import Backend, NamespaceNetwork, Server
from galaxy.server.copying import copy_state
from galaxy.server.create import CreateRequest, create
from galaxy.server.lifecycle import remove, start
from galaxy.server.snapshot import clone, discard, snapshot
from galaxy.upgrade.consult import run_inside

_NETWORK = "galaxy-bench-copy"
_ADDRESS = "127.0.0.1"
_NAME = "bench2"
_BATCH = 2500
_FILL_SECONDS = 600.0
# Seconds of writing before the first copy: what a write takes when nothing is copied.
_ALONE = 5.0
# Milliseconds, for a domain as it is after its creation.
_PAUSE_GOAL = 100.0


@dataclass(slots=True)
class Writes:
    """How long each of a client's changes took, in milliseconds, and how many came before the first copy."""

    took: list[float] = field(default_factory=list)
    alone: int = 0


def measure(
    store: Store, settings: Settings, image: Image, objects: int, backend: Backend, rounds: int = 5
) -> tuple[Figure, ...]:
    """Medians over `rounds`, with a client that writes all the time; 0 objects: the directory as it is made."""
    with journal(store, "benchmark", "copy") as entry, entry.temporarily("netns", _NETWORK):
        add_namespace(_NETWORK)
        server = _server(store, settings, image, entry, objects, backend)
        start(server, settings)
        with _writing(server) as writes:
            clones = [_clone(entry, server) for _ in range(rounds)]
            kept = [snapshot(server, "measured") for _ in range(rounds)]
        size = kept[0].size
        for one in kept:
            discard(server, one)
        remove(server, settings, force=True)
    what = f"{objects} objects more, {backend}" if objects else f"fresh domain, {backend}"
    goal = None if objects else _PAUSE_GOAL
    held = [one for _, one in clones] + [one.held * 1000 for one in kept]
    return (
        _figure(f"clone, {what}", "s", statistics.median(one for one, _ in clones)),
        _figure(f"snapshot, {what}", "s", statistics.median(one.seconds for one in kept)),
        _figure(f"writers held, {what}", "ms", statistics.median(held), goal),
        _figure(f"writers held at most, {what}", "ms", max(held), goal),
        Figure(
            name=f"longest write, {what}",
            unit="ms",
            value=max(writes.took[writes.alone :]),
            bare=max(writes.took[: writes.alone]),
        ),
        _figure(f"disk of a snapshot, {what}", "MB", size / 1e6),
    )


def _figure(name: str, unit: str, value: float, goal: float | None = None) -> Figure:
    return Figure(name=name, value=value, unit=unit, goal=goal)


def _server(
    store: Store, settings: Settings, image: Image, entry: Entry, objects: int, backend: Backend
) -> Server:
    """A new server, filled; what took minutes to fill is kept as a template."""
    entry.on_failure("server", f"{store.root}:{_NAME}")
    request = CreateRequest(
        name=_NAME,
        image=image.id,
        realm="BENCH.TEST",
        address=_ADDRESS,
        backend_store=backend,
        network=NamespaceNetwork(path=path_of(_NETWORK)),
    )
    server = create(store, settings, request)
    if objects:
        _fill(entry, server, objects)
    return server


def _fill(entry: Entry, server: Server, objects: int) -> None:
    text = (Path(__file__).parent / "inside/fill.py").read_text(encoding="utf-8")
    key = sha256_text(f"{server.config.image_id} {server.config.backend_store} {objects} {text}")
    template = server.store.templates / f"filled-{key[:17]}"
    if template.is_dir():
        copy_state(template, server.folder)
        return
    with bar(f"adding {objects} users to {server.config.realm}") as advance:
        for first in range(0, objects, _BATCH):
            end = min(first + _BATCH, objects)
            done = run_inside(server, ("/usr/bin/python3", "-c", text, str(first), str(end)), _FILL_SECONDS)
            if done.returncode != 0:
                why = done.output.strip().rpartition("\n")[2]
                raise ServerError(f"the directory could not be filled: {why}", "Take another image.")
            advance(end, objects)
    making = template.with_name(f".{template.name}.making")
    entry.on_failure("tree", making)
    making.mkdir(mode=0o700)
    copy_state(server.folder, making)
    making.rename(template)


def _clone(entry: Entry, server: Server) -> tuple[float, float]:
    """Seconds that a clone took, and milliseconds of it that writers were held."""
    done = clone(entry, server, server.store.root / "bench-copy", server.config.network)
    remove(done.server, Settings())
    return done.seconds, done.held * 1000


@contextmanager
def _writing(server: Server) -> Iterator[Writes]:
    """A client that changes an object again and again, as fast as it is answered."""
    writes, stop = Writes(), threading.Event()
    client = _connect(server)
    target = f"CN=Administrator,CN=Users,{server.config.base_dn}"

    def write() -> None:
        while not stop.is_set():
            began = time.monotonic()
            client.modify(target, {"description": [(MODIFY_REPLACE, [str(len(writes.took))])]})
            writes.took.append((time.monotonic() - began) * 1000)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        stop.wait(_ALONE)
        writes.alone = len(writes.took)
        yield writes
    finally:
        stop.set()
        thread.join(30)
        client.unbind()


def _connect(server: Server) -> Connection:
    word = (server.secrets / "admin-password").read_text(encoding="utf-8").strip()
    secure = Tls(validate=ssl.CERT_NONE)
    with inside_network(path_of(_NETWORK)):
        return Connection(
            LdapServer(_ADDRESS, port=636, use_ssl=True, tls=secure),
            user=f"Administrator@{server.config.realm}",
            password=word,
            auto_bind=True,
        )

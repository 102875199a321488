"""What an interrupted command could leave behind on a store with one server, each thing in words."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from galaxy.host import netns
from galaxy.host.mounts import mount_points
from galaxy.host.netns import inside_network
from galaxy.host.process import run
from galaxy.server import running
from galaxy.server.config import Server, store_digest
from galaxy.server.network import namespace_of


def leftovers(server: Server) -> list[str]:
    """What is there beyond the server itself, running or not."""
    return [
        *(f"journal entry {path.name}" for path in server.store.journal.iterdir()),
        *_mounts(server),
        *_namespaces(server),
        *_containers(server),
        *_tables(server),
        *_halves(server),
        *_strangers(server),
    ]


def _mounts(server: Server) -> Iterator[str]:
    root, images = f"{server.store.root}/", f"{server.store.mounts}/"
    yield from (f"mount {at}" for at in mount_points() if at.startswith(root) and not at.startswith(images))


def _namespaces(server: Server) -> Iterator[str]:
    ours = f"galaxy-{store_digest(server.store)}-"
    for path in netns.FOLDER.iterdir() if netns.FOLDER.is_dir() else ():
        if path.name.startswith(ours) and path.name != server.container:
            yield f"network namespace {path.name}"


def _containers(server: Server) -> Iterator[str]:
    for path in server.runtime_root.iterdir() if server.runtime_root.is_dir() else ():
        if path.name != server.container or running.alive(server) is None:
            yield f"container {path.name}"


def _tables(server: Server) -> Iterator[str]:
    path = namespace_of(server)
    if path is None or not path.exists():
        return
    with inside_network(path):
        listed = run(["nft", "list", "tables"]).stdout
    if server.container in listed:
        yield f"a hold of {server.name}"


def _halves(server: Server) -> Iterator[str]:
    """Names with a dot are half made; the server's folder has none when no command is at work."""
    folders = (server.store.root, server.store.servers, server.folder, server.snapshots, server.bundle)
    for folder in folders:
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.name.startswith((".", "rehearsal-")) or path == server.pending:
                yield str(path.relative_to(server.store.root))


def _strangers(server: Server) -> Iterator[str]:
    """Processes in the store's folders that are not the server's."""
    record = running.alive(server)
    known = {*(running.processes(record) if record else ()), os.getpid()}
    root = f"{server.store.root}/"
    for proc in Path("/proc").glob("[0-9]*"):
        if int(proc.name) in known:
            continue
        with suppress(OSError):
            command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            bound = [line.split(" ")[3] for line in (proc / "mountinfo").read_text().splitlines()]
            apart = (proc / "ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
            if root in f"{command} {(proc / 'root').readlink()}/" or (
                apart and any(path.startswith(root) for path in bound)
            ):
                yield f"process {proc.name} {command[:80]}"

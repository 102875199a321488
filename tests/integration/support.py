"""What integration tests share: running galaxy, a store of one's own, and counting what is left behind."""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path

from galaxy.host import netns
from galaxy.host.mounts import mount_points
from galaxy.host.process import Completed, run
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.server.config import servers, store_digest
from galaxy.server.network import host_end

GALAXY = (sys.executable, "-I", "-m", "galaxy.entry")


def galaxy_run(
    store: Store, *arguments: str | Path, timeout: float = 900, wrap: tuple[str | Path, ...] = ()
) -> Completed:
    """Run a galaxy command in a process of its own, on a store; `wrap` is a program that starts it."""
    env = {"GALAXY_ROOT": str(store.root)}
    return run([*wrap, *GALAXY, *arguments], env=env, timeout=timeout, check=False)


@contextmanager
def temporary_store(image: Image) -> Iterator[Store]:
    """A store of the test's own, with a copy of the image, on a real disk; emptied and unmounted afterwards."""
    root = Path(tempfile.mkdtemp(prefix="galaxy-test-", dir="/var/tmp"))
    own = Store(root=root).ensure()
    shutil.copytree(image.path, own.images / image.path.name)
    # Asking the mirrors again, and fetching from them, would take most of a test's time.
    for folder in (own.apt, own.sources):
        shared = image.path.parent.parent / folder.name
        if shared.is_dir():
            folder.symlink_to(shared)
    try:
        yield own
    finally:
        for name in _names(own.servers):
            galaxy_run(own, "rm", "--force", name)
        for point in sorted(mount_points(), key=len, reverse=True):
            if point.startswith(f"{root}/"):
                run(["umount", point])
        shutil.rmtree(root)


def watch(store: Store) -> Callable[[], None]:
    """Look now; calling what is returned asserts that nothing more is there, within 30 seconds.

    A run whose galaxy was killed unwinds by itself, and on a busy machine that takes its time.
    """
    before = Residue.of(store)

    def settled() -> None:
        deadline = time.monotonic() + 30
        while (left := Residue.of(store).beyond(before)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left, "left behind: " + "; ".join(left)

    return settled


def refuse(
    store: Store, code: int, words: str, *arguments: str | Path, wrap: tuple[str | Path, ...] = ()
) -> Completed:
    """Run a command that must be refused: its exit code, one `error:` line, then what to do; no residue."""
    settled = watch(store)
    done = galaxy_run(store, *arguments, wrap=wrap, timeout=300)
    assert done.returncode == code, done.output
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    assert words in errors[0], done.stderr
    assert done.stderr.splitlines()[-1].startswith("  "), f"no hint: {done.stderr}"
    assert "Traceback" not in done.stderr
    settled()
    return done


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """What commands on a store could leave behind, each thing in words.

    Only what is that store's: others may build, and run servers and labs, on the same host at the same time.
    """

    mounts: frozenset[str]
    loops: frozenset[str]
    namespaces: frozenset[str]
    links: frozenset[str]
    processes: frozenset[str]
    journal: frozenset[str]
    halves: frozenset[str]

    @classmethod
    def of(cls, store: Store) -> "Residue":
        """Look now. Mounted images and their loops are no residue: images stay mounted once used."""
        under = str(store.root) + "/"
        images = [str(path) for path in (store.mounts, store.images)]
        return cls(
            mounts=frozenset(
                p for p in mount_points() if p.startswith(under) and not p.startswith(images[0])
            ),
            loops=frozenset(loop for loop in _loops() if under in loop and images[1] not in loop),
            namespaces=frozenset(name for name in _names(netns.FOLDER) if _is_left(store, name)),
            links=frozenset(_links(store)),
            processes=frozenset(_processes(under)),
            journal=frozenset(_names(store.journal)),
            halves=frozenset(_halves(store)),
        )

    def beyond(self, before: "Residue") -> list[str]:
        """What is there now and was not before."""
        return [
            f"{field.name}: {thing}"
            for field in fields(self)
            for thing in sorted(getattr(self, field.name) - getattr(before, field.name))
        ]


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _is_left(store: Store, namespace: str) -> bool:
    """A namespace of one of the store's servers; or a lab's whose process is the store's, or gone."""
    if not namespace.startswith("galaxy-lab-"):
        return namespace.startswith(f"galaxy-{store_digest(store)}-")
    try:
        environment = (Path("/proc") / namespace.split("-")[2] / "environ").read_bytes()
    except OSError:
        return True
    return not environment or f"GALAXY_ROOT={store.root}\0".encode() in environment


def _links(store: Store) -> Iterator[str]:
    """The host's ends of the servers' links, and bridges that nothing is connected to."""
    ends = {host_end(server) for server in servers(store)}
    for link in Path("/sys/class/net").iterdir():
        bridge = link.name.startswith("galaxy") and (link / "bridge").is_dir()
        if link.name in ends or (bridge and not _names(link / "brif")):
            yield link.name


def _loops() -> Iterator[str]:
    for backing in Path("/sys/block").glob("loop*/loop/backing_file"):
        with suppress(OSError):
            yield backing.read_text().strip()


def _processes(under: str) -> Iterator[str]:
    """Processes that live in the store: by their command or root, or because a folder of it is bound for them."""
    home = Path("/proc/self/ns/mnt").readlink()
    for proc in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (proc / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            bound = [line.split(" ")[3] for line in (proc / "mountinfo").read_text().splitlines()]
            confined = (proc / "ns/mnt").readlink() != home and any(path.startswith(under) for path in bound)
            if proc.name != str(os.getpid()) and (
                confined or under in f"{command} {(proc / 'root').readlink()}/"
            ):
                yield f"{proc.name} {command}"


def _halves(store: Store) -> Iterator[str]:
    """Folders that no finished command keeps."""
    for folder in (store.root, store.servers, store.images, store.builds, store.roots, store.templates):
        for name in _names(folder):
            if name.startswith((".", "doctor-")) or name.endswith((".new", ".part", ".tmp")):
                yield f"{folder.name}/{name}"
    yield from (f"servers/{name}" for name in _names(store.servers))

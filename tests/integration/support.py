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

from galaxy.host.journal import mount_points
from galaxy.host.process import Completed, run
from galaxy.host.store import Store
from galaxy.image.catalogue import Image

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
    # Asking the mirrors again would take most of a test's time.
    shared = image.path.parent.parent / own.apt.name
    if shared.is_dir():
        own.apt.symlink_to(shared)
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
    """Look now; calling what is returned asserts that nothing more is there, within 5 seconds."""
    before = Residue.of(store)

    def settled() -> None:
        deadline = time.monotonic() + 5
        while (left := Residue.of(store).beyond(before)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left, "left behind: " + "; ".join(left)

    return settled


@dataclass(frozen=True, slots=True, kw_only=True)
class Residue:
    """What commands could leave behind in a store or on the host, each thing in words."""

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
            namespaces=frozenset(_names(Path("/run/netns"))),
            links=frozenset(_names(Path("/sys/class/net"))),
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

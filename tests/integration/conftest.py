"""Integration tests: root, real Samba, real mounts.

They use the host's store (or the one that GALAXY_TEST_ROOT names) for what is dear to make, images above all, and
stores of their own where they break things. All run on one xdist worker, one after the other, because they share a
host network.
"""

import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from galaxy.build import BuildRequest
from galaxy.host.journal import mount_points
from galaxy.host.process import Completed, run
from galaxy.host.settings import Settings, load_settings
from galaxy.host.store import DEFAULT_ROOT, Store
from galaxy.image.catalogue import Image
from galaxy.image.make import make_image

# Debian 12's Samba, which every mirror of it has.
PACKAGED = "4.17.12"
GALAXY = (sys.executable, "-I", "-m", "galaxy.entry")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.xdist_group("real"))


@pytest.fixture(scope="session", autouse=True)
def one_run_at_a_time() -> Iterator[None]:
    """Two test runs on one host would meet on its addresses."""
    with open("/run/lock/galaxy-tests", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def store() -> Store:
    """The store whose images and templates the tests share."""
    root = Path(os.environ.get("GALAXY_TEST_ROOT") or DEFAULT_ROOT).absolute()
    os.environ["GALAXY_ROOT"] = str(root)
    return Store(root=root).ensure()


@pytest.fixture(scope="session")
def settings() -> Settings:
    return load_settings()


@pytest.fixture(scope="session")
def image(store: Store, settings: Settings) -> Image:
    """An image of Debian 12's Samba, from packages; made if there is none."""
    return make_image(store, settings, BuildRequest(version=PACKAGED, packages=True))


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


@pytest.fixture
def residue() -> Callable[[Store], Callable[[], None]]:
    """`settled = residue(store)` looks; `settled()` later asserts that nothing more is there, within 5 seconds."""

    def look(store: Store) -> Callable[[], None]:
        before = Residue.of(store)

        def settled() -> None:
            deadline = time.monotonic() + 5
            while (left := Residue.of(store).beyond(before)) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert left == []

        return settled

    return look


@pytest.fixture
def own_store(store: Store, image: Image) -> Iterator[Store]:
    """A store of the test's own, with a copy of the image, on a real disk; it is emptied and unmounted afterwards."""
    root = Path(tempfile.mkdtemp(prefix="galaxy-test-", dir="/var/tmp"))
    own = Store(root=root).ensure()
    shutil.copytree(image.path, own.images / image.path.name)
    yield own
    for name in _names(own.servers):
        galaxy_run(own, "rm", "--force", name)
    for point in sorted(mount_points(), key=len, reverse=True):
        if point.startswith(f"{root}/"):
            run(["umount", point])
    shutil.rmtree(root)


def galaxy_run(
    store: Store, *arguments: str | Path, timeout: float = 900, wrap: tuple[str, ...] = ()
) -> Completed:
    """Run a galaxy command in a process of its own, on a store."""
    env = {"GALAXY_ROOT": str(store.root)}
    return run([*wrap, *GALAXY, *arguments], env=env, timeout=timeout, check=False)


@pytest.fixture(scope="session")
def galaxy() -> Callable[..., Completed]:
    return galaxy_run

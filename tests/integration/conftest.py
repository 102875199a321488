"""Integration tests: root, real Samba, real mounts.

They use the host's store (or the one that GALAXY_TEST_ROOT names) for what is dear to make, images above all, and
stores of their own where they break things. What shares a host's network runs on one xdist worker, one after the other;
what builds and looks at images, and what has a host of its own (server/), each runs beside it.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from archive import Archive, empty_archive, key_folder
from support import galaxy_run, temporary_store, watch

from galaxy.build import BuildRequest
from galaxy.host.process import Completed
from galaxy.host.settings import Settings, load_settings
from galaxy.host.store import DEFAULT_ROOT, Store
from galaxy.image.catalogue import Image
from galaxy.image.make import make_image

# Debian 12's Samba, which every mirror of it has.
PACKAGED = "4.17.12"


# Files whose tests need no network.
_BUILDS = ("test_bad_source", "test_build_", "test_image_", "test_release_", "test_wheel")


# Before xdist reads the marks, also when tests are named one by one.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.xdist_group(_group(item.path.relative_to(here))))


def _group(path: Path) -> str:
    if path.name.startswith(_BUILDS):
        return "builds"
    return "host" if path.parent == Path() else path.parts[0]


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


@pytest.fixture
def residue() -> Callable[[Store], Callable[[], None]]:
    """`settled = residue(store)` looks; `settled()` later asserts that nothing more is there."""
    return watch


@pytest.fixture
def own_store(image: Image) -> Iterator[Store]:
    """A store of the test's own, with a copy of the image."""
    with temporary_store(image) as own:
        yield own


@pytest.fixture(scope="session")
def galaxy() -> Callable[..., Completed]:
    """`galaxy(store, "ls")` runs a command in a process of its own."""
    return galaxy_run


@pytest.fixture(scope="session")
def signed() -> Iterator[Path]:
    """A folder with a key that archives are signed with."""
    with key_folder() as folder:
        yield folder


@pytest.fixture
def archive(signed: Path) -> Iterator[Archive]:
    """A Debian archive, still empty."""
    with empty_archive(signed) as archive:
        yield archive

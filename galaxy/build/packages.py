"""A tree from a distribution's binary packages: resolved by the private apt, unpacked without running them."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galaxy.host.errors import BuildError
from galaxy.host.journal import Entry
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release import Release


def resolve_packages(store: Store, settings: Settings, release: Release) -> tuple[str, ...]:
    raise BuildError("not yet")


@contextmanager
def unpacked(
    store: Store, settings: Settings, packages: tuple[str, ...], release: Release, entry: Entry
) -> Iterator[Path]:
    raise BuildError("not yet")
    yield

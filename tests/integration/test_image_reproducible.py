"""The same inputs give the same image, whatever the place, the number of processors and the moment."""

from contextlib import ExitStack

import pytest

from benchmarks.build import lent_store
from benchmarks.repro import compare
from galaxy.build import BuildRequest
from galaxy.host.errors import PolicyError
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.image.make import make_image
from galaxy.image.mount import verify_digest


def test_two_builds_in_two_places_give_the_same_bytes(store: Store, settings: Settings) -> None:
    request = BuildRequest(version="4.17.12", packages=True)
    with ExitStack() as stores:
        first, second = (stores.enter_context(lent_store(store)) for _ in range(2))
        elsewhere = Store(root=first.root / "a/longer/way/down").ensure()
        elsewhere.apt.symlink_to(store.apt)
        one = make_image(second, settings.model_copy(update={"jobs": 1}), request)
        other = make_image(elsewhere, settings.model_copy(update={"jobs": 2}), request)
        assert not compare(one.manifest, other.manifest)
        assert one.id == other.id
        _damaged_is_made_again(second, settings, request, one)


def _damaged_is_made_again(store: Store, settings: Settings, request: BuildRequest, image: Image) -> None:
    """The same plan does not stop at an image that is there and not whole: servers run from it."""
    with image.squashfs.open("r+b") as file:
        file.truncate(5_000_000)
    with pytest.raises(PolicyError, match="was changed after it was sealed"):
        verify_digest(image)
    again = make_image(store, settings, request)
    assert again.id == image.id
    verify_digest(again)
    assert [path.name for path in store.images.iterdir()] == [image.id], "the damaged one is still there"

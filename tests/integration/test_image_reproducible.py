"""The same inputs give the same image, whatever the place, the number of processors and the moment."""

from contextlib import ExitStack

from benchmarks.build import lent_store
from benchmarks.repro import compare
from galaxy.build import BuildRequest
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.make import make_image


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

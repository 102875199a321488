"""The images that a first verify makes for itself: the Samba that Debian ships, from its binary packages."""

from galaxy.host.errors import InputError
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue, Image
from galaxy.image.manifest import SEALER_REVISION

SUITES = ("bookworm", "trixie")


def stock_images(store: Store, settings: Settings) -> tuple[Image, ...]:
    """A packages image of each suite, oldest suite first; those that the store lacks are made."""
    return tuple(_existing(store, suite) or _made(store, settings, suite) for suite in SUITES)


def _existing(store: Store, suite: str) -> Image | None:
    """The newest packages image of a suite or its security suite, if it was sealed as this Galaxy seals."""
    found = [
        image
        for image in Catalogue(store=store).images()
        if image.packaged
        and image.manifest.sealer == SEALER_REVISION
        and image.manifest.provenance.suite in _parts(suite)
    ]
    return max(found, key=lambda image: image.manifest.made, default=None)


def _made(store: Store, settings: Settings, suite: str) -> Image:
    # What fetches and builds is loaded only when an image must be made: a second run shall begin at once.
    from galaxy.build import BuildRequest  # noqa: PLC0415
    from galaxy.image.make import make_image  # noqa: PLC0415
    from galaxy.release.apt import AptSource, apt_state  # noqa: PLC0415

    offers = AptSource(apt_state(store, settings)).releases()
    versions = [offer.version for offer in offers if offer.packages and offer.suite in _parts(suite)]
    if not versions:
        raise InputError(
            f"the configured mirrors offer no Samba packages of {suite}",
            "See what they offer: galaxy releases; or name an image: galaxy verify --image REF",
        )
    return make_image(store, settings, BuildRequest(version=str(max(versions)), packages=True))


def _parts(suite: str) -> tuple[str, str]:
    return suite, f"{suite}-security"

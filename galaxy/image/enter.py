"""An image gets its place among the store's, durably; one that is there and damaged makes room for it."""

from pathlib import Path

from galaxy.host.errors import GalaxyError
from galaxy.host.files import sync_file, sync_folder
from galaxy.host.store import Store
from galaxy.image.catalogue import SQUASHFS, Image, load_image
from galaxy.image.mount import unmount, verify_digest


def is_whole(folder: Path) -> bool:
    """Whether an image is in the folder, and is what its id says."""
    try:
        verify_digest(load_image(folder))
    except GalaxyError:
        return False
    return True


def enter_image(store: Store, made: Path, image_id: str, aside: Path) -> Image:
    """Move a whole image's folder to its place, unless a whole one is there; a damaged one goes `aside`.

    Servers that run keep what they have mounted; the next start takes the new one.
    """
    place = store.images / image_id
    if not is_whole(place):
        sync_file(made / SQUASHFS)  # before the name, or a power cut would leave that without content
        sync_folder(made)
        if place.exists():
            place.rename(aside)
            unmount(store, image_id)
        made.rename(place)
    sync_folder(store.images)
    return load_image(place)

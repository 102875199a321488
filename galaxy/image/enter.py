"""An image gets its place among the store's, durably; one that is there and damaged makes room for it."""

from pathlib import Path

from galaxy.host.errors import InputError, PolicyError
from galaxy.host.files import sync_file, sync_folder
from galaxy.host.lock import locked
from galaxy.host.store import Store
from galaxy.image.catalogue import SQUASHFS, Image, load_image
from galaxy.image.mount import forget_mount, image_lock
from galaxy.image.sealed import require_unchanged


def is_whole(folder: Path) -> bool:
    """Whether an image is in the folder, is what its id says, and has the manifest that was sealed."""
    try:
        require_unchanged(load_image(folder))
    except (InputError, PolicyError):  # what the host lacks to look is no damage
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
        with locked(store, image_lock(image_id), wait=60):  # a server that is made just now looks for it
            if place.exists():
                place.rename(aside)
                forget_mount(store, image_id)
            made.rename(place)
    sync_folder(store.images)
    return load_image(place)

"""Taking an image out of the store."""

from galaxy.host.errors import InputError
from galaxy.host.journal import journal
from galaxy.host.lock import locked
from galaxy.host.store import Store
from galaxy.image.catalogue import SHORT, Catalogue
from galaxy.image.mount import unmount


def remove_image(store: Store, image_id: str) -> None:
    """Remove an image, unmounting it first; also one with a damaged manifest. InputError while a server uses it."""
    users = Catalogue(store=store).users(image_id)
    if users:
        raise InputError(
            f"image {image_id[:SHORT]} is used by {', '.join(users)}",
            f"Remove the server first: galaxy rm {users[0]}",
        )
    with locked(store, f"mount-{image_id[:SHORT]}"), journal(store, "remove", image_id[:SHORT]) as entry:
        if not unmount(store, image_id):
            raise InputError(
                f"image {image_id[:SHORT]} is in use: its mount is busy",
                "End what runs in it; galaxy ls shows the servers.",
            )
        doomed = store.images / f".removing-{image_id}"
        with entry.temporarily("tree", doomed):
            (store.images / image_id).rename(doomed)

"""Taking an image out of the store."""

import shutil
from contextlib import suppress

from galaxy.host.errors import InputError
from galaxy.host.journal import journal
from galaxy.host.lock import locked
from galaxy.host.store import Store
from galaxy.image.catalogue import SHORT, Catalogue
from galaxy.image.mount import image_lock, unmount

_DOOMED = ".removing-"


def remove_image(store: Store, image_id: str) -> None:
    """Remove an image, unmounting it first; also one with a damaged manifest.

    InputError while a server or a snapshot needs it.
    """
    _finish_others(store)
    with (
        locked(store, image_lock(image_id)),
        journal(store, "remove", image_id[:SHORT], freeing=True) as entry,
    ):
        _require_unused(store, image_id)
        if not unmount(store, image_id):
            raise InputError(
                f"image {image_id[:SHORT]} is in use: its mount is busy",
                "End what runs in it; galaxy ls shows the servers.",
            )
        doomed = store.images / f"{_DOOMED}{image_id}"
        with entry.temporarily("tree", doomed):
            (store.images / image_id).rename(doomed)


def _require_unused(store: Store, image_id: str) -> None:
    users = Catalogue(store=store).users(image_id)
    if users:
        raise InputError(
            f"image {image_id[:SHORT]} is used by {', '.join(users)}",
            f"Give the server up first, with all it holds (galaxy rm {users[0]}); a damaged image is replaced by the "
            "same one when it is built or imported again.",
        )
    if keepers := Catalogue(store=store).keepers(image_id):
        name, snapshot = keepers[0]
        more = f" and {len(keepers) - 1} more" if len(keepers) > 1 else ""
        raise InputError(
            f"image {image_id[:SHORT]} is what the snapshot {snapshot} of {name}{more} would run",
            f"Remove those first: galaxy prune {name} {snapshot}",
        )


def _finish_others(store: Store) -> None:
    """Remove what a removal left that was killed on a full disk, where it could not write its entry."""
    for doomed in store.images.glob(f"{_DOOMED}*"):
        with suppress(InputError), locked(store, image_lock(doomed.name.removeprefix(_DOOMED)), wait=0):
            shutil.rmtree(doomed, ignore_errors=True)

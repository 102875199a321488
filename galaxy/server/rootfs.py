"""A server's read-only root: its image, found in the catalogue and mounted."""

from pathlib import Path

from galaxy.host.errors import GalaxyError, PolicyError
from galaxy.host.mounts import mount_points
from galaxy.image.catalogue import SHORT, SQUASHFS, Image, load_image
from galaxy.image.mount import is_intact, mount_point, mounted_root, verify_digest
from galaxy.server.config import Server


def image_of(server: Server) -> Image:
    """The image that the server runs. PolicyError when the store no longer has it."""
    folder = server.store.images / server.config.image_id
    if not folder.is_dir():
        raise PolicyError(
            f"image {server.config.image_id[:SHORT]} of {server.name} is not in the store",
            "Import it again (galaxy image import). Built anew on such a host from the same inputs it has the same id.",
        )
    return load_image(folder)


def require_unchanged_image(server: Server) -> None:
    """PolicyError when the server's squashfs is not what its id says, also when it is mounted already: 0.1 s."""
    image_id = server.config.image_id
    if not is_intact(server.store.images / image_id / SQUASHFS, image_id):
        verify_digest(image_of(server))


def rootfs_of(server: Server) -> Path:
    """Where the root of the server's image is mounted; mounted if it was not, and checked then."""
    point = mount_point(server.store, server.config.image_id)
    if str(point) in mount_points():
        return point  # no need to read a manifest of a thousand files at every start
    return mounted_root(server.store, image_of(server))


def ref_of(server: Server) -> str:
    """The reference of a server's image, or what is known of one that is damaged or gone."""
    try:
        return image_of(server).ref
    except (GalaxyError, OSError):
        return server.config.image_id[:SHORT]

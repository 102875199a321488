"""Mounted images: each once, read-only, checked against its digest, and bound from there for every server.

Whether an image is mounted is read from this process's own mount namespace: a test worker with a namespace
of its own mounts for itself.
"""

from pathlib import Path

from galaxy.host.errors import CommandError, HostError, PolicyError
from galaxy.host.files import sha256_file
from galaxy.host.journal import journal
from galaxy.host.lock import locked
from galaxy.host.mounts import mount_points
from galaxy.host.process import run
from galaxy.host.store import Store
from galaxy.image.catalogue import SHORT, Image
from galaxy.image.fixed import SEAL
from galaxy.image.manifest import check_seal

_AGAIN = "Build it again, or import it again: the damaged one is replaced."
_OPTIONS = "loop,ro,nosuid,nodev"


def mounted_root(store: Store, image: Image) -> Path:
    """The image's root, mounted if it was not; stays mounted.

    Raises PolicyError when the squashfs is not what its id says, or the manifest not what was sealed.
    """
    point = mount_point(store, image.id)
    if str(point) in mount_points():
        return point
    with locked(store, image_lock(image.id), wait=60):
        if str(point) not in mount_points():
            _mount(store, image, point)
    return point


def mount_point(store: Store, image_id: str) -> Path:
    """Where an image is mounted, when it is; links resolved, as the kernel lists it.

    By its whole id: another image with the same first digits can be made on purpose.
    """
    return store.mounts.resolve() / image_id


def image_lock(image_id: str) -> str:
    """The name of the lock under which an image is mounted, is replaced, gets its first server, or goes."""
    return f"mount-{image_id}"


def is_intact(squashfs: Path, image_id: str) -> bool:
    """Whether a squashfs is there, and is what the id says."""
    return squashfs.is_file() and sha256_file(squashfs) == image_id


def verify_digest(image: Image) -> None:
    """PolicyError when the squashfs was changed or is not all there."""
    if not image.squashfs.is_file():
        raise PolicyError(
            f"image {image.ref} ({image.id[:SHORT]}) is not all there: {image.squashfs} is missing", _AGAIN
        )
    if not is_intact(image.squashfs, image.id):
        raise PolicyError(
            f"image {image.ref} ({image.id[:SHORT]}) was changed after it was sealed: its digest differs",
            _AGAIN,
        )


def _mount(store: Store, image: Image, point: Path) -> None:
    verify_digest(image)
    with journal(store, "mount", image.ref) as entry:
        point.mkdir(parents=True, exist_ok=True)
        entry.on_failure("mount", point)
        try:
            run(["mount", "-t", "squashfs", "-o", _OPTIONS, image.squashfs, point])
        except CommandError as error:
            raise HostError(
                f"image {image.ref} cannot be mounted: {error.message}",
                "Galaxy needs root, loop devices and squashfs with xz and zstd: galaxy doctor",
            ) from None
        seal = point / SEAL
        check_seal(image.manifest, seal.read_bytes() if seal.is_file() else b"")


def unmount(store: Store, image_id: str) -> bool:
    """Unmount an image; False while something uses the mount itself (servers have mounts of their own)."""
    point = mount_point(store, image_id)
    while str(point) in mount_points():
        if run(["umount", point], check=False).returncode != 0:
            return False
    if point.is_dir():
        point.rmdir()
    return True


def forget_mount(store: Store, image_id: str) -> None:
    """Let nobody find the mount of an image any more; what uses it keeps it to its end (umount(8), --lazy)."""
    if not unmount(store, image_id):
        run(["umount", "--lazy", mount_point(store, image_id)])


def unmount_idle(store: Store) -> tuple[str, ...]:
    """Unmount every image that nothing uses; returns the short ids that were unmounted."""
    mounted = [Path(point) for point in mount_points() if Path(point).parent == store.mounts.resolve()]
    return tuple(point.name[:SHORT] for point in mounted if unmount(store, point.name))

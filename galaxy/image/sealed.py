"""Whether a manifest is the one that its image was sealed with, without mounting the image."""

from pathlib import Path

from galaxy.host.process import find_tool, run
from galaxy.image.catalogue import Image
from galaxy.image.fixed import SEAL
from galaxy.image.manifest import Manifest, check_seal
from galaxy.image.mount import verify_digest


def require_unchanged(image: Image) -> None:
    """PolicyError when the squashfs is not what its id says, or the manifest not what was sealed: 0.1 s.

    A mounted image is looked at no more: who begins something with it asks first.
    """
    verify_digest(image)
    require_sealed(image.manifest, image.squashfs)


def require_sealed(manifest: Manifest, squashfs: Path) -> None:
    """PolicyError when the manifest is not the one that was sealed inside the squashfs.

    Milliseconds: one small file is read out of it. That the squashfs itself is what its id says is `verify_digest`'s.
    """
    tool = find_tool("unsquashfs", "squashfs-tools")
    inside = run([tool, "-cat", squashfs, SEAL], check=False)
    check_seal(manifest, inside.stdout.encode())

"""Where an image's bytes are."""

from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.image.mount import mounted_root
from galaxy.image.sizes import part_sizes


def lines(store: Store, image: Image) -> list[str]:
    """The sealed size, then each part's size before and after compression, as `galaxy image show --sizes` has it."""
    parts = part_sizes(image, mounted_root(store, image))
    head = f"image {image.ref}: {image.manifest.image_size / 1e6:.1f} MB"
    return [
        head,
        *(f"  {one.part}: {one.packed / 1e6:.2f} MB ({one.raw / 1e6:.1f} unpacked)" for one in parts),
    ]

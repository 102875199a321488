"""A new version that does not work: defects laid over an image, in this process's own mounts, for a block.

The image itself is not touched: what is laid over it exists only in the mount namespace of the worker, from where a
server's root is bound.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from galaxy.host.process import run
from galaxy.image.catalogue import Image
from galaxy.image.mount import mounted_root
from scenarios.world import World

# Which program is replaced, and by what, by the sabotage's name. Each fails the upgrade at another place.
SABOTAGES: Mapping[str, tuple[str, str]] = {
    "dies": ("usr/sbin/samba", "#!/bin/sh\necho 'sabotage: no such luck' >&2\nexit 1\n"),
    "hangs": ("usr/sbin/samba", "#!/usr/bin/python3\nimport signal\nsignal.pause()\n"),
    "spoils": (
        "usr/sbin/samba",
        '#!/bin/sh\nfor f in /var/lib/samba/private/sam.ldb.d/*.ldb; do echo spoilt >"$f"; done\nexit 1\n',
    ),
    "misses-a-service": ("usr/sbin/smbd", "#!/bin/sh\nexit 1\n"),
    "fails-the-probe": ("usr/bin/smbclient", "#!/bin/sh\necho NT_STATUS_SABOTAGE\nexit 1\n"),
}


@contextmanager
def sabotaged(world: World, image: Image, name: str) -> Iterator[None]:
    """The image has that defect for servers that this process starts in the block."""
    program, script = SABOTAGES[name]
    place = mounted_root(world.store, image) / program
    with tempfile.TemporaryDirectory(prefix="galaxy-sabotage-", dir="/var/tmp") as folder:
        file = Path(folder) / "program"
        file.write_text(script, encoding="utf-8")
        file.chmod(0o755)
        with world.lab.entry.temporarily("mount", place):
            run(["mount", "--bind", file, place])
            yield

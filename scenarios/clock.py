"""A server's clock jumps, and no other: there is no namespace for it, so a library stands between Samba and the kernel.

The library is laid over the image's root in this process's own mounts, for a block; files keep the host's times.
"""

import struct
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.process import find_tool, run
from galaxy.image.mount import mounted_root
from scenarios.world import World

_SOURCE = Path(__file__).with_name("inside") / "clock.c"
_LIBRARY = "usr/lib/galaxy-clock.so"


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock of a server that was started in the block; `file` holds by how many seconds it is off."""

    file: Path

    def jump(self, seconds: int) -> None:
        """Be off by so many seconds from now on."""
        with self.file.open("r+b") as file:
            file.write(struct.pack("l", seconds))


@contextmanager
def jumping_clock(world: World) -> Iterator[Clock]:
    """The first server has such a clock when it is started in the block; it must be stopped at both ends of it."""
    root = mounted_root(world.store, world.image_of(world.dc))
    clock = Clock(world.dc.state / "clock-jump")
    with tempfile.TemporaryDirectory(prefix="galaxy-clock-", dir="/var/tmp") as folder:
        layer = Path(folder)
        (layer / "etc").mkdir()
        (layer / "usr/lib").mkdir(parents=True)
        (layer / "etc/ld.so.preload").write_text(f"/{_LIBRARY}\n", encoding="utf-8")
        compiler = find_tool("gcc", "gcc libc6-dev")
        run([compiler, "-shared", "-fPIC", "-O2", "-Wall", "-o", layer / _LIBRARY, _SOURCE])
        clock.file.write_bytes(struct.pack("l", 0))
        with world.lab.entry.temporarily("mount", root):
            run(["mount", "-t", "overlay", "overlay", "-o", f"ro,lowerdir={layer}:{root}", root])
            yield clock
    clock.file.unlink()

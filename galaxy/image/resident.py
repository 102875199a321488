"""Keeps the files of mounted images in memory for as long as it runs: python -m galaxy.image.resident ROOT...

A host that takes back page cache early (DAMON, memory.high, another program's need) takes first what no process has
mapped: the modules of an image's Python, between one samba-tool and the next. Each of those then unpacks them from xz
anew, a twentieth of a whole matrix's processor time where it was measured. What is mapped can still be taken back,
when memory is really short.
"""

import mmap
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from galaxy.host.packages import package_root
from galaxy.host.process import background

# Whoever has work to do comes first; what it reads meanwhile is there for this one too.
_NICE = 10
_FLAGS = mmap.MAP_SHARED | mmap.MAP_POPULATE


@contextmanager
def resident(roots: Sequence[Path], log: Path) -> Iterator[int]:
    """Have a process, whose id is given, do that for the block. Should it fail, `log` says why; nothing needs it."""
    argv = [sys.executable, "-m", "galaxy.image.resident", *(str(root) for root in roots)]
    env = {"PYTHONPATH": str(package_root("galaxy").parent)}
    with background(argv, log=log, env=env) as process:
        yield process.pid


def hold(root: Path, stack: ExitStack) -> int:
    """Map every file below `root` into this process, and read it; how many. `stack` lets go of them."""
    files = [Path(folder, name) for folder, _, names in os.walk(root) for name in names]
    held = [file for file in files if not file.is_symlink() and file.is_file() and file.stat().st_size]
    for file in held:
        with file.open("rb") as opened:
            stack.enter_context(mmap.mmap(opened.fileno(), 0, flags=_FLAGS, prot=mmap.PROT_READ))
    return len(held)


if __name__ == "__main__":
    os.nice(_NICE)
    with ExitStack() as pages:
        for word in sys.argv[1:]:
            hold(Path(word), pages)
        signal.pause()

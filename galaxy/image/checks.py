"""The sealed image is tried before it may enter the catalogue: inside/verify.py in a root of its own."""

from pathlib import Path

from galaxy.host.errors import BuildError, CommandError
from galaxy.host.process import run
from galaxy.image.fixed import PYTHON
from galaxy.image.usedpython import inside_script

_SECONDS = 240
_NAMESPACES = ("--mount", "--pid", "--net", "--ipc", "--uts", "--fork", "--kill-child")


def check_image(squashfs: Path, point: Path) -> None:
    """Run the checks in a sealed image, mounted at the empty folder `point` in namespaces of its own.

    Raises BuildError that names everything missing; leaves nothing mounted.
    """
    enter = [
        "unshare",
        *_NAMESPACES,
        "sh",
        "-c",
        inside_script("enter.sh"),
        "enter",
        str(squashfs),
        str(point),
    ]
    try:
        done = run([*enter, f"/{PYTHON}", "-B", "-"], stdin=inside_script("verify.py"), timeout=_SECONDS)
    except CommandError as error:
        raise BuildError(f"the sealed image cannot be checked: {error.message}") from None
    defects = [line for line in done.stdout.splitlines() if line.strip()]
    if defects:
        shown = "\n  ".join(defects[:20])
        raise BuildError(f"the sealed image lacks something ({len(defects)} defects):\n  {shown}")

"""Where compiling happens: a fresh upper layer over a build root, without network, without the host's processes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from galaxy.host.errors import CommandError, HostError
from galaxy.host.journal import Entry
from galaxy.host.process import run

# The source's place inside: the same for every build, so that ccache hits and bytes repeat.
SOURCE_INSIDE = "/build/samba"
CCACHE_INSIDE = "/build/ccache"
# Mounts are made in a namespace that ends with the command. The shell stays PID 1, waits, and passes the status on.
_ENTER = """\
mount -t proc proc "$1/proc"
mount --bind "$2" "$1$3"
echo galaxy > /proc/sys/kernel/hostname
root=$1 place=$4
shift 4
status=0
chroot "$root" env -C "$place" "$@" || status=$?
exit $status
"""


@contextmanager
def layered(lower: Path, work: Path, entry: Entry) -> Iterator[Path]:
    """An overlay of `lower` with `work/upper`, mounted at `work/root` for the block; `lower` is never written."""
    for name in ("upper", "work", "root"):
        (work / name).mkdir(parents=True, exist_ok=True)
    root = work / "root"
    layers = f"lowerdir={lower},upperdir={work / 'upper'},workdir={work / 'work'}"
    with entry.temporarily("mount", root):
        try:
            run(["mount", "-t", "overlay", "overlay", "-o", layers, root])
        except CommandError as error:
            raise HostError(
                f"an overlay can't be mounted under {work}: {error.output.strip()}",
                "Put the store (GALAXY_ROOT) on ext4, xfs or btrfs, and run as root with overlayfs in the kernel.",
            ) from None
        yield root


def enter(root: Path, ccache: Path, argv: Sequence[str], *, place: str = SOURCE_INSIDE) -> list[str]:
    """The argv that runs `argv` in a root: own mounts, processes, host name; no network; killed with its parent."""
    namespaces = ["--mount", "--net", "--pid", "--uts", "--ipc", "--fork", "--kill-child"]
    return [
        "unshare",
        *namespaces,
        "sh",
        "-ec",
        _ENTER,
        "sh",
        str(root),
        str(ccache),
        CCACHE_INSIDE,
        place,
        *argv,
    ]


def build_environment(epoch: int, cflags: str, ldflags: str) -> Mapping[str, str]:
    """The environment of configure and waf: fixed hash seed and time, the compiler behind ccache."""
    return {
        "PATH": "/usr/lib/ccache:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/build",
        "CCACHE_DIR": CCACHE_INSIDE,
        "CCACHE_COMPILERCHECK": "content",
        "CCACHE_SLOPPINESS": "time_macros",
        "CFLAGS": cflags,
        "LDFLAGS": ldflags,
        "PYTHONHASHSEED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": str(epoch),
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
    }

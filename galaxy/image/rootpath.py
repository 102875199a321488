"""Paths as a process inside a root sees them: symbolic links resolve inside the root, never on the host."""

from dataclasses import dataclass
from pathlib import Path

# As many links as the kernel follows before ELOOP (path_resolution(7)).
_MOST_LINKS = 40


UNMERGED = ("bin", "sbin", "lib", "lib64")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Where a path ends inside a root (relative to it), and every symbolic link passed on the way."""

    path: str
    links: tuple[str, ...]


def find(root: Path, path: str) -> Found | None:
    """Follow `path` inside `root`; None when it does not exist there or its links go round in circles."""
    todo = [part for part in path.split("/") if part not in ("", ".")]
    here: list[str] = []
    links: list[str] = []
    while todo:
        part = todo.pop(0)
        if part == "..":
            here = here[:-1]
            continue
        candidate = root.joinpath(*here, part)
        if candidate.is_symlink():
            links.append("/".join([*here, part]))
            if len(links) > _MOST_LINKS:
                return None
            target = str(candidate.readlink())
            if target.startswith("/"):
                here = []
            todo = [piece for piece in target.split("/") if piece not in ("", ".")] + todo
        elif candidate.exists():
            here.append(part)
        else:
            return None
    return Found(path="/".join(here), links=tuple(links))


def merged(path: str) -> str:
    """A path (relative to a root) as it is where `/bin`, `/sbin` and `/lib` are links into `/usr`.

    Suites before bookworm have two trees, and so has a root that was unpacked from packages; an image has one.
    """
    return f"usr/{path}" if path.partition("/")[0] in UNMERGED and "/" in path else path


def matches(root: Path, pattern: str) -> list[str]:
    """What a shell pattern (`**` for any depth) finds inside a root, as sorted relative paths."""
    return sorted(str(path.relative_to(root)) for path in root.glob(pattern))

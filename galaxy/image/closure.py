"""The closure: every file that Samba needs out of a whole root, each with the reason why."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from galaxy.host.errors import BuildError
from galaxy.image.elf import read_elf, resolve
from galaxy.image.rootpath import Found, find, matches
from galaxy.image.seeds import LEFT_OUT, SEEDS, Seed
from galaxy.image.usedpython import UsedPython


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Files and links of an image (relative to the root) with reasons, and what was left out and why."""

    files: dict[str, str]
    links: dict[str, str]
    left_out: dict[str, str]
    libdirs: tuple[str, ...]


class MissingLibraryError(BuildError):
    """A library that a file needs and that the root does not have."""


@dataclass(slots=True)
class _Collector:
    root: Path
    libdirs: tuple[str, ...]
    files: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, reason: str) -> None:
        """Take a file, the links on the way to it, and the libraries that it needs, all or nothing."""
        found = find(self.root, path)
        if found is None:
            raise BuildError(f"the installed tree has no /{path} ({reason})")
        for hit, why in self._with_needs(found, reason):
            self.files.setdefault(hit.path, why)
            for link in hit.links:
                self.links.setdefault(link, f"leads to /{hit.path}")

    def _with_needs(self, first: Found, reason: str) -> list[tuple[Found, str]]:
        """A file and its libraries, breadth first, without what is there already."""
        taken, todo, seen = [], [(first, reason)], {first.path}
        while todo:
            found, why = todo.pop(0)
            taken.append((found, why))
            for need in self._needs(found) if found.path not in self.files else ():
                if need.path not in seen:
                    seen.add(need.path)
                    todo.append((need, f"/{found.path} needs it"))
                elif need.links:
                    taken.append((need, why))
        return taken

    def _needs(self, found: Found) -> Iterable[Found]:
        elf = read_elf(self.root / found.path)
        if elf is None:
            return
        for name in (*elf.needed, *([elf.interpreter] if elf.interpreter else [])):
            hit = resolve(self.root, name, found.path, elf, self.libdirs)
            if hit is None:
                raise MissingLibraryError(
                    f"/{found.path} needs {name}, which the installed tree does not have"
                )
            yield hit

    def add_seed(self, seed: Seed) -> None:
        """Take what a seed matches; a module with missing or unwanted libraries is left out, with a note."""
        patterns = {seed.pattern.replace("{lib}", folder.strip("/")) for folder in self.libdirs}
        hits = sorted({hit for pattern in patterns for hit in matches(self.root, pattern)})
        if not hits and seed.required:
            raise BuildError(
                f"the installed tree has no /{seed.pattern}: {seed.reason}",
                "Look at the build's log; the recipe may lack an option or a package.",
            )
        for hit in hits:
            if (self.root / hit).is_dir():
                continue
            excuse = LEFT_OUT.get(hit.partition("samba/")[2])
            if excuse:
                self.left_out[hit] = excuse
                continue
            try:
                self.add(hit, seed.reason)
            except MissingLibraryError as error:
                if "{lib}" not in seed.pattern:
                    raise
                self.left_out[hit] = error.message


def closure(root: Path, libdirs: tuple[str, ...], python: UsedPython, extra: tuple[str, ...]) -> Closure:
    """Everything that an image takes from the root `root`.

    `libdirs` are absolute folders inside the root, in the loader's order; `extra` the recipe's patterns.
    Raises BuildError naming what is missing.
    """
    collector = _Collector(root, libdirs)
    added = [
        Seed(pattern=pattern.lstrip("/"), reason="the recipe says that Samba reads it") for pattern in extra
    ]
    for seed in (*SEEDS, *added):
        collector.add_seed(seed)
    collector.add(python.library, "the Python interpreter")
    for path, module in python.files.items():
        collector.add(path, f"Samba imports {module}")
    return Closure(
        files=dict(sorted(collector.files.items())),
        links=dict(sorted(collector.links.items())),
        left_out=dict(sorted(collector.left_out.items())),
        libdirs=used_libdirs(collector.files, libdirs),
    )


def used_libdirs(files: Iterable[str], libdirs: tuple[str, ...]) -> tuple[str, ...]:
    """The library folders, without those of which the image has nothing."""
    parents = {"/" + str(Path(path).parent) for path in files}
    return tuple(folder for folder in libdirs if folder in parents)


def loader_dirs(root: Path) -> tuple[str, ...]:
    """The folders that a root's loader searches: /etc/ld.so.conf, then the built-in ones; links resolved."""
    lines: list[str] = []
    for path in (*matches(root, "etc/ld.so.conf.d/*.conf"), "etc/ld.so.conf"):
        if (root / path).is_file():
            lines += (root / path).read_text(encoding="utf-8").splitlines()
    named = [line.split("#")[0].strip() for line in lines]
    folders = [*[name for name in named if name.startswith("/")], "/lib", "/usr/lib", "/lib64", "/usr/lib64"]
    hits = [find(root, folder) for folder in folders]
    return tuple(dict.fromkeys(f"/{hit.path}" for hit in hits if hit is not None))


def search_dirs(root: Path, libdirs: tuple[str, ...]) -> tuple[str, ...]:
    """`libdirs`, the root's own library folders, then Samba's private ones.

    Some private libraries name others without saying where they are, because whatever loads them has
    loaded those already; listed last, these folders change nothing else.
    """
    system = (*libdirs, *loader_dirs(root))
    private = [f"{folder}/samba" for folder in system if (root / folder.lstrip("/") / "samba").is_dir()]
    return tuple(dict.fromkeys((*system, *private)))

"""A source tree that somebody has on disk, for versions under development."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from galaxy.host.errors import GalaxyError, HostError, InputError
from galaxy.host.files import MORE_SPACE, says_full, sha256_file
from galaxy.host.journal import Entry
from galaxy.release.model import Origin, Release, SourceFile, SourceSpec, SourceTree
from galaxy.release.stated import version_in

# Left behind by an earlier build or by version control; no part of the source.
_NOT_SOURCE = {".git", ".lock-wscript", "bin", "__pycache__", "config.log", "config.status"}
# Files on disk have no time that means something: the first second of 2000, for every tree.
_EPOCH = 946684800


class DirectorySource:
    """One source tree."""

    name: Origin = "directory"

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    def releases(self) -> tuple[Release, ...]:
        """The one version that the tree says it is. InputError when it isn't a Samba source."""
        file = self.path / "VERSION"
        if not file.is_file() or not (self.path / "buildtools").is_dir():
            raise InputError(
                f"{self.path} is not a Samba source tree",
                "Name the folder that holds VERSION and buildtools/.",
            )
        version = version_in(file.read_text(encoding="utf-8", errors="replace"))
        return (Release(version=version, origin="directory", location=str(self.path)),)

    def describe(self, release: Release) -> SourceSpec:
        """The digest over every file's name, mode and content."""
        try:
            digest = _digest(self.path)
        except OSError as error:
            why = f"{error.filename or self.path} cannot be read: {error.strerror}"
            raise InputError(why, "Copy the tree to where root can read it.") from None
        return SourceSpec(
            release=release, files=(SourceFile(name=self.path.name, sha256=digest, uri=str(self.path)),)
        )

    def fetch(self, spec: SourceSpec, entry: Entry, into: Path) -> SourceTree:
        """Copy the tree, without what earlier builds left in it."""
        into.parent.mkdir(parents=True, exist_ok=True)
        entry.on_failure("tree", into)
        top = str(self.path)
        try:
            shutil.copytree(
                self.path,
                into,
                symlinks=True,
                ignore=lambda folder, names: _left(names) if folder == top else {"__pycache__"},
            )
        except shutil.Error as error:
            raise _uncopied(error) from None
        copied = _digest(into)
        if copied != spec.files[0].sha256:
            raise InputError(
                f"{self.path} was changed while it was read", "Try again when nothing writes to it."
            )
        return SourceTree(path=into, digest=spec.digest, files=spec.files, patches=(), epoch=_EPOCH)


def _uncopied(error: shutil.Error) -> GalaxyError:
    """The first of what copytree could not copy, as (from, to, why)."""
    source, _, why = error.args[0][0]
    if says_full(str(why)):
        return HostError(f"no space was left while {source} was copied", MORE_SPACE)
    return InputError(f"{source} cannot be copied: {why}", "Use a source tree of plain files and folders.")


def _left(names: list[str]) -> set[str]:
    return {name for name in names if name in _NOT_SOURCE}


def _digest(top: Path) -> str:
    """Of every file's name, whatever its bytes, mode and content."""
    return hashlib.sha256("\n".join(_inventory(top)).encode(errors="surrogateescape")).hexdigest()


def _inventory(top: Path) -> Iterator[str]:
    """A line for each file, sorted by path: `x` or `-`, digest or link target, path."""
    for path in sorted(_files(top)):
        what = f"-> {path.readlink()}" if path.is_symlink() else sha256_file(path)
        executable = "x" if not path.is_symlink() and path.stat().st_mode & 0o100 else "-"
        yield f"{executable} {what} {path.relative_to(top)}"


def _files(top: Path) -> Iterator[Path]:
    for path in top.iterdir():
        if path.name not in _NOT_SOURCE:
            yield from _below(path)


def _below(path: Path) -> Iterator[Path]:
    if path.is_symlink() or path.is_file():
        yield path
    elif path.is_dir():
        for child in path.iterdir():
            if child.name != "__pycache__":
                yield from _below(child)

"""What ELF files ask for, and where the loader of a root would find it (ld.so(8))."""

from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSegment, DynamicTag
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment

from galaxy.image.rootpath import Found, find

_MAGIC = b"\x7fELF"


@dataclass(frozen=True, slots=True, kw_only=True)
class Elf:
    """The dynamic needs of one file: libraries by name, folders it brings along, its loader ('' for none)."""

    needed: tuple[str, ...]
    runpath: tuple[str, ...]
    interpreter: str


def read_elf(path: Path) -> Elf | None:
    """The needs of an ELF file; None for anything that is not a readable ELF file."""
    with path.open("rb") as source:
        if source.read(4) != _MAGIC:
            return None
        try:
            return _read(ELFFile(source))
        except ELFError:
            return None


def _read(file: ELFFile) -> Elf:
    needed: list[str] = []
    runpath: list[str] = []
    interpreter = ""
    for segment in file.iter_segments():
        if isinstance(segment, InterpSegment):
            interpreter = segment.get_interp_name()
        elif isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                if tag.entry.d_tag == "DT_NEEDED":
                    needed.append(_text(tag, "needed"))
                elif tag.entry.d_tag == "DT_RUNPATH":
                    runpath += _text(tag, "runpath").split(":")
                elif tag.entry.d_tag == "DT_RPATH":
                    runpath += _text(tag, "rpath").split(":")
    return Elf(needed=tuple(needed), runpath=tuple(runpath), interpreter=interpreter)


def _text(tag: DynamicTag, attribute: str) -> str:
    """A tag's string; pyelftools sets the attribute by the tag's name, which types can't see."""
    return str(getattr(tag, attribute))


def resolve(root: Path, name: str, origin: str, elf: Elf, libdirs: tuple[str, ...]) -> Found | None:
    """Where the loader finds the library `name` that the file `origin` needs; None when it does not.

    `origin` is relative to the root. A name with a slash is a path (as interpreters are).
    """
    if "/" in name:
        return find(root, name)
    home = "/" + str(Path(origin).parent)
    own = tuple(folder.replace("${ORIGIN}", home).replace("$ORIGIN", home) for folder in elf.runpath)
    hits = (find(root, f"{folder}/{name}") for folder in (*own, *libdirs))
    return next((hit for hit in hits if hit is not None), None)

"""What the apt indexes say about Samba, read once after each update and kept as a small file."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from galaxy.host.errors import InputError
from galaxy.host.progress import say
from galaxy.release.aptstate import AptState
from galaxy.release.memory import recall, remember
from galaxy.release.mirrors import paragraphs
from galaxy.release.model import SourceFile
from galaxy.release.version import Version, upstream_version


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceOffer:
    """A source package of one suite: its files with the digests of the signed index."""

    suite: str
    package_version: str
    files: tuple[SourceFile, ...]

    def file(self, ending: str) -> SourceFile | None:
        """The file whose name contains `ending`: `.dsc`, `.orig.tar`, `.debian.tar`; signatures don't count."""
        names = (file for file in self.files if ending in file.name and not file.name.endswith(".asc"))
        return next(names, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BinaryOffer:
    """Samba's binary packages of one suite."""

    suite: str
    package_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SambaIndex:
    """Everything that the configured suites say about Samba."""

    sources: tuple[SourceOffer, ...]
    binaries: tuple[BinaryOffer, ...]


_REMEMBERED = TypeAdapter(SambaIndex)


def samba_index(state: AptState) -> SambaIndex:
    """Read the offers, from the small file while the indexes are the same."""
    memory = state.folder / "samba.json"
    digest = state.index_digest()
    try:
        return _REMEMBERED.validate_python(recall(memory, digest))
    except ValidationError:
        found = SambaIndex(sources=tuple(_source_offers(state)), binaries=tuple(_binary_offers(state)))
        remember(memory, asdict(found), digest)
        return found


def _source_offers(state: AptState) -> Iterator[SourceOffer]:
    for suite, uri, file in state.indexes("Sources"):
        for fields in _readable(suite, _samba_paragraphs(state, file)):
            base = f"{uri.rstrip('/')}/{fields['directory']}"
            yield SourceOffer(
                suite=suite,
                package_version=fields["version"],
                files=tuple(_files(fields["checksums-sha256"], base)),
            )


def _files(checksums: str, base: str) -> Iterator[SourceFile]:
    for line in checksums.splitlines():
        if line.strip():
            sha256, size, name = line.split()
            yield SourceFile(name=name, sha256=sha256, size=int(size), uri=f"{base}/{name}")


def _binary_offers(state: AptState) -> Iterator[BinaryOffer]:
    for suite, _, file in state.indexes("Packages"):
        for fields in _readable(suite, _samba_paragraphs(state, file)):
            yield BinaryOffer(suite=suite, package_version=fields["version"])


def _readable(suite: str, found: Iterator[dict[str, str]]) -> Iterator[dict[str, str]]:
    """All but those of a version that is none of Samba's: one odd package hides no other."""
    for fields in found:
        try:
            Version.parse(upstream_version(fields["version"]))
        except InputError:
            say(
                f"warning: {suite} has samba {fields['version']}; that is no version of Samba's, and is left out"
            )
        else:
            yield fields


def _samba_paragraphs(state: AptState, file: Path) -> Iterator[dict[str, str]]:
    """The paragraphs of the package `samba`; the rest of the index (tens of MB) is never parsed."""
    if not file.exists():
        return
    text = "\n" + state.read(file)
    start = text.find("\nPackage: samba\n")
    while start >= 0:
        end = text.find("\n\n", start)
        yield next(paragraphs(text[start + 1 : end if end >= 0 else len(text)]))
        start = text.find("\nPackage: samba\n", start + 1)

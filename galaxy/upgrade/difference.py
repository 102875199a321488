"""What two dumps say differently, in words that an administrator reads."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from galaxy.upgrade.dumpfile import Record

_LINK = re.compile(
    r"((?:[BS]:\d+:[^:]*:)?<GUID=[0-9a-f-]{36}>)(?:;<SID=[^>]*>)?;(.*)", re.IGNORECASE | re.DOTALL
)
_ACE = re.compile(r"\([^()]*(?:\([^()]*\)[^()]*)*\)")
_SHOWN, _LONGEST = 3, 160
# The attribute that stands for the record itself: its name.
NAME = "dn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One attribute (or, without one, a whole record) that is not as before.

    `lost` and `added` are values as the dumps have them; of a secret, digests. `words` tells them to people.
    """

    area: str
    name: str
    attribute: str = ""
    lost: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    words: str

    @property
    def kind(self) -> Literal["lost", "added", "changed"]:
        """What happened to the attribute's values, or to the record."""
        if self.lost and self.added:
            return "changed"
        return "lost" if self.lost else "added"

    def __str__(self) -> str:
        return f"{self.name}: {self.words}"


def record_gone(record: Record) -> Difference:
    """A record that is there no more."""
    return Difference(area=record.area, name=record.name, lost=(_marks(record),), words="is lost")


def record_new(record: Record) -> Difference:
    """A record that was not there before."""
    return Difference(area=record.area, name=record.name, added=(_marks(record),), words="is new")


def record_differences(before: Record, after: Record, sddl: Mapping[str, str]) -> Iterator[Difference]:
    """The attributes of one record that are not as before; a link to a renamed object is no difference."""
    if before.name != after.name:
        words = f"is now called {after.name}"
        yield Difference(
            area=after.area,
            name=before.name,
            attribute=NAME,
            lost=(before.name,),
            added=(after.name,),
            words=words,
        )
    for attribute in sorted({*before.values, *after.values}):
        old = {_identity(value): value for value in before.values.get(attribute, ())}
        new = {_identity(value): value for value in after.values.get(attribute, ())}
        lost = tuple(value for key, value in sorted(old.items()) if key not in new)
        added = tuple(value for key, value in sorted(new.items()) if key not in old)
        if lost or added:
            yield Difference(
                area=after.area,
                name=after.name,
                attribute=attribute,
                lost=lost,
                added=added,
                words=f"{attribute} {_words(lost, added, sddl, single=len(old) == len(new) == 1)}",
            )


def _identity(value: str) -> str:
    """A link by its target's GUID; any other value as it is."""
    found = _LINK.fullmatch(value)
    return found[1].lower() if found else value


def _marks(record: Record) -> str:
    """What a rule for whole records can ask for: when the record was last changed."""
    return next(iter(record.values.get("whenChanged", ())), "")


def _words(lost: tuple[str, ...], added: tuple[str, ...], sddl: Mapping[str, str], *, single: bool) -> str:
    if any(value.startswith("sd:") for value in (*lost, *added)):
        lost, added = _entries(lost, added, sddl)
        if not lost and not added:
            return "is written differently, with the same entries"
        single = False
    if any(value.startswith("secret:") for value in (*lost, *added)):
        return "changed" if lost and added else "is lost" if lost else "is new"
    if single:
        return f"changed from {_listed(lost)} to {_listed(added)}"
    parts = [f"{verb} {_listed(values)}" for verb, values in (("lost", lost), ("has new", added)) if values]
    return ", ".join(parts)


def _entries(
    lost: tuple[str, ...], added: tuple[str, ...], sddl: Mapping[str, str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What of two security descriptors differs: owner, group, flags and entries."""
    old = {part for value in lost for part in _parts(sddl.get(value, value))}
    new = {part for value in added for part in _parts(sddl.get(value, value))}
    return tuple(sorted(old - new)), tuple(sorted(new - old))


def _parts(text: str) -> Iterator[str]:
    """The parts of an SDDL; entries of the SACL are told from those of the DACL."""
    for half in re.split(r"(?=\b[DS]:)", text):
        mark = "SACL " if half.startswith("S:") else ""
        yield from (mark + ace for ace in _ACE.findall(half))
        if head := half.partition("(")[0].strip():
            yield head


def _listed(values: tuple[str, ...]) -> str:
    shown = [_short(value) for value in values[:_SHOWN]]
    more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
    return "; ".join(shown) + more


def _short(value: str) -> str:
    found = _LINK.fullmatch(value)
    text = found[2] if found else value
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

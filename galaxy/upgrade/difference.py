"""What two dumps say differently, in words that an administrator reads."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from galaxy.host.wording import first_of
from galaxy.upgrade.dumpfile import Record

_LINK = re.compile(
    r"((?:[BS]:\d+:[^:]*:)?<GUID=[0-9a-f-]{36}>)(?:;<SID=[^>]*>)?;(.*)", re.IGNORECASE | re.DOTALL
)
_ACE = re.compile(r"\([^()]*(?:\([^()]*\)[^()]*)*\)")
_SDDL = re.compile(
    r"(?:O:(?P<owner>S-[0-9-]+|[A-Z]{2}))?(?:G:(?P<group>S-[0-9-]+|[A-Z]{2}))?"
    r"(?:D:(?P<DACL>.*?))?(?:S:(?P<SACL>[A-Z_]*(?:\(.*)?))?",
    re.DOTALL,
)
_SHOWN, _LONGEST = 3, 160
# The attribute that stands for the record itself: its name.
NAME, DELETED = "dn", "isDeleted"
# What versions of Samba print by name or by number: the rights of a file (MS-DTYP 2.4.4.1.1).
_FILE_RIGHTS = {"FA": "0x1f01ff", "FR": "0x120089", "FW": "0x120116", "FX": "0x1200a0"}


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
    return Difference(area=record.area, name=record.name, lost=_marks(record), words="is lost")


def record_new(record: Record) -> Difference:
    """A record that was not there before."""
    return Difference(area=record.area, name=record.name, added=_marks(record), words="is new")


def record_differences(before: Record, after: Record, sddl: Mapping[str, str]) -> Iterator[Difference]:
    """The attributes of one record that are not as before; a link to a renamed object is no difference.

    An object that was deleted is one difference, though it has lost most of its attributes.
    """
    if DELETED in after.values and DELETED not in before.values:
        yield _changed(before, DELETED, (), after.values[DELETED], "is deleted")
        return
    if before.name != after.name:
        yield _changed(before, NAME, (before.name,), (after.name,), f"is now called {after.name}")
    passed_over = ""
    for attribute in sorted({*before.values, *after.values}):
        old = {_identity(value): value for value in before.values.get(attribute, ())}
        new = {_identity(value): value for value in after.values.get(attribute, ())}
        lost = tuple(value for key, value in sorted(old.items()) if key not in new)
        added = tuple(value for key, value in sorted(new.items()) if key not in old)
        if (lost or added) and attribute != passed_over:
            single = len(old) == len(new) == 1
            words = f"{attribute} {_words(lost, added, sddl, single=single)}"
            yield _changed(after, attribute, lost, added, words)
            passed_over = f"{attribute} times"  # of DNS records that are not the same there is no more to say


def _changed(
    record: Record, attribute: str, lost: tuple[str, ...], added: tuple[str, ...], words: str
) -> Difference:
    return Difference(
        area=record.area, name=record.name, attribute=attribute, lost=lost, added=added, words=words
    )


def _identity(value: str) -> str:
    """A link by its target's GUID; any other value as it is."""
    found = _LINK.fullmatch(value)
    return found[1].lower() if found else value


def _marks(record: Record) -> tuple[str, ...]:
    """What a rule for whole records can ask for: DNS records, else the time of the last change."""
    return record.values.get("dnsRecord") or record.values.get("whenChanged") or ("",)


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
    """Owner, group, and the flags and entries of both lists of an SDDL (MS-DTYP 2.5.1)."""
    found = _SDDL.fullmatch(text)
    if found is None:
        yield text
        return
    for word in ("owner", "group"):
        if found[word]:
            yield f"{word} {found[word]}"
    for word in ("DACL", "SACL"):
        flags, paren, entries = (found[word] or "").partition("(")
        if flags:
            yield f"{word} {flags}"
        mark = "SACL " if word == "SACL" else ""
        yield from (mark + _sorted_rights(ace) for ace in _ACE.findall(paren + entries))


def _sorted_rights(ace: str) -> str:
    """An entry with its flags and rights in one order and notation: versions of Samba print them in different ones."""
    fields = ace.split(";")
    for place in (1, 2):
        if len(fields) > place and re.fullmatch(r"(?:[A-Z]{2})*", fields[place]):
            fields[place] = "".join(sorted(re.findall("..", fields[place])))
    if len(fields) > 2:
        rights = _FILE_RIGHTS.get(fields[2], fields[2])
        fields[2] = hex(int(rights, 16)) if rights.startswith("0x") else rights
    return ";".join(fields)


def _listed(values: tuple[str, ...]) -> str:
    return first_of([_short(value) for value in values], _SHOWN, "; ")


def _short(value: str) -> str:
    found = _LINK.fullmatch(value)
    text = found[2] if found else value
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."

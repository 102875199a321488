"""Data kept: what of a server's data is not as it was, less what is expected to change."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from galaxy.upgrade.difference import Difference, record_differences, record_gone, record_new
from galaxy.upgrade.dumpfile import DataDump, fingerprints, picked
from galaxy.upgrade.expected import Expected, Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """An expected difference, with the reason that expected.toml gives for it."""

    difference: Difference
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """All differences between two dumps. Empty `unexpected` means: the data were kept."""

    unexpected: tuple[Difference, ...]
    expected: tuple[Explained, ...]
    objects: int
    files: int
    values: int
    seconds: float

    def __str__(self) -> str:
        verdict = (
            f"{len(self.unexpected)} unexpected differences" if self.unexpected else "nothing lost or changed"
        )
        return (
            f"{verdict}: {self.objects} objects and entries, {self.files} files, {self.values} attributes compared "
            f"({len(self.expected)} expected changes)"
        )


def differences(before: DataDump, after: DataDump, expected: tuple[Rule, ...]) -> tuple[Difference, ...]:
    """What an upgrade must not have done: every difference that no rule explains."""
    return compare(before, after, expected).unexpected


def compare(before: DataDump, after: DataDump, rules: tuple[Rule, ...]) -> Comparison:
    """Compare two dumps that were written under the same key; with another key all secrets seem changed."""
    began = time.monotonic()
    expected = Expected(rules=rules, before=before.header, after=after.header)
    unexpected: list[Difference] = []
    explained: list[Explained] = []
    for difference in all_differences(before, after):
        if reason := expected.reason(difference):
            explained.append(Explained(difference=difference, reason=reason))
        else:
            unexpected.append(difference)
    counts = before.counts
    return Comparison(
        unexpected=tuple(unexpected),
        expected=tuple(explained),
        objects=sum(number for area, number in counts.items() if area not in {"files", "values"}),
        files=counts.get("files", 0),
        values=counts.get("values", 0),
        seconds=time.monotonic() - began,
    )


def all_differences(before: DataDump, after: DataDump) -> Iterator[Difference]:
    """Every difference, by name; two passes over each file, and only records that differ are ever parsed."""
    old, new = fingerprints(before.lines()), fingerprints(after.lines())
    keys = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    old_records, old_sddl = picked(before.lines(), keys)
    new_records, new_sddl = picked(after.lines(), keys)
    records = {**new_records, **old_records}
    for key in sorted(records, key=lambda key: (records[key].area, records[key].name.lower())):
        if key not in new_records:
            yield record_gone(old_records[key])
        elif key not in old_records:
            yield record_new(new_records[key])
        else:
            yield from record_differences(old_records[key], new_records[key], {**old_sddl, **new_sddl})

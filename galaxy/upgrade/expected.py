"""The stated list of expected changes: expected.toml. Whatever no rule explains is a finding."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from galaxy.host.settings import parse_toml
from galaxy.upgrade.difference import Difference
from galaxy.upgrade.dumpfile import Header

EXPECTED_FILE = Path(__file__).with_name("expected.toml")


class Rule(BaseModel):
    """One expected change. Every pattern is a regular expression for the whole text, case ignored.

    In them {domain}, {config}, {schema}, {forest}, {ntds}, {server}, {account}, {dns_name} and {host} stand for the
    names of the server's own things. Without `attributes` the rule is about whole records. A side (`lost`, `added`)
    without a pattern must be empty; with one, all its values match. A rule that names what is `added` explains no loss
    without it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: str
    name: str
    attributes: tuple[str, ...] = ()
    lost: str | None = None
    added: str | None = None
    expired: bool = Field(
        default=False, description="only a deleted object that is past its tombstone lifetime"
    )
    rises: bool = Field(default=False, description="both sides are numbers, and no number becomes smaller")
    reason: str = Field(min_length=20)


class RuleFile(BaseModel):
    """The whole of expected.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: tuple[Rule, ...]


def load_rules(file: Path = EXPECTED_FILE) -> tuple[Rule, ...]:
    """The rules of a file. InputError for what cannot be taken."""
    return parse_toml(file, RuleFile).rule


@dataclass(frozen=True, slots=True, kw_only=True)
class _Holding:
    """A rule between two certain dumps, with the server's own names filled in."""

    rule: Rule
    name: re.Pattern[str]
    lost: re.Pattern[str] | None
    added: re.Pattern[str] | None

    def fits(self, difference: Difference) -> bool:
        """Whether it is about this difference, times left aside."""
        return (
            self.rule.area == difference.area
            and (
                difference.attribute in self.rule.attributes
                if self.rule.attributes
                else not difference.attribute
            )
            and self.name.fullmatch(difference.name) is not None
            and _all_match(self.lost, difference.lost)
            and _all_match(self.added, difference.added)
            and (self.added is None or difference.added != ())
            and (not self.rule.rises or _rises(difference))
        )


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The rules that hold between two dumps."""

    rules: tuple[Rule, ...]
    before: Header
    after: Header

    def reason(self, difference: Difference) -> str:
        """Why a difference is expected; '' when it is not."""
        return next((one.rule.reason for one in self._holding if self._explains(one, difference)), "")

    @cached_property
    def _holding(self) -> tuple[_Holding, ...]:
        own = self.before.model_dump(exclude={"area", "version", "taken", "tombstone_days"})
        names = {word.removesuffix("_dn"): re.escape(value) for word, value in own.items()}
        names["host"] = re.escape(self.before.dns_name.partition(".")[0])
        return tuple(
            _Holding(
                rule=rule,
                name=_pattern(rule.name, names),
                lost=None if rule.lost is None else _pattern(rule.lost, names),
                added=None if rule.added is None else _pattern(rule.added, names),
            )
            for rule in self.rules
        )

    def _explains(self, holding: _Holding, difference: Difference) -> bool:
        return holding.fits(difference) and (not holding.rule.expired or self._expired(difference))

    def _expired(self, difference: Difference) -> bool:
        """Whether a lost object was last changed longer ago than deleted objects are kept."""
        kept = timedelta(days=self.before.tombstone_days)
        return all(mark != "" and _time(mark) + kept < _time(self.after.taken) for mark in difference.lost)


def _pattern(text: str, names: Mapping[str, str]) -> re.Pattern[str]:
    for word, value in names.items():
        text = text.replace("{" + word + "}", value)
    return re.compile(text, re.IGNORECASE | re.DOTALL)


def _all_match(pattern: re.Pattern[str] | None, values: tuple[str, ...]) -> bool:
    if pattern is None:
        return not values
    return all(pattern.fullmatch(value) for value in values)


def _rises(difference: Difference) -> bool:
    numbers = difference.lost and difference.added
    return bool(numbers) and min(map(int, difference.added)) >= max(map(int, difference.lost))


def _time(text: str) -> datetime:
    return datetime.strptime(text.partition(".")[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC)

"""The stated list of expected changes: expected.toml. Whatever no rule explains is a finding."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from galaxy.host.settings import parse_toml
from galaxy.release.version import Version
from galaxy.upgrade.difference import Difference
from galaxy.upgrade.dumpfile import Header

EXPECTED_FILE = Path(__file__).with_name("expected.toml")


class Rule(BaseModel):
    """One expected change. Every pattern is a regular expression for the whole text, case ignored.

    In `name`, {domain}, {config}, {schema}, {forest}, {ntds}, {server}, {account} and {dns_name} stand for the
    names of the server's own things. Without `attributes` the rule is about whole records. A side (`lost`, `added`)
    without a pattern must be empty; all values of the other must match.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    area: str
    name: str
    attributes: tuple[str, ...] = ()
    lost: str | None = None
    added: str | None = None
    since: str | None = Field(
        default=None, description="the change comes with this version: older before, not after"
    )
    expired: bool = Field(
        default=False, description="only a deleted object that is past its tombstone lifetime"
    )
    reason: str = Field(min_length=20)


class RuleFile(BaseModel):
    """The whole of expected.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rule: tuple[Rule, ...]


def load_rules(file: Path = EXPECTED_FILE) -> tuple[Rule, ...]:
    """The rules of a file. InputError for what cannot be taken."""
    return parse_toml(file, RuleFile).rule


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The rules that hold between two dumps."""

    rules: tuple[Rule, ...]
    before: Header
    after: Header

    def reason(self, difference: Difference) -> str:
        """Why a difference is expected; '' when it is not."""
        return next(
            (rule.reason for rule, name in self._holding if self._explains(rule, name, difference)), ""
        )

    @cached_property
    def _holding(self) -> tuple[tuple[Rule, re.Pattern[str]], ...]:
        return tuple((rule, self._name(rule)) for rule in self.rules if self._in_time(rule))

    def _in_time(self, rule: Rule) -> bool:
        since = rule.since
        return since is None or version_of(self.before) < Version.parse(since) <= version_of(self.after)

    def _name(self, rule: Rule) -> re.Pattern[str]:
        own = self.before.model_dump(exclude={"area", "version", "taken", "tombstone_days"})
        text = rule.name
        for word, value in own.items():
            text = text.replace("{" + word.removesuffix("_dn") + "}", re.escape(value))
        return re.compile(text, re.IGNORECASE | re.DOTALL)

    def _explains(self, rule: Rule, name: re.Pattern[str], difference: Difference) -> bool:
        return (
            rule.area == difference.area
            and (difference.attribute in rule.attributes if rule.attributes else not difference.attribute)
            and name.fullmatch(difference.name) is not None
            and _all_match(rule.lost, difference.lost)
            and _all_match(rule.added, difference.added)
            and (not rule.expired or self._expired(difference))
        )

    def _expired(self, difference: Difference) -> bool:
        """Whether a lost object was last changed longer ago than deleted objects are kept."""
        kept = timedelta(days=self.before.tombstone_days)
        return all(mark != "" and _time(mark) + kept < _time(self.after.taken) for mark in difference.lost)


def version_of(header: Header) -> Version:
    """The Samba version that wrote a dump, without what a distributor adds to it."""
    found = re.match(r"\d+\.\d+(\.\d+)?((pre|rc)\d+)?", header.version)
    return Version.parse(found[0] if found else header.version)


def _all_match(pattern: str | None, values: Iterable[str]) -> bool:
    if pattern is None:
        return not any(True for _ in values)
    return all(re.fullmatch(pattern, value, re.IGNORECASE | re.DOTALL) for value in values)


def _time(text: str) -> datetime:
    return datetime.strptime(text.partition(".")[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC)

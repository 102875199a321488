"""What a check is: a pytest function with a stable id and a line that says what a user would lose.

`@check` belongs on a test function in verify/checks/<area>/test_*.py; the id is `area.name` and never
changes, for known failures, policies and old results refer to it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from galaxy.host.errors import InputError

Tier = Literal["smoke", "standard", "full"]
TIERS: tuple[Tier, ...] = ("smoke", "standard", "full")
_ID = re.compile(r"[a-z0-9]+\.[a-z0-9]+(-[a-z0-9]+)*")
_ATTRIBUTE = "galaxy_check"
_Function = TypeVar("_Function", bound=Callable[..., Any])


class NotApplicable(Exception):  # noqa: N818 - an outcome, not an error
    """Raised when the target can't have what the check looks at; the message is the reason."""


class Blocked(Exception):  # noqa: N818 - an outcome, not an error
    """Raised in an item's setup when something before it failed, so that the item says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckInfo:
    """What a check says of itself.

    `tier` is the smallest set that contains it: smoke is in standard is in full. `last` puts it at the end
    of every checkpoint (dbcheck: it must see what the other checks left).
    """

    id: str
    loses: str
    tier: Tier
    last: bool = False

    @property
    def area(self) -> str:
        """The part of the id before the dot."""
        return self.id.partition(".")[0]

    def within(self, tier: Tier) -> bool:
        """Whether a run of this tier has the check."""
        return TIERS.index(self.tier) <= TIERS.index(tier)


def check(
    check_id: str, *, loses: str, tier: Tier = "standard", last: bool = False
) -> Callable[[_Function], _Function]:
    """Make a test function a check; `loses` is one line: what a user would lose if it failed."""
    if not _ID.fullmatch(check_id):
        raise InputError(f"{check_id!r} is not a check id", "Name checks area.name in small letters.")
    if not loses or "\n" in loses:
        raise InputError(f"{check_id} does not say in one line what a user would lose", "Give loses=.")
    info = CheckInfo(id=check_id, loses=loses, tier=tier, last=last)

    def attach(function: _Function) -> _Function:
        setattr(function, _ATTRIBUTE, info)
        return function

    return attach


def check_of(item: object) -> CheckInfo | None:
    """The check that a pytest item runs; None for anything else."""
    found = getattr(getattr(item, "function", None), _ATTRIBUTE, None)
    return found if isinstance(found, CheckInfo) else None

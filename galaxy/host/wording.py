"""Words for people that several places share."""

from collections.abc import Sequence


def first_of(items: Sequence[str], most: int, between: str = ", ") -> str:
    """The first few, and how many more there are: `a, b and 3 more`."""
    more = len(items) - most
    return between.join(items[:most]) + (f" and {more} more" if more > 0 else "")

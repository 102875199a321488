"""Words for people that several places share."""

from collections.abc import Sequence


def printable(text: str) -> str:
    """A text that a terminal shows as it is: what the terminal would act upon is written as in a Python literal."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


def first_of(items: Sequence[str], most: int, between: str = ", ") -> str:
    """The first few, and how many more there are: `a, b and 3 more`."""
    more = len(items) - most
    return between.join(items[:most]) + (f" and {more} more" if more > 0 else "")

"""Words for people."""

import pytest

from galaxy.host.wording import first_of


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ((), ""),
        ("a", "a"),
        ("abc", "a; b; c"),
        ("abcd", "a; b; c and 1 more"),
        ("abcdef", "a; b; c and 3 more"),
    ],
)
def test_a_long_list_says_how_long_it_is(items: str, words: str) -> None:
    assert first_of(list(items), 3, "; ") == words

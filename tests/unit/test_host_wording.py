"""Words for people."""

import pytest

from galaxy.host.wording import first_of, printable


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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Grüße an alle.txt", "Grüße an alle.txt"),
        ("esc\x1b[31mRED", r"esc\x1b[31mRED"),
        ("two\nlines", r"two\nlines"),
        ("no utf-8 \udcff", r"no utf-8 \udcff"),
    ],
)
def test_a_terminal_acts_upon_no_name(name: str, shown: str) -> None:
    assert printable(name) == shown

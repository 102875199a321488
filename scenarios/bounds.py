"""How long clients may be kept waiting at most: some four times the longest that was seen on a busy machine.

The goals are far below, and are benchmarks' matter: a figure that nobody judges would let a switch of a minute pass.
"""

SWITCH_SECONDS = 15.0
# A way back lists what is lost once more while clients wait, and may convert the databases.
BACK_SECONDS = 30.0
CLIENT_SECONDS = 25.0


def require_within(seconds: float, most: float, what: str) -> None:
    """AssertionError when something took longer than it may."""
    assert seconds <= most, f"{what} took {seconds:.1f} s, and may take {most:g}"

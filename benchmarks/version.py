"""`galaxy --version` against `python3 -c pass`: what it costs to call galaxy at all."""

from pathlib import Path

from benchmarks.figure import Figure, figure, seconds
from galaxy.host.process import run

_TIMES = 20
_LAUNCHER = Path(__file__).parents[1] / "bin/galaxy"


def measure() -> Figure:
    """Milliseconds, medians of twenty."""
    galaxy, bare = [], []
    for _ in range(_TIMES):
        galaxy.append(1000 * seconds(lambda: run([_LAUNCHER, "--version"])))
        bare.append(1000 * seconds(lambda: run(["/usr/bin/python3", "-c", "pass"])))
    return figure("galaxy --version vs python3 -c pass", "ms", 3.0, galaxy, bare)

"""Where the time of a verify run went, from one that was made before: workers at work, cells a minute, overhead."""

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from galaxy.gate.run import RUN_FILE, RunInfo
from galaxy.gate.summary import SUMMARY_FILE
from galaxy.host.progress import say
from galaxy.host.store import Store

# Workers shall be in steps and checks for 85 % of a run, from its plan to its last worker's end.
_MOST_IDLE = 15.0


def figures(store: Store, run: Path | None) -> Iterator[Figure]:
    """Of that run, or of the newest finished one in the store; says so when there is none."""
    folders = [run] if run else [one for one in sorted(store.runs.glob("*"), reverse=True) if _is_whole(one)]
    for folder in folders:
        told = _told(folder / SUMMARY_FILE)
        if "efficiency" in told:
            yield from _rows(folder.name, told)
            return
    say("no finished run of a matrix to read; make one: galaxy verify --matrix quick")


def _is_whole(folder: Path) -> bool:
    """Whether all checks ran: with few of them, making the lab would seem to be most of the work."""
    return (folder / RUN_FILE).exists() and not RunInfo.read(folder).selection


def _told(summary: Path) -> dict[str, float]:
    if not summary.exists():
        return {}
    figures: dict[str, float] = json.loads(summary.read_text(encoding="utf-8"))["figures"]
    return figures


def _rows(run: str, told: dict[str, float]) -> Iterator[Figure]:
    idle = 100 * (1 - told["efficiency"])
    hands = f"{told['workers']:.0f} workers"
    yield Figure(name=f"{hands} not at work, of {run}", value=idle, unit="%", goal=_MOST_IDLE)
    yield Figure(name=f"cells a minute, of {run}", value=told["cells_per_minute"], unit="")
    yield Figure(name=f"neither Samba nor a check, of {run}", value=100 * told["overhead_share"], unit="%")

"""The share of a verify run's time that was neither Samba nor a check, from a run that was made before."""

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from galaxy.gate.run import RUN_FILE, RunInfo
from galaxy.gate.summary import SUMMARY_FILE
from galaxy.host.progress import say
from galaxy.host.store import Store


def figures(store: Store, run: Path | None) -> Iterator[Figure]:
    """Of that run, or of the newest finished one in the store; says so when there is none."""
    folders = [run] if run else [one for one in sorted(store.runs.glob("*"), reverse=True) if _is_whole(one)]
    for folder in folders:
        share = _share(folder / SUMMARY_FILE)
        if share is not None:
            yield Figure(name=f"neither Samba nor a check, of {folder.name}", value=100 * share, unit="%")
            return
    say("no finished run of a matrix to read; make one: galaxy verify --matrix quick")


def _is_whole(folder: Path) -> bool:
    """Whether all checks ran: with few of them, making the lab would seem to be most of the work."""
    return (folder / RUN_FILE).exists() and not RunInfo.read(folder).selection


def _share(summary: Path) -> float | None:
    if not summary.exists():
        return None
    found = json.loads(summary.read_text(encoding="utf-8"))["figures"].get("overhead_share")
    return float(found) if found is not None else None

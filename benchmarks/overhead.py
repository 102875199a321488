"""The share of a verify run's time that was neither Samba nor a check, from a run that was made before."""

import json
from collections.abc import Iterator
from pathlib import Path

from benchmarks.figure import Figure
from galaxy.gate.summary import SUMMARY_FILE
from galaxy.host.progress import say
from galaxy.host.store import Store


def figures(store: Store, run: Path | None) -> Iterator[Figure]:
    """Of that run, or of the newest finished one in the store; says so when there is none."""
    folders = [run] if run else sorted(store.runs.glob("*"), reverse=True)
    for folder in folders:
        share = _share(folder / SUMMARY_FILE)
        if share is not None:
            yield Figure(name=f"neither Samba nor a check, of {folder.name}", value=100 * share, unit="%")
            return
    say("no finished run of a matrix to read; make one: galaxy verify --matrix quick")


def _share(summary: Path) -> float | None:
    if not summary.exists():
        return None
    found = json.loads(summary.read_text(encoding="utf-8"))["figures"].get("overhead_share")
    return float(found) if found is not None else None

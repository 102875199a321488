"""The share of a verify run's time that was neither Samba nor a check, from the newest run in the store."""

import json

from galaxy.host.store import Store


def line(store: Store) -> str:
    """One line for people; says so when no run has been finished."""
    for summary in sorted(store.runs.glob("*/summary.json"), reverse=True):
        share = json.loads(summary.read_text(encoding="utf-8"))["figures"].get("overhead_share")
        if share is not None:
            return f"neither Samba nor a check: {share:.1%} of the workers' time in {summary.parent.name}"
    return "neither Samba nor a check: no finished run in the store; make one: galaxy verify --matrix quick"

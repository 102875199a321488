"""The last judgement of each image, kept for whoever asks later why it is not production-ready.

It is a note for people: what counts is the certificate.
"""

import contextlib
from pathlib import Path

from galaxy.gate.summary import Summary, Verdict
from galaxy.host.files import write_atomic
from galaxy.host.store import Store


def remember(store: Store, summary: Summary) -> None:
    """Note what a whole run said of its images; a part of one (`-k`, a shard) says nothing of an image."""
    if summary.selection or summary.shard:
        return
    for verdict in summary.verdicts.values():
        write_atomic(_file(store, verdict.image_id), verdict.model_dump_json(indent=1) + "\n")


def last_verdict(store: Store, image_id: str) -> Verdict | None:
    """What the last whole run said of the image; None when there was none, or its note can't be read."""
    with contextlib.suppress(OSError, ValueError):
        return Verdict.model_validate_json(_file(store, image_id).read_bytes())
    return None


def _file(store: Store, image_id: str) -> Path:
    return store.certificates / image_id / "verdict.json"

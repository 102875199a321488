"""Small files that remember what was found out; one that is missing or damaged only costs finding out again."""

import json
from pathlib import Path
from typing import Any

from galaxy.host.files import write_atomic


def recall(path: Path, state: str = "") -> dict[str, Any]:
    """What was remembered while things were in `state`; empty when they are in another, or nothing can be read."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        return dict(body["known"]) if body["state"] == state else {}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def remember(path: Path, known: dict[str, Any], state: str = "") -> None:
    """Remember something for as long as things are in `state`; the addresses of files may have passwords in them."""
    write_atomic(path, json.dumps({"state": state, "known": known}, indent=1), 0o600)

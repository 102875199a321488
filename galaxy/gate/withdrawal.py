"""That a run has failed an image, for good: what began before that run says nothing of the image any more."""

from datetime import UTC, datetime
from pathlib import Path

from galaxy.gate.results import RESULTS_FILE
from galaxy.host.files import write_atomic
from galaxy.host.progress import say
from galaxy.host.store import Store

CERTIFICATE_FILE = "certificate.json"
# When the last run began that failed the image. It stays: a later certificate counts because its run began later.
_WITHDRAWN_FILE = "withdrawn"


def certificate_file(store: Store, image_id: str) -> Path:
    """Where an image's certificate is kept."""
    return store.certificates / image_id / CERTIFICATE_FILE


def withdrawn(store: Store, image_id: str) -> datetime | None:
    """When the last run began that failed an image on this host; None when none has."""
    file = certificate_file(store, image_id).with_name(_WITHDRAWN_FILE)
    try:
        return datetime.fromisoformat(file.read_text(encoding="utf-8").strip())
    except FileNotFoundError:
        return None
    except (OSError, ValueError):
        return datetime.now(UTC)


def withdraw(store: Store, image_id: str, started: datetime) -> bool:
    """Remove an image's certificate, because a later run, begun at `started`, failed it; says whether there was one.

    The note of why the last whole run refused it stays; and that it was withdrawn, for no older run, and no copy of the
    certificate, counts from then on.
    """
    file = certificate_file(store, image_id)
    existed = file.exists()
    for gone in (file, file.with_name(RESULTS_FILE)):
        gone.unlink(missing_ok=True)
    latest = max(started, withdrawn(store, image_id) or started)  # an older run may end later
    try:
        write_atomic(file.with_name(_WITHDRAWN_FILE), f"{latest.isoformat()}\n")
    except OSError as error:
        say(f"warning: that the certificate of {image_id[:12]} was withdrawn could not be noted: {error}")
    return existed

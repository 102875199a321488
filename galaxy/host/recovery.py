"""What interrupted commands left in the journal: whether there is any, and undoing it."""

import json
from collections.abc import Iterator
from pathlib import Path

from galaxy.host.errors import InterruptedByUser, PolicyError
from galaxy.host.files import sweep
from galaxy.host.journal import Entry, abandoned_entry, entry_files, half_made_words, require_undone
from galaxy.host.lock import locked
from galaxy.host.store import Store

# Entries that this process is undoing.
_SETTLING: set[Path] = set()


def interrupted(store: Store, subject: str) -> str:
    """The verb of a command that was cut off in the middle of something with this subject; '' when none was.

    Of entries inside of each other it is the outer one's, which is what somebody has asked for. What this process is
    settling right now does not count, nor what cannot be read: `recover` tells of that.
    """
    left = [
        entry for entry in _abandoned(store, []) if entry.subject == subject and entry.path not in _SETTLING
    ]
    return left[-1].verb if left else ""


def mentioned(store: Store, subject: str) -> bool:
    """Whether any entry may be about this subject: of a command that is at work too, and any that cannot be read."""
    return any(_may_be_about(path, subject) for path in entry_files(store))


def _may_be_about(path: Path, subject: str) -> bool:
    try:
        return bool(json.loads(path.read_text(encoding="utf-8"))["subject"] == subject)
    except FileNotFoundError:
        return False
    except (KeyError, TypeError, ValueError):
        return True


def require_uninterrupted(store: Store, subject: str) -> None:
    """PolicyError when a command about this subject was cut off, and nobody has undone yet what it did.

    Whoever settles that would undo it under what begins now.
    """
    if verb := interrupted(store, subject):
        raise PolicyError(
            f"an interrupted {verb} of {subject} has not been undone yet", "Run: galaxy recover"
        )


def recover(store: Store, retry: str | None = None) -> list[str]:
    """Undo what interrupted commands left; returns a line for each entry.

    Newest first: an entry inside of another's block is undone before that one, as when nothing is interrupted, and what
    cannot be undone keeps older ones about the same subject waiting. What a recovery has failed at is tried again if
    its subject is `retry`, or if that is None: it may take a minute, for which a command about something else should
    not wait. Raises HostError, after all have been tried, if something stays.
    """
    lines: list[str] = []
    sweep(store.journal)
    if not any(entry_files(store)):
        return lines
    try:
        with locked(store, "recovery", wait=120):
            failures = _recover_all(store, retry, lines)
            for folder in _written(store):
                sweep(folder)
    except InterruptedByUser as wish:
        if left := [f"{entry.verb} of {entry.subject}" for entry in _abandoned(store, [])]:
            wish.hint = half_made_words(left)
        raise
    require_undone(failures)
    return lines


def _recover_all(store: Store, retry: str | None, lines: list[str]) -> list[str]:
    """Undo what can be; returns what cannot. `lines` gets what was settled."""
    failures: list[str] = []
    waits: set[str] = set()
    for entry in _abandoned(store, failures):
        if entry.subject in waits:
            failures.append(f"{entry.verb} of {entry.subject} (after that)")
            continue
        again = not entry.stuck or retry in {None, entry.subject}
        stays = _settle(entry) if again else [f"{entry.stuck} (not tried again for this command)"]
        if stays:
            waits.add(entry.subject)
            failures += stays
        else:
            lines.append(f"settled an interrupted {entry.verb} of {entry.subject}")
    return failures


def _settle(entry: Entry) -> list[str]:
    """Undo an interrupted command's entry; what could not be undone is returned, and noted in what stays of it."""
    _SETTLING.add(entry.path)
    try:
        entry.stuck = ""
        failures = entry.undo()
        if failures:
            entry.note_stuck("; ".join(failures))
        return failures
    finally:
        _SETTLING.discard(entry.path)


def _abandoned(store: Store, unreadable: list[str]) -> list[Entry]:
    """The entries whose process is gone, the one that began last first; `unreadable` gets a word about each other."""
    found: list[Entry] = []
    for path in entry_files(store):
        try:
            entry = abandoned_entry(path)
        except (KeyError, TypeError, ValueError) as error:
            unreadable.append(f"{path} cannot be read ({error}); look at it and remove it")
        else:
            found += [entry] if entry is not None else []
    return sorted(found, key=lambda entry: entry.began, reverse=True)


def _written(store: Store) -> Iterator[Path]:
    """Where commands write files for servers."""
    for server in store.servers.glob("*/"):
        yield from (server, server / "bundle", server / "secrets", *server.glob("snapshots/*/"))

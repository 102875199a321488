"""What is under way, written down before it is done, so that anything interrupted can be undone.

One Entry is one command's file under the store's `journal/`. Each action (a mount, a folder, a namespace, a
container) is added to the file, and the file synced, before the act. Leaving the block undoes what is temporary,
and after a failure also what was to stay; an entry whose process is gone is undone by the next command
(`recover`). Every handler is idempotent: it may meet an act that never happened, or was undone already.
"""

import json
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from galaxy.host.errors import GalaxyError
from galaxy.host.files import sync_folder, write_atomic
from galaxy.host.process import run
from galaxy.host.store import Store

Handler = Callable[[str], None]
_HANDLERS: dict[str, Handler] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to undo: the name of a handler and what it is called with."""

    kind: str
    target: str


def undoes(kind: str) -> Callable[[Handler], Handler]:
    """Register the function that undoes actions of this kind; it gets the action's target."""

    def register(handler: Handler) -> Handler:
        _HANDLERS[kind] = handler
        return handler

    return register


@dataclass(slots=True)
class Entry:
    """The journal of one command: who does it, to what, and what is to be undone if it stops here."""

    path: Path
    verb: str
    subject: str
    actions: list[Action] = field(default_factory=list)

    def on_failure(self, kind: str, target: str | Path) -> None:
        """Write down, before doing it, something that shall stay if the command succeeds."""
        assert kind in _HANDLERS, kind
        self.actions.append(Action(kind=kind, target=str(target)))
        self._save()

    @contextmanager
    def temporarily(self, kind: str, target: str | Path) -> Iterator[None]:
        """Write down, before doing it, something that is undone at the end of the block, whatever happens."""
        action = Action(kind=kind, target=str(target))
        self.actions.append(action)
        self._save()
        try:
            yield
        finally:
            _HANDLERS[kind](action.target)
            self.actions.remove(action)
            self._save()

    def undo(self) -> list[str]:
        """Undo everything, newest first; returns what could not be undone, in words, and keeps only that."""
        failures: list[str] = []
        for action in reversed(list(self.actions)):
            try:
                _HANDLERS[action.kind](action.target)
            except Exception as error:  # noqa: BLE001 - teardown goes on, and reports every failure
                failures.append(f"{action.kind} {action.target}: {error}")
            else:
                self.actions.remove(action)
        if failures:
            self._save()
        else:
            self.path.unlink(missing_ok=True)
        return failures

    def _save(self) -> None:
        body = {
            "verb": self.verb,
            "subject": self.subject,
            "owner": process_identity(os.getpid()),
            "actions": [{"kind": action.kind, "target": action.target} for action in self.actions],
        }
        write_atomic(self.path, json.dumps(body, indent=1))


@contextmanager
def journal(store: Store, verb: str, subject: str) -> Iterator[Entry]:
    """Open an entry for one command; the file goes when the block ends well or everything is undone."""
    store.journal.mkdir(parents=True, exist_ok=True)
    entry = Entry(store.journal / f"{verb}-{secrets.token_hex(6)}.json", verb, subject)
    try:
        yield entry
    except BaseException as error:
        for failure in entry.undo():
            error.add_note(f"not undone: {failure} (galaxy recover tries again)")
        raise
    entry.path.unlink(missing_ok=True)
    sync_folder(store.journal)


def pending(store: Store) -> list[Entry]:
    """The entries whose process is gone, oldest first."""
    if not store.journal.is_dir():
        return []
    files = sorted(store.journal.glob("*.json"), key=lambda path: path.stat().st_mtime)
    return [entry for path in files if (entry := _load(path)) is not None]


def recover(store: Store) -> list[str]:
    """Undo what interrupted commands left; returns a line for each entry. Raises GalaxyError if something stays."""
    lines, failures = [], []
    for entry in pending(store):
        failures += entry.undo()
        lines.append(f"undid an interrupted {entry.verb} of {entry.subject}")
    if failures:
        raise GalaxyError("could not undo: " + "; ".join(failures), "Mend that and run: galaxy recover")
    return lines


def process_identity(pid: int) -> str:
    """`pid:start time:boot id`, which no later process can have; '' when there is no such process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    if fields[0] == "Z":
        return ""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
    return f"{pid}:{fields[19]}:{boot}"


def _load(path: Path) -> Entry | None:
    """An entry whose owner is gone; None for a live one or a file that has just been removed."""
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    owner = str(body["owner"])
    if owner and process_identity(int(owner.split(":")[0])) == owner:
        return None
    return Entry(path, body["verb"], body["subject"], [Action(**action) for action in body["actions"]])


@undoes("tree")
def _remove_tree(target: str) -> None:
    """Remove a folder or file, but never through a mount that is still below it."""
    path = Path(target)
    if any(Path(point).is_relative_to(path) for point in mount_points()):
        raise GalaxyError(f"{path} still holds a mount", "Unmount it first.")
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


@undoes("mount")
def _unmount(target: str) -> None:
    """Unmount everything at and below a mount point, deepest first."""
    below = [point for point in mount_points() if Path(point).is_relative_to(target)]
    for point in sorted(below, key=len, reverse=True):
        run(["umount", point])


def mount_points() -> list[str]:
    """The mount points of this mount namespace, in the order of mounting (proc(5), mountinfo)."""
    lines = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    return [line.split(" ")[4].encode().decode("unicode_escape") for line in lines]

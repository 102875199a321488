"""What is under way, written down before it is done, so that anything interrupted can be undone.

One Entry is one command's file under the store's `journal/`. Each action (a mount, a folder, a namespace, a
container) is added to the file, and the file synced, before the act. Leaving the block undoes what is temporary,
and after a failure also what was to stay; an entry whose process is gone is undone by the next command
(`recover`). Every handler is idempotent: it may meet an act that never happened, or was undone already.
"""

import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path

import galaxy.host.mounts  # noqa: F401 - its kinds are everybody's
from galaxy.host.errors import HostError, InterruptedByUser
from galaxy.host.files import FULL, sync_folder, write_atomic
from galaxy.host.process import process_identity, process_lives
from galaxy.host.progress import say
from galaxy.host.store import Store
from galaxy.host.undo import Action

# The verb of commands, and parts of commands, that read a server's data and change nothing of it.
LOOK = "look"
# Entries whose blocks this thread is in, the innermost last.
_OPEN: "ContextVar[tuple[Entry, ...]]" = ContextVar("open entries", default=())


@dataclass(slots=True)
class Entry:
    """The journal of one command: who does it, to what, and what is to be undone if it stops here.

    `began`: nanoseconds of the clock, later than that of an entry around it. `stuck`: why a recovery could not undo it;
    '' when none has tried. `left`: entries inside of this one, about the same subject, that could not be undone.
    """

    path: Path
    verb: str
    subject: str
    actions: list[Action] = field(default_factory=list)
    freeing: bool = False
    began: int = 0
    stuck: str = ""
    left: list["Entry"] = field(default_factory=list)

    def on_failure(self, kind: str, target: str | Path) -> None:
        """Write down, before doing it, something that shall stay if the command succeeds."""
        self._add(kind, target)

    @contextmanager
    def temporarily(self, kind: str, target: str | Path) -> Iterator[None]:
        """Write down, before doing it, something that is undone at the end of the block, whatever happens."""
        action = self._add(kind, target)
        try:
            yield
        except BaseException:
            with suppress(Exception):  # the first error is the one to tell; journal() tries again, and tells
                self._undo_now(action)
            raise
        self._undo_now(action)

    @contextmanager
    def until_done(self, kind: str, target: str | Path) -> Iterator[None]:
        """Write down, before doing it, something that is undone unless the block ends well.

        The end of the block is a commit point: once it has passed, nothing undoes the action any more.
        """
        action = self._add(kind, target)
        try:
            yield
        except BaseException:
            with suppress(Exception):  # as above
                self._undo_now(action)
            raise
        self.actions.remove(action)
        self._save(less=True)

    def undo(self) -> list[str]:
        """Undo everything, newest first; returns what could not be undone, in words, and keeps only that."""
        failures = self.undo_left()
        if failures:
            return failures
        for action in reversed(list(self.actions)):
            try:
                action.undo()
            except Exception as error:  # noqa: BLE001 - teardown goes on, and reports every failure
                failures.append(f"{action.kind} {action.target}: {error}")
            else:
                self.actions.remove(action)
        if failures:
            self._save(less=True)
        else:
            self.path.unlink(missing_ok=True)
        return failures

    def undo_left(self) -> list[str]:
        """Undo what is left of entries inside of this one: it would be undone under what this one puts back."""
        while self.left:
            if failures := self.left[-1].undo():
                return failures
            self.left.pop()
        return []

    def note_stuck(self, why: str) -> None:
        """Write down that a recovery could not undo the rest, for the next one to know."""
        self.stuck = why
        self._save(less=True)

    def _add(self, kind: str, target: str | Path) -> Action:
        action = Action.of(kind, target)
        self.actions.append(action)
        self._save(less=self.freeing)
        return action

    def _undo_now(self, action: Action) -> None:
        _require_nothing_left(self)
        action.undo()
        self.actions.remove(action)
        self._save(less=True)

    def _save(self, *, less: bool = False) -> None:
        """Write the entry. One that says less than before, or frees space, may be left as it is on a full disk."""
        body = {
            "verb": self.verb,
            "subject": self.subject,
            # What a recovery gave up is nobody's at work: what it was about is not touched before it is settled.
            "owner": "" if self.stuck else process_identity(os.getpid()),
            "actions": [asdict(action) for action in self.actions],
            "began": self.began,
            "stuck": self.stuck,
        }
        try:
            write_atomic(self.path, json.dumps(body, indent=1))
        except OSError as error:
            if not less or error.errno not in FULL:
                raise


@contextmanager
def journal(store: Store, verb: str, subject: str, *, freeing: bool = False) -> Iterator[Entry]:
    """Open an entry for one command; the file goes when the block ends well or everything is undone.

    `freeing`: the command makes nothing and frees space, so it goes on without an entry on a full disk. Inside of an
    entry about the same subject, what cannot be undone is undone before that one does or undoes anything else.
    """
    store.journal.mkdir(parents=True, exist_ok=True)
    outer = next((entry for entry in reversed(_OPEN.get()) if entry.subject == subject), None)
    if outer is not None:
        _require_nothing_left(outer)
    began = max(time.time_ns(), outer.began + 1 if outer is not None else 0)
    name = f"{verb}-{secrets.token_hex(6)}.json"
    entry = Entry(store.journal / name, verb, subject, freeing=freeing, began=began)
    _OPEN.set((*_OPEN.get(), entry))
    try:
        yield entry
    except BaseException as error:
        _undo_after(error, entry, outer)
        raise
    finally:
        _OPEN.set(tuple(other for other in _OPEN.get() if other is not entry))
    for failure in entry.undo_left():
        say(f"warning: not undone: {failure} (galaxy recover tries again)")
    entry.path.unlink(missing_ok=True)
    sync_folder(store.journal)


def _undo_after(error: BaseException, entry: Entry, outer: Entry | None) -> None:
    """Undo an entry after an error, which is told what could not be. A wish to end meanwhile is raised afterwards."""
    told = error
    try:
        failures = entry.undo()
    except InterruptedByUser as wish:  # the only one: later signals do nothing
        told, failures = wish, entry.undo()
    for failure in failures:
        told.add_note(f"not undone: {failure} (galaxy recover tries again)")
    if failures and isinstance(told, InterruptedByUser):
        told.hint = half_made_words([f"{entry.verb} of {entry.subject}"])
    # What only looks at a server leaves nothing that could run in its place.
    if failures and outer is not None and entry.verb != LOOK:
        outer.left.append(entry)
    if told is not error:
        raise told from error


def _require_nothing_left(entry: Entry) -> None:
    """HostError when something that began inside of the entry, and failed, can still not be undone."""
    require_undone(entry.undo_left())


def require_undone(failures: list[str]) -> None:
    """HostError when something could not be undone."""
    if failures:
        raise HostError("could not undo: " + "; ".join(failures), "Mend that and run: galaxy recover")


def half_made_words(what: list[str]) -> str:
    """What to tell somebody who broke off an undoing."""
    return f"{', '.join(what)}: still half made. To settle that: galaxy recover"


def entry_files(store: Store) -> list[Path]:
    """The entries of all commands; one may vanish at any moment, when its command ends."""
    return sorted(store.journal.glob("*.json"))


def abandoned_entry(path: Path) -> Entry | None:
    """An entry whose owner is gone; None for a live one or a file that has just been removed.

    KeyError, TypeError or ValueError when it is not what `_save` writes.
    """
    try:
        body = json.loads(path.read_text(encoding="utf-8"))
        changed = path.stat().st_mtime_ns
    except FileNotFoundError:
        return None
    owner = str(body["owner"])
    if process_lives(owner):
        return None
    actions = [Action(**action) for action in body["actions"]]
    # An older Galaxy's has neither.
    began, stuck = int(body.get("began") or changed), str(body.get("stuck", ""))
    return Entry(path, body["verb"], body["subject"], actions, began=began, stuck=stuck)

"""What is under way, written down before it is done, so that anything interrupted can be undone.

One Entry is one command's file under the store's `journal/`. Each action (a mount, a folder, a namespace, a
container) is added to the file, and the file synced, before the act. Leaving the block undoes what is temporary,
and after a failure also what was to stay; an entry whose process is gone is undone by the next command
(`recover`). Every handler is idempotent: it may meet an act that never happened, or was undone already.
"""

import importlib
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from pathlib import Path

from galaxy.host.errors import GalaxyError, HostError, InterruptedByUser
from galaxy.host.files import FULL, sweep, sync_folder, write_atomic
from galaxy.host.lock import locked
from galaxy.host.process import run
from galaxy.host.progress import say
from galaxy.host.store import Store

Handler = Callable[[str], None]
# How the kernel writes spaces and backslashes in mountinfo.
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_HANDLERS: dict[str, Handler] = {}
# The verb of commands, and parts of commands, that read a server's data and change nothing of it.
LOOK = "look"
# Entries that this process is undoing.
_SETTLING: set[Path] = set()
# Entries whose blocks this thread is in, the innermost last.
_OPEN: "ContextVar[tuple[Entry, ...]]" = ContextVar("open entries", default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing to undo: the name of a handler, what it is called with, and the module that registers it."""

    kind: str
    target: str
    module: str

    def undo(self) -> None:
        """Call the handler; the process that undoes may be another one, which has not loaded its module yet."""
        if self.kind not in _HANDLERS:
            importlib.import_module(self.module)
        _HANDLERS[self.kind](self.target)


def undoes(kind: str) -> Callable[[Handler], Handler]:
    """Register the function that undoes actions of this kind; it gets the action's target.

    The entry names the function's module, so that a later command that knows nothing of the kind can load it.
    """

    def register(handler: Handler) -> Handler:
        _HANDLERS[kind] = handler
        return handler

    return register


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
        action = Action(kind=kind, target=str(target), module=_HANDLERS[kind].__module__)
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
        told.hint = _half_made_words([f"{entry.verb} of {entry.subject}"])
    # What only looks at a server leaves nothing that could run in its place.
    if failures and outer is not None and entry.verb != LOOK:
        outer.left.append(entry)
    if told is not error:
        raise told from error


def _require_nothing_left(entry: Entry) -> None:
    """HostError when something that began inside of the entry, and failed, can still not be undone."""
    _require_undone(entry.undo_left())


def _require_undone(failures: list[str]) -> None:
    if failures:
        raise HostError("could not undo: " + "; ".join(failures), "Mend that and run: galaxy recover")


def interrupted(store: Store, subject: str) -> str:
    """The verb of a command that was cut off in the middle of something with this subject; '' when none was.

    What this process is settling right now does not count, nor what cannot be read: `recover` tells of that.
    """
    for path in _files(store):
        if path in _SETTLING:
            continue
        try:
            entry = _load(path)
        except (KeyError, TypeError, ValueError):
            continue
        if entry is not None and entry.subject == subject:
            return entry.verb
    return ""


def recover(store: Store, retry: str | None = None) -> list[str]:
    """Undo what interrupted commands left; returns a line for each entry.

    Newest first: an entry inside of another's block is undone before that one, as when nothing is interrupted, and what
    cannot be undone keeps older ones about the same subject waiting. What a recovery has failed at is tried again if
    its subject is `retry`, or if that is None: it may take a minute, for which a command about something else should
    not wait. Raises HostError, after all have been tried, if something stays.
    """
    lines: list[str] = []
    sweep(store.journal)
    if not any(_files(store)):
        return lines
    try:
        with locked(store, "recovery", wait=120):
            failures = _recover_all(store, retry, lines)
            for folder in _written(store):
                sweep(folder)
    except InterruptedByUser as wish:
        if left := [f"{entry.verb} of {entry.subject}" for entry in _abandoned(store, [])]:
            wish.hint = _half_made_words(left)
        raise
    _require_undone(failures)
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
    for path in _files(store):
        try:
            entry = _load(path)
        except (KeyError, TypeError, ValueError) as error:
            unreadable.append(f"{path} cannot be read ({error}); look at it and remove it")
        else:
            found += [entry] if entry is not None else []
    return sorted(found, key=lambda entry: entry.began, reverse=True)


def _half_made_words(what: list[str]) -> str:
    return f"{', '.join(what)}: still half made. To settle that: galaxy recover"


def _written(store: Store) -> Iterator[Path]:
    """Where commands write files for servers."""
    for server in store.servers.glob("*/"):
        yield from (server, server / "bundle", server / "secrets", *server.glob("snapshots/*/"))


def _files(store: Store) -> list[Path]:
    """The entries of all commands; one may vanish at any moment, when its command ends."""
    return sorted(store.journal.glob("*.json"))


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


def process_lives(identity: str) -> bool:
    """Whether the process of that identity is there still. ValueError when it is no identity."""
    return identity != "" and process_identity(int(identity.partition(":")[0])) == identity


def _load(path: Path) -> Entry | None:
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
    lines = Path("/proc/self/mountinfo").read_bytes().splitlines()
    return [os.fsdecode(_ESCAPED.sub(_byte, line.split(b" ")[4])) for line in lines]


def _byte(octal: re.Match[bytes]) -> bytes:
    return bytes([int(octal[1], 8)])

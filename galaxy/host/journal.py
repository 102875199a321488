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
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

from galaxy.host.errors import GalaxyError, HostError, InterruptedByUser
from galaxy.host.files import FULL, sweep, sync_folder, write_atomic
from galaxy.host.lock import locked
from galaxy.host.process import run
from galaxy.host.store import Store

Handler = Callable[[str], None]
# How the kernel writes spaces and backslashes in mountinfo.
_ESCAPED = re.compile(rb"\\([0-7]{3})")
_HANDLERS: dict[str, Handler] = {}
# Entries that this process is undoing.
_SETTLING: set[Path] = set()


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

    `stuck`: why a recovery could not undo it; '' when none has tried.
    """

    path: Path
    verb: str
    subject: str
    actions: list[Action] = field(default_factory=list)
    freeing: bool = False
    stuck: str = ""

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
        failures: list[str] = []
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

    `freeing`: the command makes nothing and frees space, so it goes on without an entry on a full disk.
    """
    store.journal.mkdir(parents=True, exist_ok=True)
    entry = Entry(store.journal / f"{verb}-{secrets.token_hex(6)}.json", verb, subject, freeing=freeing)
    try:
        yield entry
    except BaseException as error:
        for failure in entry.undo():
            error.add_note(f"not undone: {failure} (galaxy recover tries again)")
        raise
    entry.path.unlink(missing_ok=True)
    sync_folder(store.journal)


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

    Newest first: an entry inside of another's block is undone before that one, as when nothing is interrupted. What a
    recovery has failed at is tried again if its subject is `retry`, or if that is None: it may take a minute, for which
    a command about something else should not wait. Raises HostError, after all have been tried, if something stays.
    """
    lines: list[str] = []
    failures: list[str] = []
    sweep(store.journal)
    if not any(_files(store)):
        return lines
    try:
        with locked(store, "recovery", wait=120):
            for path in reversed(_files(store)):
                try:
                    entry = _load(path)
                except (KeyError, TypeError, ValueError) as error:
                    failures.append(f"{path} cannot be read ({error}); look at it and remove it")
                    continue
                if entry is None:
                    continue
                if entry.stuck and retry not in {None, entry.subject}:
                    failures.append(f"{entry.stuck} (not tried again for this command)")
                    continue
                failures += _settle(entry)
                lines.append(f"settled an interrupted {entry.verb} of {entry.subject}")
            for folder in _written(store):
                sweep(folder)
    except InterruptedByUser as wish:
        if left := _half_made(store):
            wish.hint = f"{', '.join(left)}: still half made. To settle that: galaxy recover"
        raise
    if failures:
        raise HostError("could not undo: " + "; ".join(failures), "Mend that and run: galaxy recover")
    return lines


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


def _half_made(store: Store) -> list[str]:
    """What is left of commands whose process is gone: "create of dc1"."""
    left: list[str] = []
    for path in _files(store):
        with suppress(KeyError, TypeError, ValueError):
            if (entry := _load(path)) is not None:
                left.append(f"{entry.verb} of {entry.subject}")
    return left


def _written(store: Store) -> Iterator[Path]:
    """Where commands write files for servers."""
    for server in store.servers.glob("*/"):
        yield from (server, server / "bundle", server / "secrets", *server.glob("snapshots/*/"))


def _files(store: Store) -> list[Path]:
    """The entries of all commands, oldest first; one may vanish at any moment, when its command ends."""
    return [path for _, path in sorted((_time(path), path) for path in store.journal.glob("*.json"))]


def _time(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


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
    except FileNotFoundError:
        return None
    owner = str(body["owner"])
    if process_lives(owner):
        return None
    actions = [Action(**action) for action in body["actions"]]
    return Entry(path, body["verb"], body["subject"], actions, stuck=str(body.get("stuck", "")))


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

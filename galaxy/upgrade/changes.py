"""What has been written since a snapshot: what going back to it would lose, in words for who must decide that."""

import difflib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galaxy.host.journal import Entry
from galaxy.host.wording import printable
from galaxy.server.config import Server
from galaxy.upgrade.consult import consult
from galaxy.upgrade.filechanges import FileChange, file_changes
from galaxy.upgrade.noise import Changed, by_machine

_PASSWORD = {
    *("unicodePwd", "dBCSPwd", "ntPwdHistory", "lmPwdHistory", "supplementalCredentials", "pwdLastSet"),
    "msDS-KeyVersionNumber",
}
_ANOTHER_BRANCH = (
    "the server has gone back to another state since, which is not there to compare with any more"
)
# More than this nobody reads; --json has all.
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Everything since a snapshot. `machine` counts the objects that the server changed by itself.

    `settings` are the lines of a unified diff of smb.conf, `+` for what would be lost. What was not there yet when this
    was read has a higher USN than `usn`, or a file that was touched after `read` (ns since 1970).
    """

    objects: tuple[Changed, ...]
    machine: int
    files: tuple[FileChange, ...]
    settings: tuple[str, ...]
    usn: int = 0
    read: int = 0

    @property
    def none(self) -> bool:
        """Whether people have written nothing that going back would lose."""
        return not (self.objects or self.files or self.settings)

    def lines(self, most: int = _SHOWN) -> Iterator[str]:
        """The list for people, at most so many lines of each sort."""
        for title, lines in self.sections():
            yield from _section(title, lines, most)
        if self.machine:
            yield f"not listed: {self.machine} objects that the server changed by itself (logon times, its own records)"

    def sections(self) -> tuple[tuple[str, list[str]], ...]:
        """The whole list, sort by sort."""
        return (
            ("objects", [object_line(item) for item in self.objects]),
            ("files", [f"{item.what:<11} {printable(item.path)}" for item in self.files]),
            ("lines of smb.conf", [printable(line) for line in self.settings]),
        )


def lost(changes: Changes | None, taken: str, unreadable: str) -> tuple[str, ...]:
    """What going back to a state of that time costs, in lines for people; without `changes`, why nobody can tell."""
    if changes is None:
        return (f"everything since {taken}; what that is cannot be read: {unreadable or _ANOTHER_BRANCH}",)
    return () if changes.none else tuple(changes.lines())


def late(before: Changes, now: Changes) -> list[str]:
    """The lines of people's changes that came after a list of them was made; an object may have changed once more."""
    listed = {_state(item) for item in before.objects}
    known = {line for _, lines in before.sections()[1:] for line in lines}
    return [
        *(object_line(item) for item in now.objects if _state(item) not in listed),
        *(line for _, lines in now.sections()[1:] for line in lines if line not in known),
    ]


def _state(item: Changed) -> tuple[object, ...]:
    """What tells an object from itself after one more change: a line for people has only the minute."""
    return item.dn, item.what, item.when, tuple(sorted(item.attributes)), tuple(sorted(item.links.items()))


def changes_since(
    entry: Entry, server: Server, usn: int, before: Path | None, *, touched: int = 0, in_place: bool = False
) -> Changes:
    """What has changed since the state in the folder `before`, which had committed `usn`; without it, not in files.

    Reads the server's own database, running or stopped (`in_place`: see `consult`); both folders are only read. With
    `touched`, files that have not been since that time are not compared.
    """
    read = time.time_ns()
    printed = consult(entry, server, "changes", str(usn), in_place=in_place)
    changed = tuple(parse(printed))
    by_people = [item for item in changed if not by_machine(item, server.config)]
    return Changes(
        objects=tuple(sorted(by_people, key=lambda item: (item.when, item.dn))),
        machine=len(changed) - len(by_people),
        files=tuple(file_changes(before, server.folder, touched)) if before else (),
        settings=tuple(_setting_changes(before / "etc" / "smb.conf", server.etc / "smb.conf"))
        if before
        else (),
        usn=committed(printed),
        read=read,
    )


def committed(printed: str) -> int:
    """The highest USN that there was when `inside/changes.py` began."""
    return next(int(json.loads(line)["usn"]) for line in printed.splitlines() if line.startswith('{"usn"'))


def parse(printed: str) -> Iterator[Changed]:
    """What `inside/changes.py` printed; what Samba says besides is no JSON."""
    for line in printed.splitlines():
        if line.startswith('{"dn"'):
            yield _changed(json.loads(line))


def object_line(item: Changed) -> str:
    """`2026-11-23 08:36  changed  user      CN=anna,... (password)`."""
    about = _about(item)
    detail = f" ({', '.join(about)})" if about and item.what == "changed" else ""
    when = item.when[:16].replace("T", " ")
    return f"{when:<16}  {item.what:<7}  {item.kind:<9} {printable(item.dn)}{detail}"


def _about(item: Changed) -> list[str]:
    """What of an object changed: attributes, the many of a password as one, and how many links."""
    plain = [name for name in item.attributes if name not in _PASSWORD]
    secret = ["password"] if set(item.attributes) & _PASSWORD else []
    links = [
        f"{name} " + " ".join(f"{sign}{count}" for sign, count in zip("+-", counts, strict=True) if count)
        for name, counts in item.links.items()
    ]
    return [*secret, *plain, *links]


def _section(title: str, lines: list[str], most: int) -> Iterator[str]:
    if lines:
        yield f"{title} ({len(lines)}):"
        yield from (f"  {line}" for line in lines[:most])
        if len(lines) > most:
            yield f"  ... and {len(lines) - most} more"


def _changed(told: dict[str, Any]) -> Changed:
    return Changed(
        dn=told["dn"],
        kind=told["kind"],
        what=told["what"],
        attributes=tuple(told["attributes"]),
        links={name: (added, removed) for name, (added, removed) in told["links"].items()},
        passing=told["passing"],
        dynamic=told["dynamic"],
        manual=told["manual"],
        when=told["when"],
    )


def _setting_changes(before: Path, now: Path) -> Iterator[str]:
    old, new = (path.read_text(encoding="utf-8", errors="replace").splitlines() for path in (before, now))
    for line in difflib.unified_diff(old, new, lineterm="", n=0):
        if not line.startswith(("---", "+++", "@@")):
            yield line

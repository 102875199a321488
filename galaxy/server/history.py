"""Which changes of version or state a server has had: servers/NAME/upgrades.jsonl, one object a line, oldest first.

A line is written at the commit point, of an upgrade, a rollback or a restore. A rollback takes back the upgrades since
the version that it leads to, so that a second `galaxy rollback` goes back by the upgrade before; going to a snapshot
brings back those that stood when it was taken. The file is no part of a snapshot: restoring one doesn't make it forget.

Snapshots' ids are in the order of time. Each that is gone back to begins a new branch of states: what a branch has
written, no snapshot of another one has.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from galaxy.host.errors import InputError
from galaxy.host.files import write_atomic
from galaxy.server.config import Server
from galaxy.server.kept import ID_TIME, Snapshot

RESTORE, REJOIN = "restore", "rejoin"
# Above every snapshot's id: the state of now.
_NOW = "~"


class UpgradeRecord(BaseModel):
    """One committed change of versions; `snapshot` is the id of the state before it.

    `way` is empty for an upgrade, else how it was rolled back, or "restore". `restored`: the id of the snapshot that it
    went to, if it did.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_image: str
    to_image: str
    snapshot: str
    committed: datetime
    way: str = ""
    restored: str = ""


def record(server: Server, entry: UpgradeRecord) -> None:
    """Write down what was committed, durably; the same one twice (a recovery) counts once."""
    known = history(server)
    if entry not in known:
        _write(server, (*known, entry))


def history(server: Server) -> tuple[UpgradeRecord, ...]:
    """All that was committed, oldest first; InputError names the line that cannot be read."""
    file = _file(server)
    if not file.exists():
        return ()
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{file} cannot be read: {error}", "Put the server's record of its versions back from a backup."
        ) from None
    return tuple(_parse(file, number, line) for number, line in enumerate(lines, 1) if line.strip())


def last_upgrade(server: Server) -> UpgradeRecord | None:
    """The upgrade that the server's image is there by; None when it never was upgraded, or all was taken back."""
    standing = _standing(history(server))
    return standing[-1] if standing and standing[-1].to_image == server.config.image_id else None


def parting(server: Server, snapshot: Snapshot) -> str | None:
    """The id of the snapshot at which the present state parted from this one's branch.

    None when the present state comes from this snapshot; '' when nothing is common: it joined the domain anew since.
    """
    entries = history(server)
    if any(one.way == REJOIN and snapshot.taken <= one.committed for one in entries):
        return ""
    found = _common([one for one in entries if one.restored], snapshot.id, _NOW)
    return None if found == snapshot.id else found


def _standing(entries: Sequence[UpgradeRecord]) -> list[UpgradeRecord]:
    """The upgrades that none of the later changes has taken back."""
    standing: list[UpgradeRecord] = []
    for number, entry in enumerate(entries):
        if entry.restored:
            standing = _standing([one for one in entries[:number] if _began(one) < entry.restored])
        elif not entry.way:
            standing.append(entry)
        else:
            while standing and standing[-1].to_image != entry.to_image:
                standing.pop()
    return standing


def _began(entry: UpgradeRecord) -> str:
    """When a change began, as snapshots' ids have it; a rejoin has no snapshot, and the time of its end has to do."""
    return entry.snapshot or entry.committed.strftime(ID_TIME)


def _common(restores: Sequence[UpgradeRecord], one: str, other: str) -> str:
    """The last state that two come from, by their snapshots' ids: the later is followed back, branch by branch.

    '' when that leads in a circle: an older Galaxy has given ids by a clock that was put back.
    """
    met: set[tuple[str, str]] = set()
    while one != other:
        one, other = sorted((one, other))
        if (one, other) in met:
            return ""
        met.add((one, other))
        before = [entry for entry in restores if entry.snapshot < other]
        if not before or before[-1].snapshot < one:
            return one
        other = before[-1].restored
    return one


def forget(server: Server, snapshot: str) -> None:
    """Drop the change with that snapshot: it was interrupted at its very end, and went back by itself."""
    known = history(server)
    if any(entry.snapshot == snapshot for entry in known):
        _write(server, tuple(entry for entry in known if entry.snapshot != snapshot))


def _file(server: Server) -> Path:
    return server.folder / "upgrades.jsonl"


def _write(server: Server, entries: tuple[UpgradeRecord, ...]) -> None:
    text = "".join(entry.model_dump_json() + "\n" for entry in entries)
    write_atomic(_file(server), text, 0o600)


def _parse(file: Path, number: int, line: str) -> UpgradeRecord:
    try:
        return UpgradeRecord.model_validate_json(line)
    except ValidationError as error:
        raise InputError(
            f"line {number} of {file} is not an upgrade's record: {error.errors()[0]['msg']}",
            "Mend or remove that line.",
        ) from None

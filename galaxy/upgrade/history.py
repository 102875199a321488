"""Which upgrades a server has had: servers/NAME/upgrades.jsonl, one object a line, oldest first.

A line is written at the commit point, of an upgrade or of a rollback; a rollback takes back the upgrades since the
version that it leads to, so that a second `galaxy rollback` goes back by the upgrade before. The file is no part of a
snapshot: restoring one doesn't make it forget.
"""

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from galaxy.host.errors import InputError
from galaxy.host.files import write_atomic
from galaxy.server.config import Server


class UpgradeRecord(BaseModel):
    """One committed change of versions; `snapshot` is the id of the state before it.

    `way` is empty for an upgrade, else how it was rolled back.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    from_image: str
    to_image: str
    snapshot: str
    committed: datetime
    way: str = ""


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
    lines = file.read_text(encoding="utf-8").splitlines()
    return tuple(_parse(file, number, line) for number, line in enumerate(lines, 1) if line.strip())


def last_upgrade(server: Server) -> UpgradeRecord | None:
    """The upgrade that the server's image is there by; None when it never was upgraded, or all was taken back."""
    standing: list[UpgradeRecord] = []
    for entry in history(server):
        if not entry.way:
            standing.append(entry)
        else:
            while standing and standing[-1].to_image != entry.to_image:
                standing.pop()
    return standing[-1] if standing and standing[-1].to_image == server.config.image_id else None


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

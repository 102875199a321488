"""The snapshots that a server has: their records on disk, found, listed and checked before they are trusted."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from galaxy.host.errors import GalaxyError, InputError, PolicyError
from galaxy.host.files import write_atomic
from galaxy.host.settings import parse_toml
from galaxy.server.config import CONFIG, Server, ServerConfig
from galaxy.server.copying import PARTS

RECORD = "snapshot.json"
# How a snapshot's id begins, in UTC: ids are in the order of age.
ID_TIME = "%Y%m%d-%H%M%S"


class Snapshot(BaseModel):
    """snapshot.json: whose state it is, of when and why. It is there once everything else of the snapshot is.

    `version` is the image's reference; `size` bytes on disk; `seconds` it took, of which writers waited `held`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    id: str
    name: str
    reason: str
    taken: datetime
    image_id: str
    version: str
    running: bool
    pinned: bool = False
    size: int
    seconds: float
    held: float
    path: Path = Field(exclude=True)

    def write(self) -> None:
        """Put snapshot.json in place."""
        write_atomic(self.path / RECORD, self.model_dump_json(indent=1) + "\n", 0o600)


def snapshots(server: Server) -> tuple[Snapshot, ...]:
    """The snapshots that can be restored, oldest first."""
    return tuple(found for _, found in _entries(server) if isinstance(found, Snapshot))


def damaged(server: Server) -> dict[str, GalaxyError]:
    """What is wrong with each folder among the snapshots that is none, by name."""
    return {name: found for name, found in _entries(server) if isinstance(found, GalaxyError)}


def find_snapshot(server: Server, wanted: str) -> Snapshot:
    """The snapshot of that id, or of an id that alone begins so.

    InputError when there is none; PolicyError when there is one that cannot be trusted.
    """
    known = [folder.name for folder in _folders(server)]
    matching = [wanted] if wanted in known else [name for name in known if wanted and name.startswith(wanted)]
    if len(matching) == 1:
        return read_snapshot(server, server.snapshots / matching[0])
    if matching:
        raise InputError(
            f"{wanted} is the beginning of {len(matching)} snapshots of {server.name}",
            f"Name one of: {', '.join(matching)}.",
        )
    have = f"Name one of: {', '.join(known)}." if known else f"Make one: galaxy snapshot {server.name}"
    raise InputError(f"{server.name} has no snapshot {wanted}", have)


def read_snapshot(server: Server, folder: Path) -> Snapshot:
    """The snapshot in a folder. PolicyError unless it is whole and this server's."""
    found = read_record(folder)
    _require_whole(server, found)
    return found


def read_record(folder: Path) -> Snapshot:
    """What snapshot.json says of a folder, whatever the folder holds. PolicyError when it cannot be read."""
    try:
        body = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return Snapshot.model_validate({**body, "path": folder})
    except FileNotFoundError:
        raise _untrusted(folder, f"it has no {RECORD}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise _untrusted(folder, f"{RECORD}: {key}: {first['msg']}") from None
    except (OSError, ValueError, TypeError) as error:
        raise _untrusted(folder, f"{RECORD} cannot be read: {error}") from None


def config_of(snapshot: Snapshot) -> ServerConfig:
    """The server.toml of a snapshot."""
    return parse_toml(snapshot.path / CONFIG, ServerConfig)


def _require_whole(server: Server, snapshot: Snapshot) -> None:
    if missing := [part for part in (*PARTS, CONFIG) if not (snapshot.path / part).exists()]:
        raise _untrusted(snapshot.path, f"it has no {missing[0]}")
    config = config_of(snapshot)
    if snapshot.id != snapshot.path.name or config.image_id != snapshot.image_id:
        raise _untrusted(snapshot.path, f"its {RECORD} is another snapshot's")
    theirs, own = (f"{one.hostname} of {one.realm}" for one in (config, server.config))
    if theirs != own:
        raise _untrusted(snapshot.path, f"it is the state of {theirs}, and {server.name} is {own}")


def _untrusted(folder: Path, why: str) -> PolicyError:
    return PolicyError(
        f"the snapshot {folder} cannot be used: {why}", "Take another one, or remove the folder."
    )


def _entries(server: Server) -> Iterator[tuple[str, Snapshot | GalaxyError]]:
    for folder in _folders(server):
        try:
            yield folder.name, read_snapshot(server, folder)
        except GalaxyError as error:
            yield folder.name, error


def _folders(server: Server) -> list[Path]:
    """Names with a dot are half made, and belong to a command that runs."""
    return sorted(path for path in server.snapshots.glob("*") if path.is_dir() and path.name[0] != ".")

"""A server's state exchanged for another by renaming: each part is in one place at any moment, and none is copied."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from galaxy.host.errors import HostError
from galaxy.host.files import is_immutable, sync_folder
from galaxy.host.mounts import mounts_at
from galaxy.server.config import CONFIG, Server
from galaxy.server.copying import PARTS


def require_movable(server: Server) -> None:
    """HostError when a part of the state, or the folder of snapshots, is a link or a mount, or may not be changed.

    Renaming exchanges what lies in the server's folder; a snapshot that lies elsewhere cannot be put in its place.
    """
    require_own_parts(server)
    _require_in_folder(server, server.snapshots)
    for path in _all_of(server):
        if is_immutable(path):
            raise HostError(
                f"{path} is immutable: a state that has it can neither be replaced nor put back",
                f"Take that from it: chattr -i -a {path}",
            )


def _all_of(server: Server) -> Iterator[Path]:
    """The server's folder, its server.toml, and everything in its state."""
    yield server.folder
    yield server.folder / CONFIG
    for part in PARTS:
        for place, _, names in os.walk(server.folder / part):
            yield Path(place)
            yield from (Path(place, name) for name in names)


def require_own_parts(server: Server) -> None:
    """HostError when a part of the state is a link or a mount."""
    for part in PARTS:
        _require_in_folder(server, server.folder / part)


def _require_in_folder(server: Server, path: Path) -> None:
    """HostError when what is in the server's folder lies elsewhere; on the same disk too, if it is mounted there.

    Something that is mounted deeper inside would be emptied when the folder that has it makes room.
    """
    if not path.is_symlink() and not path.exists():
        return
    mounted = next(iter(mounts_at(path)), "")
    if path.is_symlink() or mounted or path.stat().st_dev != server.folder.stat().st_dev:
        what = "a link" if path.is_symlink() else "a mount"
        raise HostError(
            f"{mounted or path} is {what}: a state that lies elsewhere can neither be kept nor put back as one",
            "Move the whole store instead: GALAXY_ROOT may be on another disk.",
        )


def exchange(live: Path, incoming: Path, outgoing: Path) -> None:
    """Put every part that is in `incoming` into `live`, and what was there into `outgoing`.

    Cut off anywhere, it can be called again, and called with `incoming` and `outgoing` exchanged it undoes itself.
    """
    if not incoming.is_dir():
        return
    outgoing.mkdir(mode=0o700, exist_ok=True)
    for part in PARTS:
        if (incoming / part).exists():
            if (live / part).exists():
                (live / part).rename(outgoing / part)
            (incoming / part).rename(live / part)
    if (incoming / CONFIG).exists():
        (outgoing / CONFIG).unlink(missing_ok=True)
        (outgoing / CONFIG).hardlink_to(live / CONFIG)  # a copy would need space, and there may be none
        (incoming / CONFIG).replace(live / CONFIG)  # never away: commands find a server by it
    for folder in (outgoing, incoming, live):
        sync_folder(folder)


def swap_back(server: Server, snapshot_id: str) -> None:
    """Give a stopped server the state of a snapshot, which is used up by it; the state of now is gone.

    Cut off anywhere, it can be called again; it does nothing when the snapshot has been used up. It takes no space,
    so that a full disk does not keep anybody from going back.
    """
    folder = server.snapshots / snapshot_id
    if not folder.is_dir():
        return
    for part in PARTS:
        if (folder / part).exists():
            if (server.folder / part).exists():
                shutil.rmtree(server.folder / part)
            (folder / part).rename(server.folder / part)
    if (folder / CONFIG).exists():
        (folder / CONFIG).replace(server.folder / CONFIG)
    for changed in (folder, server.folder):
        sync_folder(changed)
    shutil.rmtree(folder)

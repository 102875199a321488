"""Backups by samba-tool of a server that runs: made, restored as the files of a new DC, and looked at."""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from galaxy.release.version import Version
from scenarios.commands import FOLDER, Command, do_commands
from scenarios.world import World

_NEW_NAME = "dc9"
# How many of the accounts that were written last are looked for, a process each.
_ASKED = 10


def do(world: World, wanted: tuple[Command, ...]) -> int:
    """Do commands on the cell's first server, whatever version it runs now; how many there were."""
    folder_of(world).mkdir(mode=0o700, exist_ok=True)
    version = Version.parse(world.image_of(world.dc).version)
    return do_commands(world.dc, version, wanted)


def folder_of(world: World) -> Path:
    """What the commands' folder is inside, as the host sees it."""
    return world.dc.cache / Path(FOLDER).name


def backed_up(world: World, wanted: tuple[Command, ...]) -> Mapping[str, float]:
    """Make a backup by each of the commands; each can be restored, has what was written, and is sound."""
    began = time.monotonic()
    do(world, wanted)
    seconds = time.monotonic() - began
    archives = sorted(folder_of(world).glob("*.tar.bz2"))
    assert len(archives) == len(wanted), f"the backups made {[path.name for path in archives]}"
    size = sum(path.stat().st_size for path in archives)
    for archive in archives:
        _restore(world, archive)
    shutil.rmtree(folder_of(world))
    return {"backups_s": seconds, "mb": size / 1e6}


def _restore(world: World, archive: Path) -> None:
    place = f"{FOLDER}/restored"
    directory = f"-H {place}/private/sam.ldb"
    written = list(world.written)[-_ASKED:]
    found = [Command(run=f"ldbsearch {directory} -b {dn} -s base cn", says="# 1 entries") for dn in written]
    policy = f"{place}/state/sysvol/{{realm}}/Policies/{{policy}}/GPT.INI"
    do(
        world,
        (
            Command(
                run=f"samba-tool domain backup restore --backup-file={FOLDER}/{archive.name}"
                f" --newservername={_NEW_NAME} --targetdir={place}",
                says="Backup file successfully restored",
            ),
            *found,
            Command(
                run=f"ldbsearch {directory} (sAMAccountName=Administrator) unicodePwd", says="unicodePwd::"
            ),
            Command(run=f"samba-tool ntacl get --as-sddl {policy} -s {place}/etc/smb.conf", says="O:.*D:"),
            Command(run=f"samba-tool dbcheck --cross-ncs {directory}", says=r"\(0 errors\)"),
        ),
    )
    shutil.rmtree(folder_of(world) / "restored")

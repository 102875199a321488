"""What administrators do on a DC: its image's programs do their work, and a backup of it can be restored."""

import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from galaxy.release.version import Version
from galaxy.server.lifecycle import start
from scenarios.commands import FOLDER, Command, commands, do_commands
from scenarios.engine import Scenario, Step
from scenarios.witness import write_account
from scenarios.world import World

Figures = Mapping[str, float]
_NEW_NAME = "dc9"


def _begin(world: World) -> Figures:
    # The backup of a directory in LMDB takes one more program than that of one in TDB, whose files it has too.
    world.create("dc1", world.images[0], "mdb")
    ready = start(world.dc, world.settings)
    write_account(world)
    _folder(world).mkdir(mode=0o700)
    return {"ready_s": ready.all}


def _doing(topic: str) -> Callable[[World], Figures]:
    """The step that does all commands of a topic."""

    def step(world: World) -> Figures:
        return {"commands": len(_do(world, commands(topic)))}

    return step


def _backup(world: World) -> Figures:
    """Offline and online backups of the running server; each is restored, has the account, and is sound."""
    began = time.monotonic()
    _do(world, commands("backup"))
    seconds = time.monotonic() - began
    archives = sorted(_folder(world).glob("*.tar.bz2"))
    assert len(archives) == len(commands("backup")), f"the backups made {[path.name for path in archives]}"
    size = sum(path.stat().st_size for path in archives)
    for archive in archives:
        _restore(world, archive)
    shutil.rmtree(_folder(world))
    return {"backups_s": seconds, "mb": size / 1e6}


def _restore(world: World, archive: Path) -> None:
    """Make a new DC's files of a backup, and look at its databases."""
    place = f"{FOLDER}/restored"
    directory = f"-H {place}/private/sam.ldb"
    found = [
        Command(run=f"ldbsearch {directory} -b {dn} -s base cn", says="# 1 entries") for dn in world.written
    ]
    _do(
        world,
        (
            Command(
                run=f"samba-tool domain backup restore --backup-file={FOLDER}/{archive.name}"
                f" --newservername={_NEW_NAME} --targetdir={place}",
                says="Backup file successfully restored",
            ),
            *found,
            Command(run=f"samba-tool dbcheck --cross-ncs {directory}", says=r"\(0 errors\)"),
        ),
    )
    shutil.rmtree(_folder(world) / "restored")


def _do(world: World, wanted: tuple[Command, ...]) -> tuple[str, ...]:
    return do_commands(world.dc, Version.parse(world.images[0].version), wanted)


def _folder(world: World) -> Path:
    """What `FOLDER` is inside, as the host sees it."""
    return world.dc.cache / Path(FOLDER).name


TOOLS = Scenario(
    name="tools",
    weight=120,
    protects="a version, or an image of one, in which an administrator's command or the nightly backup does not work",
    steps=(
        Step(name="begin", act=_begin, why="A server, its directory in LMDB, with an account."),
        Step(
            name="directory",
            act=_doing("directory"),
            why="Users, groups, computers, units, service names, delegation and password rules, by samba-tool.",
        ),
        Step(
            name="policies",
            act=_doing("policies"),
            why="Group policies are made, filled, backed up and restored; rights in sysvol are read and put right.",
        ),
        Step(name="names", act=_doing("names"), why="A reverse zone and records come, change and go."),
        Step(
            name="domain",
            act=_doing("domain"),
            why="Password rules, keytabs, sites, roles, schema and replication are looked at and set.",
        ),
        Step(
            name="programs",
            act=_doing("programs"),
            why="testparm, wbinfo, net, smbstatus, ntlm_auth, ldbsearch, tdbbackup and others do their work.",
        ),
        Step(
            name="backup",
            act=_backup,
            checkpoint="administered",
            why="`samba-tool domain backup`, offline and online, of the running server; each is restored and sound.",
        ),
    ),
)

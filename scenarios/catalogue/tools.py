"""What administrators do on a DC: its image's programs do their work, and a backup of it can be restored."""

import shutil
from collections.abc import Callable, Mapping

from galaxy.server.lifecycle import start
from scenarios.backups import backed_up, do, folder_of
from scenarios.commands import commands
from scenarios.engine import Scenario, Step
from scenarios.witness import write_account
from scenarios.world import World

Figures = Mapping[str, float]


def _begin(world: World) -> Figures:
    # The backup of a directory in LMDB takes one more program than that of one in TDB, whose files it has too.
    world.create("dc1", world.images[0], "mdb")
    ready = start(world.dc, world.settings)
    write_account(world)
    return {"ready_s": ready.all}


def _doing(topic: str) -> Callable[[World], Figures]:
    """The step that does all commands of a topic."""

    def step(world: World) -> Figures:
        return {"commands": do(world, commands(topic))}

    return step


def _backup(world: World) -> Figures:
    """Offline and online backups of the running server; only they are in the folder."""
    shutil.rmtree(folder_of(world), ignore_errors=True)
    return backed_up(world, commands("backup"))


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
            name="members",
            act=_doing("members"),
            why="Samba's own `net` makes a member, online and offline, with its name in DNS, and takes it out again.",
        ),
        Step(
            name="rodc",
            act=_doing("rodc"),
            why="A read-only DC joins into a folder, gets the passwords it may have and no other, and is forgotten.",
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

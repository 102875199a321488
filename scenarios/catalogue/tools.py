"""What administrators do on a DC: its image's programs do their work, and a backup of it can be restored."""

import shutil
from collections.abc import Mapping

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


def _topic(topic: str, why: str) -> Step:
    """The step that does all commands of a topic, and has its name."""

    def act(world: World) -> Figures:
        return {"commands": do(world, commands(topic))}

    return Step(name=topic, act=act, why=why)


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
        _topic(
            "directory",
            "Users, groups, computers, units, service names, delegation and password rules, by samba-tool.",
        ),
        _topic(
            "policies",
            "Group policies are made, filled, backed up and restored; rights in sysvol are read and put right.",
        ),
        _topic("names", "A reverse zone and records come, change and go."),
        _topic(
            "domain", "Password rules, keytabs, sites, roles, schema and replication are looked at and set."
        ),
        _topic(
            "members",
            "Samba's own `net` makes a member, online and offline, with its name in DNS, and takes it out again.",
        ),
        _topic(
            "rodc",
            "A read-only DC joins into a folder, gets the passwords it may have and no other, and is forgotten.",
        ),
        _topic(
            "programs",
            "testparm, wbinfo, net, smbstatus, ntlm_auth, ldbsearch, tdbbackup and others do their work.",
        ),
        Step(
            name="backup",
            act=_backup,
            checkpoint="administered",
            why="`samba-tool domain backup`, offline and online, of the running server; each is restored and sound.",
        ),
    ),
)

"""A server moves to a newer version while people are at work: nothing they had is lost, and they hardly notice.

Upgrade: one pair of versions. Chain: every version after the other, on one state. Content: a domain as
people have it, from the oldest version to the newest. Failed: the new version is sabotaged, in several ways, and the
server must come back by itself.
"""

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import pairwise

from galaxy.host.errors import ServerError
from galaxy.host.lock import host_locked
from galaxy.release.version import Version
from galaxy.server.config import Server
from galaxy.server.lifecycle import start, status, stop
from galaxy.upgrade.outage import Seen, probing
from galaxy.upgrade.plan import UpgradeRequest
from galaxy.upgrade.upgrade import UpgradeReport, upgrade
from scenarios.backups import backed_up, do
from scenarios.bounds import SWITCH_SECONDS, require_within
from scenarios.commands import Command, commands
from scenarios.content import populate, require_logons
from scenarios.engine import Scenario, Step
from scenarios.kept import compared
from scenarios.regulars import at_work
from scenarios.saboteur import ALL, HIDDEN, SABOTAGES, sabotaged
from scenarios.witness import require_kept, write_account, writing
from scenarios.world import World

Figures = Mapping[str, float]
# How long a version that will never answer is waited for, in seconds; the old one has to be back within it too.
_SHORT = 20.0
_USERS = 2000
# The computer of scenarios/inside/content.py, and the version from which services must say if they want RC4.
_SERVICE, _AES_ALONE = "files1$", Version.parse("4.24.0")
# Seconds until the other cells have measured their outages.
_TURN = 180.0
# From here on a backup with the ACLs of before cannot be restored; see galaxy/upgrade/notices.py.
_SYSVOL_CHANGES = Version.parse("4.24.0")


def _begin(world: World) -> Figures:
    world.create("dc1", world.images[0])
    return _started(world)


def _started(world: World) -> Figures:
    ready = start(world.dc, world.settings)
    for _ in range(3):
        write_account(world)
    return {"ready_s": ready.all}


def _upgrade(world: World) -> Figures:
    figures: dict[str, float] = {}
    watched: list[Seen] = []
    with at_work(world, figures):
        report = _move(world, 1, watching=_watching(world.dc, watched))
    (seen,) = watched
    figures.update(_seen(seen), **_told(report))
    _require_unharmed(seen)
    _settled(world)
    return figures


def _require_unharmed(seen: Seen) -> None:
    """Nobody who came anew was refused or told something wrong, and all services came back."""
    assert not seen.silent, f"no answer any more from {seen.silent}: {seen.services}"
    for name, one in seen.services.items():
        assert one.good > 0, f"{name} never answered: {one}"
        assert (one.refused, one.wrong) == (0, 0), f"clients of {name} were refused or misled: {one}"
        require_within(one.longest_ms / 1000, SWITCH_SECONDS, f"the time without {name}")


@contextmanager
def _watching(server: Server, watched: list[Seen]) -> Iterator[None]:
    """What other clients see of the block is put down in `watched`.

    Asking SMB fifty times a second keeps a processor busy (each negotiation is a process that opens the directory), so
    two that do so at once would measure each other.
    """
    with host_locked("outage-probe", wait=_TURN), probing(server.config) as probe:
        yield
        watched.append(probe.result())


def _backup(world: World) -> Figures:
    """What makes a backup at night goes on to make good ones."""
    _sysvol(world)
    offline, *_ = commands("backup")
    return backed_up(world, (offline,))


def _sysvol(world: World) -> Figures:
    """Once sysvol's ACLs are put right, where that is due, Samba finds none that is not as it should be.

    Its check ends at the first that differs: one that is known would hide any other.
    """
    reset = (Command(run="samba-tool ntacl sysvolreset"),) if _crosses(world, _SYSVOL_CHANGES) else ()
    do(world, (*reset, Command(run="samba-tool ntacl sysvolcheck", no="ERROR")))
    return {}


def _crosses(world: World, since: Version) -> bool:
    """Whether the cell goes from before a version to it or beyond."""
    old, new = (Version.parse(world.images[at].version) for at in (0, -1))
    return old < since <= new


def _upgrade_stopped(world: World) -> Figures:
    stop(world.dc, world.settings)
    report = _move(world, len(world.images) - 1)
    assert status(world.dc).state == "stopped", "the upgrade started a server that was stopped"
    ready = start(world.dc, world.settings)
    _settled(world)
    return {"ready_s": ready.all, "rehearsal_s": report.rehearsal.seconds if report.rehearsal else 0.0}


def _step_on(number: int, *, last: bool) -> Step:
    def act(world: World) -> Figures:
        report = _move(world, number, rehearsal=False)
        _settled(world)
        return _told(report)

    return Step(
        name=f"to-version-{number + 1}",
        act=act,
        checkpoint="last-version" if last else "",
        why="The next version takes over what all before it have made of the state; everything written is there.",
    )


def _chain(images: int) -> tuple[Step, ...]:
    return (_BEGIN, *(_step_on(number, last=number == images - 1) for number in range(1, images)), _REMOVE)


def _content(images: int) -> tuple[Step, ...]:
    return (
        Step(
            name="fill",
            act=_fill,
            why="A domain of the oldest version, in LMDB, with thousands of users and all they need.",
        ),
        Step(
            name="upgrade",
            act=partial(_upgrade_content, number=images - 1),
            checkpoint="upgraded",
            why="Rehearsed and moved to the newest version; all data are compared, accounts of every kind log on.",
        ),
        Step(
            name="sysvol",
            act=_sysvol,
            why="Sysvol's ACLs, of people's policies too, are right, from 4.24 on once sysvolreset has run.",
        ),
        _REMOVE,
    )


def _fill(world: World) -> Figures:
    world.create("dc1", world.images[0], backend_store="mdb")
    figures = dict(_started(world))
    began = time.monotonic()
    content = populate(world.dc, users=_USERS)
    world.accounts.update(content.accounts)
    return {**figures, "fill_s": time.monotonic() - began}


def _upgrade_content(world: World, number: int) -> Figures:
    with compared(world, "dc1") as comparison:
        report = _move(world, number)
    _require_notice(world, report)
    binds = require_logons(world.dc, world.accounts)
    _settled(world)
    return {**_told(report), **comparison, "binds": float(binds)}


def _require_notice(world: World, report: UpgradeReport) -> None:
    """The content's computer has a service and names no encryption types: whoever moves to 4.24 must be told of it."""
    told = [notice for notice in report.notices if _SERVICE in notice]
    assert bool(told) == _crosses(world, _AES_ALONE), f"told before the upgrade: {report.notices}"


def _fail(world: World, name: str) -> Figures:
    before = status(world.dc)
    began = time.monotonic()
    with sabotaged(world, world.images[1], name), writing(world) as written:
        error = _require_failure(world, name, rehearsal=False)
    _require_met(name, error)
    took = time.monotonic() - began
    now = status(world.dc)
    assert now.state == "running", f"after the failed upgrade the server is {now}"
    assert now.pid != before.pid, "the upgrade never got as far as to stop the server"
    assert world.dc.config.image_id == world.images[0].id, "the server has not gone back"
    _settled(world)
    return {"returned_s": took, "writes_acknowledged": float(len(written))}


def _fail_in_rehearsal(world: World, name: str) -> Figures:
    before = status(world.dc)
    with sabotaged(world, world.images[1], name):
        error = _require_failure(world, name, rehearsal=True)
    assert any("rehearsal" in note for note in _notes(error)), f"not the rehearsal found it: {error}"
    _require_met(name, error)
    assert status(world.dc).pid == before.pid, "a rehearsal that failed has touched the server"
    _settled(world)
    return {}


def _require_met(name: str, error: ServerError) -> None:
    """It failed by what was sabotaged, and not by something else."""
    told, says = "\n".join((str(error), *_notes(error))), ALL[name].says
    assert re.search(says, told), f"{name!r} should have failed by {says!r}, and says: {told}"


def _notes(error: BaseException) -> tuple[str, ...]:
    return tuple(getattr(error, "__notes__", ()))


def _require_failure(world: World, name: str, *, rehearsal: bool) -> ServerError:
    waits = {"ready_timeout": _SHORT} if ALL[name].silent else {}
    settings = world.settings.model_copy(update=waits)
    request = UpgradeRequest(name=world.dc.name, ref=world.images[1].id, rehearsal=rehearsal)
    try:
        upgrade(world.store, settings, request)
    except ServerError as error:
        return error
    raise AssertionError(f"the upgrade to a version with the defect {name!r} succeeded")


def _remove(world: World) -> Figures:
    world.remove("dc1")
    return {}


def _move(
    world: World,
    number: int,
    *,
    rehearsal: bool = True,
    watching: AbstractContextManager[object] | None = None,
) -> UpgradeReport:
    request = UpgradeRequest(name=world.dc.name, ref=world.images[number].id, rehearsal=rehearsal)
    runs = status(world.dc).state == "running"
    report = upgrade(world.store, world.settings, request, watching=watching)
    assert world.dc.config.image_id == world.images[number].id, "it has not been moved"
    assert (report.after is not None) == runs, (
        f"it ran before: {runs}, and it was looked after: {report.after}"
    )
    assert report.after is None or report.after.passed, f"after the upgrade: {report.after}"
    require_within(report.switch.away, SWITCH_SECONDS, "the switch")
    assert report.rehearsal is None or not report.rehearsal.checks.before, (
        f"in the rehearsal: {report.rehearsal}"
    )
    return report


def _settled(world: World) -> None:
    """Everything written is there, and the server takes something new."""
    require_kept(world)
    write_account(world)


def _seen(seen: Seen) -> dict[str, float]:
    return {
        f"{name}_{what}": value
        for name, one in seen.services.items()
        for what, value in (
            ("outage_ms", one.longest_ms),
            ("refused", float(one.refused)),
            ("cut", float(one.cut)),
            ("timeouts", float(one.timeouts)),
        )
    }


def _told(report: UpgradeReport) -> dict[str, float]:
    switched = report.switch
    figures = {
        "away_s": switched.away,
        "stopped_s": switched.stopped,
        "snapshotted_s": switched.snapshotted,
        "started_s": switched.started,
        "probed_s": switched.probed,
    }
    if report.rehearsal is not None:
        figures |= {"rehearsal_s": report.rehearsal.seconds, "pause_ms": report.rehearsal.pause_ms}
    return figures


def forward(versions: tuple[Version, ...]) -> bool:
    """Whether each version is newer than the one before it."""
    return all(one < other for one, other in pairwise(versions))


_LAST_SABOTAGE = tuple(SABOTAGES)[-1]
_BEGIN = Step(name="begin", act=_begin, why="The old version, with accounts that must be there in the end.")
_REMOVE = Step(name="remove", act=_remove, why="A server goes with all it held.")

UPGRADE = Scenario(
    name="upgrade",
    weight=60,
    roles=("old", "new"),
    admits=forward,
    protects="losing data, sessions or a morning to the step from one version to another",
    steps=(
        _BEGIN,
        Step(
            name="upgrade",
            act=_upgrade,
            checkpoint="upgraded",
            why="Rehearsed while clients copy files, search, hold tickets; switched while all are asked every 20 ms.",
        ),
        Step(
            name="backup",
            act=_backup,
            why="A backup of the upgraded server can be restored; from 4.24 on, once sysvol's ACLs are put right.",
        ),
        _REMOVE,
    ),
)

CHAIN = Scenario(
    name="chain",
    weight=25,
    every=_chain,
    protects="a server that was upgraded year after year breaking on what earlier versions have left in its databases",
)

CONTENT = Scenario(
    name="content",
    weight=30,
    every=_content,
    protects="an upgrade that works in the laboratory's empty domain only",
)

FAILED = Scenario(
    name="failed",
    weight=80,
    roles=("old", "new"),
    admits=forward,
    neighbours=True,
    protects="a new version that does not start, hangs, spoils the databases or lacks a service taking the domain down",
    steps=(
        _BEGIN,
        Step(
            name="fail-in-rehearsal",
            act=partial(_fail_in_rehearsal, name="dies"),
            why="The rehearsal finds the defect, and the server is not even touched.",
        ),
        *(
            Step(
                name=f"{name}-in-rehearsal",
                act=partial(_fail_in_rehearsal, name=name),
                why=f"A version that answers all questions and {name.replace('-', ' ')} is found by the rehearsal's "
                "comparison.",
            )
            for name in HIDDEN
        ),
        *(
            Step(
                name=name,
                act=partial(_fail, name=name),
                checkpoint="returned" if name == _LAST_SABOTAGE else "",
                image=0,
                why=f"Without a rehearsal the server meets a new version that {name.replace('-', ' ')}: it comes back "
                "by itself, with all it had and all that a client at work was promised.",
            )
            for name in SABOTAGES
        ),
        Step(
            name="upgrade-stopped",
            act=_upgrade_stopped,
            why="A server that is stopped moves too, stays stopped, and starts with all it had.",
        ),
        _REMOVE,
    ),
)

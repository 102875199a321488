"""SIGKILL of galaxy at each step boundary of an upgrade, and at random moments inside steps, under the scribe."""

import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from galaxy.host.recovery import recover
from galaxy.upgrade.plan import UpgradeRequest
from galaxy.upgrade.upgrade import upgrade
from scenarios.endurance.forked import Ended, die, forked
from scenarios.endurance.ground import NAME, Ground, LostError
from scenarios.endurance.points import COMMIT, watch

Say = Callable[[str], None]
Round = TypeVar("Round")
# One round in so many rehearses first, and in one of so many the recovery is killed too.
_REHEARSED = 12
_RECOVERY_KILLED = 3
_RECOVERY_SECONDS = 2.0
# Acknowledgements that show that the scribe is at work again when a round begins.
AT_WORK = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Kill:
    """When galaxy is killed: at a boundary, or after some seconds."""

    boundary: str = ""
    moment: float = 0.0
    rehearsal: bool = False
    recovery: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What an undisturbed upgrade passes: its boundaries, and the seconds up to its commit point."""

    names: tuple[str, ...]
    seconds: float

    def before(self, name: str) -> str:
        """The boundary that stands in for one that another upgrade did not pass; LostError when there is none."""
        at = self.names.index(name)
        if at == 0:
            raise LostError(f"an upgrade does not pass its first boundary, {name}")
        return self.names[at - 1]


@dataclass(slots=True)
class Tally:
    """What the rounds came to."""

    kills: int = 0
    old: int = 0
    new: int = 0
    acknowledged: int = 0
    recoveries_killed: int = 0

    def note(self, ground: Ground, version: str, before: int) -> str:
        """One more round, that ended with `version`, after `before` acknowledged writes; in words."""
        self.old += version == ground.old.version
        self.new += version == ground.new.version
        written = ground.ledger.count - before
        self.acknowledged += written
        return f"{version} runs, {ground.ledger.count} acknowledged ({written} new), 0 lost"


def survey(ground: Ground) -> Course:
    """Upgrade once, undisturbed, and list the boundaries on the way; the server is new afterwards."""
    file = ground.folder / "course.json"

    def work() -> None:
        passed = watch(lambda _name: None)
        upgrade(ground.store, ground.settings, UpgradeRequest(name=NAME, ref=ground.new.id, rehearsal=False))
        file.write_text(json.dumps(passed.names), encoding="utf-8")

    ended = forked(work, log=ground.folder / "galaxy.log")
    if ended.code != 0:
        raise LostError(f"an undisturbed upgrade fails: {tail(ground.folder / 'galaxy.log')}")
    found = [(str(name), float(at)) for name, at in json.loads(file.read_text(encoding="utf-8"))]
    committed = next(at for name, at in found if name == COMMIT)
    return Course(names=tuple(name for name, _ in found), seconds=committed)


def kills_of(course: Course, wanted: int | None, chance: random.Random) -> Iterator[Kill]:
    """Kills at each boundary, and half as many at moments.

    Of a number that is `wanted` two thirds are at boundaries, if those are more, and the others at moments.
    """
    boundaries = list(course.names)
    count = len(boundaries) * 3 // 2 if wanted is None else wanted
    if count < len(boundaries):
        boundaries = chance.sample(boundaries, max(1, count * 2 // 3))
    chance.shuffle(boundaries)
    for number in range(count):
        recovery = chance.uniform(0, _RECOVERY_SECONDS) if number % _RECOVERY_KILLED == 1 else 0.0
        if number < len(boundaries):
            yield Kill(boundary=boundaries[number], recovery=recovery)
            continue
        rehearsal = number % _REHEARSED == _REHEARSED - 1
        longest = course.seconds * (12 if rehearsal else 1.2)
        yield Kill(moment=chance.uniform(0, longest), rehearsal=rehearsal, recovery=recovery)


def kill_rounds(ground: Ground, course: Course, kills: Sequence[Kill], say: Say) -> Tally:
    """All rounds, one line each; LostError at the first that does not end as it must."""
    tally = Tally()

    def work(kill: Kill) -> Kill | None:
        if _round(ground, kill, tally, say) or not kill.boundary:
            return None
        return replace(kill, boundary=course.before(kill.boundary))

    each(ground, kills, work)
    return tally


def each(ground: Ground, rounds: Sequence[Round], work: Callable[[Round], Round | None]) -> None:
    """Do all rounds under the scribe, each on a server that is as it should begin; `work` may return a stand-in."""
    waiting = list(rounds)
    while waiting:
        if ground.worn:
            if errors := ground.dbcheck():
                raise LostError(f"dbcheck finds {errors} errors before the domain begins anew")
            ground.reset()
        with ground.writing():
            while waiting and not ground.worn:
                instead = work(waiting.pop(0))
                waiting[:0] = [instead] if instead is not None else []


def _round(ground: Ground, kill: Kill, tally: Tally, say: Say) -> bool:
    """One upgrade and what it ends with; whether it was killed, for it may not pass the boundary that was wanted."""
    began, before = time.monotonic(), ground.ledger.count
    ground.wait_for(before + AT_WORK)
    ended = _upgrade_killed(ground, kill)
    where = kill.boundary or f"{kill.moment:.2f} s"
    tally.kills += ended.killed
    if not ended.killed and ended.code:
        raise LostError(
            f"the upgrade failed with {ended.code} before {where}: {tail(ground.folder / 'galaxy.log')}"
        )
    if kill.recovery:
        again = forked(lambda: _recover(ground), log=ground.folder / "galaxy.log", kill_after=kill.recovery)
        tally.recoveries_killed += again.killed
        if not again.killed and again.code:
            raise LostError(f"the recovery after {where} failed: {tail(ground.folder / 'galaxy.log')}")
    killed = time.monotonic()
    try:
        recover(ground.store)
        recovered = time.monotonic()
        with ground.scribe_still():
            version = ground.require_good()
    except Exception as error:
        error.add_note(f"round {tally.kills}: killed at {where}, {kill}")
        raise
    how = "killed" if ended.killed else "not killed, for it ended before it was"
    also = ", the recovery too" if kill.recovery else ""
    say(
        f"kill {tally.kills}: {how} at {where}{' in a rehearsal' if kill.rehearsal else ''}{also}: "
        f"{tally.note(ground, version, before)} "
        f"({killed - began:.1f} + {recovered - killed:.1f} + {time.monotonic() - recovered:.1f} s)"
    )
    return ended.killed


def _upgrade_killed(ground: Ground, kill: Kill) -> Ended:
    def work() -> None:
        if kill.boundary:
            watch(lambda name: die() if name == kill.boundary else None)
        request = UpgradeRequest(name=NAME, ref=ground.new.id, rehearsal=kill.rehearsal)
        upgrade(ground.store, ground.settings, request)

    log = ground.folder / "galaxy.log"
    return forked(work, log=log, kill_after=kill.moment) if kill.moment else forked(work, log=log)


def _recover(ground: Ground) -> None:
    recover(ground.store)


def tail(log: Path, begins: int = 0) -> str:
    """The last lines of a log, of what was written from an octet on."""
    text = log.read_bytes()[begins:].decode(errors="replace")
    return " / ".join(text.strip().splitlines()[-4:])

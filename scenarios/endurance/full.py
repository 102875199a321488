"""A full disk at each write of an upgrade: it goes back, or was done, and the server runs all the while.

The server's store is on a small ext4 of its own. At a boundary of the upgrade a file takes all the space that is left,
or all but some bytes, so that what comes next meets ENOSPC at once or a little later; it gives the space back only
after the server has been looked at.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from galaxy.host.errors import GalaxyError
from galaxy.host.process import run
from galaxy.host.recovery import recover
from galaxy.upgrade.plan import UpgradeRequest
from galaxy.upgrade.upgrade import upgrade
from scenarios.endurance.forked import forked
from scenarios.endurance.ground import NAME, Ground, LostError
from scenarios.endurance.kills import AT_WORK, Course, Say, Tally, each, tail
from scenarios.endurance.points import COMMIT, watch
from scenarios.smalldisk import fill

# Room for the server, the copies that preflight asks for, and what the scribe writes meanwhile.
_DISK = 900_000_000
_LEFT = (0, 0, 0, 4096, 65536, 1_000_000, 5_000_000, 20_000_000)


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of its own for the block, in a file below `folder`."""
    file, point = folder / "disk.img", folder / "disk"
    with file.open("wb") as sink:
        sink.truncate(_DISK)
    point.mkdir()
    run(["mkfs.ext4", "-q", "-F", "-m", "0", file])
    run(["mount", "-o", "loop", file, point])
    try:
        yield point
    finally:
        run(["umount", point])


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """At which boundary the disk becomes full, but for how many bytes."""

    boundary: str
    leave: int


def fills_of(
    course: Course, wanted: int | None, choose: Callable[[Sequence[int], int], list[int]]
) -> list[Fill]:
    """So many fills, or one at each of the boundaries up to the commit point, and spread over what is left free."""
    names = course.names[: course.names.index(COMMIT) + 1]
    count = len(names) if wanted is None else wanted
    chosen = sorted(choose(range(len(names)), count)) if count < len(names) else range(len(names))
    return [Fill(boundary=names[number], leave=_LEFT[at % len(_LEFT)]) for at, number in enumerate(chosen)]


def full_rounds(ground: Ground, course: Course, fills: Sequence[Fill], say: Say) -> Tally:
    """All rounds, one line each; LostError at the first that does not end as it must."""
    tally = Tally()

    def work(wanted: Fill) -> Fill | None:
        if _round(ground, wanted, tally, say):
            return None
        return replace(wanted, boundary=course.before(wanted.boundary))

    each(ground, fills, work)
    with ground.writing(), ground.scribe_still():
        if errors := ground.dbcheck():
            raise LostError(f"dbcheck finds {errors} errors after {tally.kills} full disks")
    return tally


def _round(ground: Ground, wanted: Fill, tally: Tally, say: Say) -> bool:
    """One upgrade and what it ends with; whether the disk became full, for the wanted boundary may not be passed."""
    began, before = time.monotonic(), ground.ledger.count
    ground.wait_for(before + AT_WORK)
    filler, log = ground.store.root / "filler", ground.folder / "galaxy.log"
    where = f"{wanted.boundary}, {wanted.leave} bytes left"
    try:
        begins = log.stat().st_size if log.exists() else 0
        ended = forked(lambda: _upgrade_filled(ground, wanted, filler), log=log)
        said = tail(log, begins) if ended.code else "done"
        with ground.scribe_still():
            version = ground.require_serving()
    except Exception as error:
        error.add_note(f"the disk was full at {where}")
        raise
    finally:
        filled = filler.exists()
        filler.unlink(missing_ok=True)
    _require_words(ended.code, said, where)
    recover(ground.store)
    with ground.scribe_still():
        ground.require_good()
    tally.kills += filled
    came = "" if filled else " (not passed)"
    say(
        f"full disk {tally.kills} at {where}{came}: {said.rpartition('/')[2].strip()[:90]}; "
        f"{tally.note(ground, version, before)} ({time.monotonic() - began:.1f} s)"
    )
    return filled


def _upgrade_filled(ground: Ground, wanted: Fill, filler: Path) -> None:
    watch(lambda name: fill(filler, leave=wanted.leave) if name == wanted.boundary else None)
    try:
        upgrade(ground.store, ground.settings, UpgradeRequest(name=NAME, ref=ground.new.id, rehearsal=False))
    except (GalaxyError, OSError) as error:
        notes = " ".join(getattr(error, "__notes__", ()))
        print(f"error: {error} {notes}", flush=True)
        raise SystemExit(1) from None


def _require_words(code: int, said: str, where: str) -> None:
    """An upgrade that fails for a full disk says so."""
    if code and not re.search(r"no space|free some space|disk.full|is full|are free", said, re.IGNORECASE):
        raise LostError(f"the disk was full at {where}, and the upgrade says: {said}")

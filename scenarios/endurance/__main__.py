"""`python -m scenarios.endurance`: kills, power cuts and full disks, one line a round, then a summary.

Exit code 0 when nothing was lost, 1 when something was (the last line says what, and the server's folder stays for
people), 2 for wrong use.
"""

import argparse
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from galaxy.host.settings import load_settings
from galaxy.host.store import default_store
from scenarios.endurance.cuts import cut_rounds
from scenarios.endurance.full import fills_of, full_rounds, small_disk
from scenarios.endurance.ground import Ground, prepared
from scenarios.endurance.kills import Course, kill_rounds, kills_of, survey


def main() -> int:
    """Parse, do the rounds, sum up."""
    options = _options()
    if os.geteuid() != 0:
        print("error: servers need root\n  Run it again with sudo.", file=sys.stderr)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):  # the first may be ignored, as in a background job
        signal.signal(number, signal.default_int_handler)
    began = time.monotonic()
    done = True
    if options.kills != 0 or options.cuts:
        with _folder() as folder, _ground(options, folder) as ground:
            done = _told(ground, lambda: _kills_and_cuts(ground, options))
    if done and options.full != 0:
        with _folder() as folder, small_disk(folder) as disk, _ground(options, folder, disk) as ground:
            done = _told(ground, lambda: _full(ground, options))
    if done:
        _say(f"nothing lost, nothing left over ({time.monotonic() - began:.0f} s)")
    return 0 if done else 1


def _folder() -> AbstractContextManager[Path]:
    made = tempfile.TemporaryDirectory(
        prefix="galaxy-endurance-",
        dir="/var/tmp",
        ignore_cleanup_errors=True,  # a server's state is no tmpfs's
    )
    return _path(made)


@contextmanager
def _path(made: "tempfile.TemporaryDirectory[str]") -> Iterator[Path]:
    with made as name:
        yield Path(name)


def _ground(
    options: argparse.Namespace, folder: Path, disk: Path | None = None
) -> AbstractContextManager[Ground]:
    return prepared(
        folder,
        default_store(),
        (options.old, options.new),
        address=options.address,
        seed=options.seed,
        settings=load_settings(),
        disk=disk,
    )


def _told(ground: Ground, work: Callable[[], None]) -> bool:
    """Whether the work went well; if not, what was wrong is told, and what tells more is kept."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - the one place that tells
        _say(f"FAILED: {type(error).__name__}: {error} {' '.join(getattr(error, '__notes__', ()))}")
        _say(f"the server's folder and the logs are in {_keep(ground)}")
        return False
    return True


def _course(ground: Ground, options: argparse.Namespace) -> Course:
    course = survey(ground)
    _say(f"{len(course.names)} boundaries, {course.seconds:.1f} s to the commit point, seed {options.seed}")
    return course


def _full(ground: Ground, options: argparse.Namespace) -> None:
    course = _course(ground, options)
    done = full_rounds(ground, course, fills_of(course, options.full, ground.chance.sample), _say)
    _say(
        f"{done.kills} full disks: {done.old} ended with the old version, {done.new} with the new; "
        f"{done.acknowledged} writes acknowledged meanwhile, 0 lost, dbcheck clean"
    )


def _kills_and_cuts(ground: Ground, options: argparse.Namespace) -> None:
    if options.kills != 0:
        course = survey(ground)
        _say(
            f"{len(course.names)} boundaries, {course.seconds:.1f} s to the commit point, seed {options.seed}"
        )
        kills = list(kills_of(course, options.kills, ground.chance))
        done = kill_rounds(ground, course, kills, _say)
        _say(
            f"{done.kills} kills of galaxy ({done.recoveries_killed} more of its recovery): {done.old} ended with the "
            f"old version, {done.new} with the new; {done.acknowledged} writes acknowledged meanwhile, 0 lost"
        )
    if options.cuts:
        done = cut_rounds(ground, options.cuts, _say)
        _say(
            f"{done.kills} power cuts: {done.acknowledged} writes acknowledged meanwhile, 0 lost, dbcheck clean"
        )


def _keep(ground: Ground) -> Path:
    """Move what tells of the failure to where it stays."""
    from galaxy.host.process import run  # noqa: PLC0415 - only for failures

    kept = Path(tempfile.mkdtemp(prefix="galaxy-endurance-failed-", dir="/var/tmp"))
    for path in (
        ground.store.servers,
        ground.store.journal,
        ground.folder / "galaxy.log",
        ground.ledger.folder,
    ):
        run(["cp", "--archive", "--sparse=always", path, kept], timeout=300)
    return kept


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scenarios.endurance", description=__doc__)
    parser.add_argument(
        "--kills", type=int, help="SIGKILLs of galaxy during upgrades; without it each boundary, then moments"
    )
    parser.add_argument("--cuts", type=int, default=50, help="SIGKILLs of all the server's processes")
    parser.add_argument(
        "--full", type=int, help="upgrades whose disk becomes full on the way; without it each boundary"
    )
    parser.add_argument("--old", default="4.17.12", help="image to upgrade from")
    parser.add_argument("--new", default="4.22.11", help="image to upgrade to")
    parser.add_argument("--seed", type=int, default=1, help="decides on order and moments")
    parser.add_argument("--address", default="10.219.0.2", help="a private address that nothing else uses")
    return parser.parse_args()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())

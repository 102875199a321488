"""A power cut: SIGKILL of every process of the server in the middle of writes, then a start."""

import os
import signal
import time
from contextlib import suppress

from galaxy.server import lifecycle, running
from scenarios.endurance.ground import Ground, LostError
from scenarios.endurance.kills import Say, Tally, each


def cut_rounds(ground: Ground, count: int, say: Say) -> Tally:
    """So many power cuts, one line each; LostError at the first after which something is not as it must be."""
    tally = Tally()
    each(ground, range(count), lambda _number: _round(ground, tally, say))
    return tally


def _round(ground: Ground, tally: Tally, say: Say) -> None:
    began, before = time.monotonic(), ground.ledger.count
    # Not always at the same moment after a start: writes of other kinds are under way then.
    ground.wait_for(before + ground.chance.randrange(3, 30))
    one_by_one = bool(tally.kills % 2)
    cut(ground, one_by_one=one_by_one)
    tally.kills += 1
    ready = lifecycle.start(ground.server, ground.settings)
    with ground.scribe_still():
        if errors := ground.dbcheck():
            raise LostError(f"dbcheck finds {errors} errors after power cut {tally.kills}")
        ground.require_good()
    written = ground.ledger.count - before
    tally.acknowledged += written
    say(
        f"power cut {tally.kills} ({'process by process' if one_by_one else 'all at once'}): up in {ready.all:.1f} s, "
        f"dbcheck clean, {ground.ledger.count} acknowledged ({written} new), 0 lost "
        f"({time.monotonic() - began:.1f} s)"
    )


def cut(ground: Ground, *, one_by_one: bool) -> None:
    """Kill the server's processes, all at once or each by itself in an order that chance gives."""
    server = ground.server
    if one_by_one:
        victims = running.processes(lifecycle.require_running(server))
        ground.chance.shuffle(victims)
        for pid in victims:
            with suppress(ProcessLookupError):  # the first process takes the others with it
                os.kill(pid, signal.SIGKILL)
    lifecycle.kill_if_running(server)

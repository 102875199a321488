"""Numbers that a directory gives once: RIDs, of which SIDs are made, and xids, which own files.

An older state that is put back would give those a second time that the state of now has given since, to other accounts:
with them whatever member servers, local groups and files grant to the accounts that are lost. So it goes on after them.
When nobody can read how far they have come, it leaves a gap, as Microsoft's AD forest recovery guide has it
("raising the value of available RID pools": by 100,000).
"""

import json
from dataclasses import dataclass

from galaxy.host.errors import GalaxyError, ServerError
from galaxy.host.progress import say
from galaxy.server.config import Server
from galaxy.server.history import history
from galaxy.upgrade.consult import run_inside, script_argv

_TROUBLES = (GalaxyError, OSError, ValueError, LookupError)
# Seconds, while clients wait; half of one is usual.
_PATIENCE = 30.0
_RID_GAP = 100_000
_XID_GAP = 10_000  # of a million


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """How far a state has come: `low` is the lowest RID in no DC's block, `last` the last given; `xid` is the next."""

    low: int
    last: int
    xid: int


def numbers_of(stopped: Server) -> Numbers | None:
    """What the databases of a server say that has just been stopped; None when they cannot be read in time."""
    try:
        return parse(_run(stopped))
    except _TROUBLES:
        return None


def go_on_after(older: Server, now: Numbers | None) -> None:
    """Have an older state, that nothing runs on, give no number again. A failure is told and ends nothing."""
    try:
        after = now if now is not None else _far_beyond(older, parse(_run(older)))
        _run(older, str(after.low), str(after.last), str(after.xid))
    except _TROUBLES as error:  # the state is what matters
        why = error.message if isinstance(error, GalaxyError) else str(error)
        say(
            f"warning: {why}; accounts that are made from now on may get SIDs, or ids of file owners, of lost ones"
        )


def _far_beyond(older: Server, own: Numbers) -> Numbers:
    """One gap more for each time that the server has gone back: the states in between may be lost, too."""
    times = 1 + sum(bool(one.restored) for one in history(older))
    return Numbers(low=own.low + times * _RID_GAP, last=own.last, xid=own.xid + times * _XID_GAP)


def _run(older: Server, *words: str) -> str:
    done = run_inside(older, (*script_argv("numbers"), *words), _PATIENCE)
    if done.returncode != 0:
        lines = [line for line in done.stderr.strip().splitlines() if line.strip()]
        raise ServerError(
            f"the state's numbers cannot be had or raised: {lines[-1] if lines else done.returncode}"
        )
    return done.stdout


def parse(printed: str) -> Numbers:
    """What `inside/numbers.py` printed; its line is the last one, after whatever Samba has to say."""
    return Numbers(**json.loads(printed.strip().splitlines()[-1]))

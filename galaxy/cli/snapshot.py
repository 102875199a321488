"""galaxy snapshot, snapshots, restore, prune."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from galaxy.cli.render import found_store, need_root, print_json, ready_store, size, table
from galaxy.host.errors import InputError, PolicyError
from galaxy.host.progress import say, step
from galaxy.host.settings import load_settings
from galaxy.server.config import Server, load
from galaxy.server.history import last_upgrade
from galaxy.server.kept import Snapshot, damaged, find_snapshot
from galaxy.server.kept import snapshots as snapshots_of
from galaxy.server.lifecycle import held
from galaxy.server.restore import Restored
from galaxy.server.snapshot import discard
from galaxy.server.snapshot import prune as remove_old
from galaxy.server.snapshot import snapshot as take
from galaxy.upgrade.putback import put_back, require_alone
from galaxy.upgrade.since import Loss, lost_by

Name = Annotated[str, typer.Argument(help="The server's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
# Letters of a reason: what a list can show.
_REASON = 120


def snapshot(
    name: Name,
    reason: Annotated[str, typer.Option(help="What it is for; shown by: galaxy snapshots.")] = "by hand",
    pin: Annotated[bool, typer.Option("--pin", help="Keep it until it is removed by its id.")] = False,
    as_json: Json = False,
) -> None:
    """Keep a consistent copy of a server's configuration, state and secrets, running or stopped.

    A running one goes on; who writes to its databases waits for some milliseconds.
    """
    if not reason.isprintable() or len(reason) > _REASON:
        raise InputError(
            f"a snapshot's reason is one line of printable text, {_REASON} letters at most",
            "Give it without line breaks, or make it shorter.",
        )
    made = take(load(ready_store("Taking a snapshot", name), name), reason, pinned=pin)
    if as_json:
        print_json(_plain(made))
        return
    print(f"{name}: snapshot {made.id}, {size(made.size)}, in {made.seconds:.1f} s")
    if made.running:
        print(f"  the server went on; writers waited {made.held * 1000:.0f} ms")
    print(f"  to go back to it: galaxy restore {name} {made.id}")


def snapshots(name: Name, as_json: Json = False) -> None:
    """List a server's snapshots: when, why, of which version, how large; oldest first."""
    need_root("Looking at snapshots")
    server = load(found_store(), name)
    found, broken = snapshots_of(server), damaged(server)
    if as_json:
        rows = [_plain(one) for one in found]
        print_json([*rows, *({"id": key, "damaged": error.message} for key, error in broken.items())])
    elif found or broken:
        columns = ("ID", "TAKEN (UTC)", "VERSION", "SIZE", "REASON")
        lines = [(*_row(one), one.reason + (" (pinned)" if one.pinned else "")) for one in found]
        lines += [(key, "-", "-", "-", f"damaged: {error.message}") for key, error in broken.items()]
        table(columns, lines)
    else:
        print(f"{name} has no snapshots; make one: galaxy snapshot {name}")


def restore(
    name: Name,
    snapshot_id: Annotated[str, typer.Argument(metavar="ID", help="As in: galaxy snapshots NAME.")],
    yes: Annotated[bool, typer.Option("--yes", help="Give up what was written since the snapshot.")] = False,
    as_json: Json = False,
) -> None:
    """Give a server the configuration, the state and the version of a snapshot. It runs afterwards if it ran before.

    What was written since is listed first, and has to be confirmed; it is kept as a snapshot. If the server does not
    start, all is as it was. Refused where other domain controllers know the domain: for them it would be a USN
    rollback.
    """
    server = load(ready_store("Restoring a snapshot", name), name)
    wanted = find_snapshot(server, snapshot_id)
    require_alone(server, wanted)
    loss = lost_by(server, wanted)
    _tell(server, wanted, loss)
    if loss.lines and not (yes or _asked(server, wanted)):
        raise PolicyError(
            f"restoring {wanted.id} would lose what was written to {name} since {wanted.taken:%Y-%m-%d %H:%M} UTC",
            "Confirm it with --yes.",
        )
    with step(f"restoring {wanted.id}"):
        done = put_back(server, wanted, load_settings(), loss)
    if as_json:
        print_json(_told(wanted, done))
        return
    print(f"{name}: {done.ready.in_words() if done.ready else 'stopped'}, version {wanted.version}")
    print(
        f"  state of {wanted.taken:%Y-%m-%d %H:%M:%S} UTC; the one of before is the snapshot {done.kept.id}"
    )


def prune(
    name: Name,
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Remove exactly these, pinned or not.")
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Leave this many of the newest and remove the others, of any age without --older-than.",
        ),
    ] = None,
    older_than: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=36500,
            metavar="DAYS",
            help="Remove those that are older, the newest too without --keep.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Remove old snapshots of a server: those that are old enough and not among the newest. Pinned ones stay.

    With neither --keep nor --older-than, the settings say how many stay and how old the others may become.
    """
    server = load(ready_store("Removing snapshots", name), name)
    if ids and (keep is not None or older_than is not None):
        raise InputError("ids, and a number or an age, are two ways of choosing", "Give one of them.")
    with held(
        server, begins=False
    ):  # it frees space, which recovery may lack; one of them may be on its way back into the server
        gone = _these(server, ids) if ids else remove_old(server, *_limits(keep, older_than))
    if as_json:
        print_json([_plain(one) for one in gone])
        return
    freed = sum(one.size for one in gone)
    print(f"{name}: {len(gone)} removed, {size(freed)}; {len(snapshots_of(server))} left")
    for one in gone:
        print(f"  {one.id}  {one.reason}")
    last = last_upgrade(server)
    if last is not None and last.snapshot in {one.id for one in gone}:
        print(f"  with it goes a way back from the last upgrade; the others: galaxy rollback {name} --plan")


def _row(one: Snapshot) -> tuple[str, str, str, str]:
    return one.id, f"{one.taken:%Y-%m-%d %H:%M:%S}", one.version, size(one.size)


def _plain(one: Snapshot) -> dict[str, object]:
    return one.model_dump(mode="json") | {"path": one.path}


def _told(wanted: Snapshot, done: Restored) -> dict[str, object]:
    return {
        "restored": wanted.id,
        "kept": done.kept.id,
        "running": done.ready is not None,
        "seconds": done.seconds,
    }


def _limits(keep: int | None, older_than: float | None) -> tuple[int, float]:
    """One that is given stands alone; what is not said limits nothing then, and all comes from the settings else."""
    settings = load_settings().snapshots
    if keep is None and older_than is None:
        return settings.keep, settings.days
    return (keep or 0), (older_than or 0.0)


def _these(server: Server, ids: list[str]) -> tuple[Snapshot, ...]:
    """All are found before the first one goes."""
    found = tuple({one.id: one for one in (find_snapshot(server, wanted) for wanted in ids)}.values())
    for one in found:
        discard(server, one)
    return found


def _tell(server: Server, wanted: Snapshot, loss: Loss) -> None:
    """What would be lost."""
    if loss.lines:
        say(f"{server.name}: going back to {wanted.id} loses:")
        for line in loss.lines:
            say(f"  {line}")


def _asked(server: Server, wanted: Snapshot) -> bool:
    """A yes on a terminal; elsewhere nobody can be asked."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    age = datetime.now(UTC) - wanted.taken
    say(
        f"{server.name} goes back by {str(age).split('.', maxsplit=1)[0]}, to {wanted.version} ({wanted.reason})."
    )
    say("What was written since then stays only in a snapshot. Type yes:")
    return sys.stdin.readline().strip().lower() == "yes"

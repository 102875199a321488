"""A server's life: made, started, stopped, started, restarted, killed, started, a worker killed.

After each start everything that was written before must be there, and a SIGKILL must lose no acknowledged
write.
"""

from collections.abc import Mapping

from galaxy.host.process import process_identity, process_lives
from galaxy.server.lifecycle import kill, start, status, stop
from galaxy.server.ready import Readiness
from galaxy.server.restart import restart
from galaxy.server.running import alive, processes
from scenarios.engine import Scenario, Step
from scenarios.victims import kill_worker, wait_for_worker
from scenarios.witness import require_kept, write_account, writing
from scenarios.world import World

Figures = Mapping[str, float]
# A DC has some sixty processes.
_MOST_OF_THEM = 20


def _create(world: World) -> Figures:
    # A template may have been made by an older Galaxy.
    world.create("dc1", world.images[0], anew=True)
    assert status(world.dc).state == "stopped"
    return {}


def _start(world: World) -> Figures:
    """Start, find everything again, and write something more."""
    ready = start(world.dc, world.settings)
    return _settled(world, ready)


def _restart(world: World) -> Figures:
    before = status(world.dc).pid
    ready = restart(world.dc, world.settings)
    assert status(world.dc).pid != before, "the same processes as before the restart"
    return _settled(world, ready)


def _stop(world: World) -> Figures:
    """SIGTERM is enough, and none of the processes of before is left."""
    record = alive(world.dc)
    assert record is not None
    before = [process_identity(pid) for pid in processes(record)]
    assert len(before) > _MOST_OF_THEM, f"a server of {len(before)} processes"
    seconds = stop(world.dc, world.settings)
    assert seconds < world.settings.stop_timeout, f"it did not stop by itself within {seconds:.0f} s"
    left = [identity for identity in before if process_lives(identity)]
    assert not left, f"processes are left after the stop: {left}"
    assert status(world.dc).state == "stopped", f"after the stop it is {status(world.dc)}"
    return {"stop_s": seconds}


def _kill_all(world: World) -> Figures:
    """SIGKILL in the middle of writes; the client sees it end."""
    before = len(world.written)
    with writing(world):
        kill(world.dc)
    state = status(world.dc)
    assert state.state == "ended", f"after SIGKILL it is {state}"
    return {"writes_acknowledged": len(world.written) - before}


def _kill_worker(world: World) -> Figures:
    """SIGKILL the process that serves LDAP and the one that serves Kerberos; both must come back by themselves."""
    parent = status(world.dc).pid
    ldap, kdc = kill_worker(world, "ldap"), kill_worker(world, "kdc")
    figures = {
        "ldap_back_s": wait_for_worker(world, "ldap", ldap),
        "kdc_back_s": wait_for_worker(world, "kdc", kdc),
    }
    assert status(world.dc).pid == parent, "the whole server was restarted"
    require_kept(world)
    write_account(world)
    return figures


def _remove(world: World) -> Figures:
    world.remove("dc1")
    return {}


def _settled(world: World, ready: Readiness) -> Figures:
    """The server is up: users are let on at once, everything written is there, and it takes something new."""
    _log_on(world)
    require_kept(world)
    write_account(world)
    return {
        "ready_s": ready.all,
        "ldap_s": ready.ldap,
        "smb_s": ready.smb,
        "kerberos_s": ready.kerberos,
        "dns_s": ready.dns,
    }


def _log_on(world: World) -> None:
    """Ready is a promise: SMB answers before it lets anybody log on, so nothing may come before this in a step."""
    from verify.clients.smb import logged_on  # noqa: PLC0415 - only the worker that walks needs it

    with logged_on(world.target()):
        """Being let on is the proof."""


LIFECYCLE = Scenario(
    name="lifecycle",
    weight=150,
    protects="a version that starts once in a laboratory, but not again after a stop, a crash or a lost process",
    steps=(
        Step(name="create", act=_create, why="The version provisions a domain of its own."),
        Step(
            name="start",
            act=_start,
            checkpoint="started",
            why="It starts for the first time, answers, and lets users log on at once; an account is written.",
        ),
        Step(name="stop", act=_stop, why="It stops in an orderly way, and no process is left."),
        Step(
            name="start-again",
            act=_start,
            checkpoint="stopped-started",
            why="Everything that was written is there, each account by a logon; one more is written.",
        ),
        Step(
            name="restart",
            act=_restart,
            checkpoint="restarted",
            why="Stop and start in one; the processes are new, and the data is the old.",
        ),
        Step(
            name="kill-all",
            act=_kill_all,
            why="Every process is killed with SIGKILL while a client writes one object after the other.",
        ),
        Step(
            name="start-after-kill",
            act=_start,
            checkpoint="killed",
            why="It starts from what the crash left, and no write that was acknowledged is lost.",
        ),
        Step(
            name="kill-worker",
            act=_kill_worker,
            checkpoint="worker-killed",
            why="One process that serves LDAP and one that serves Kerberos are killed; Samba replaces them by itself.",
        ),
        Step(name="remove", act=_remove, why="The server goes, and nothing of it stays on the host."),
    ),
)

"""What befalls a server's host: a full disk, a read-only one, a clock that jumps, a damaged database.

After each of them the server runs again with everything that it had acknowledged; where it can't run, it says why and
does not start.
"""

import random
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from galaxy.host.errors import GalaxyError, HostError, ServerError
from galaxy.server.lifecycle import kill, start, status, stop
from scenarios.clock import jumping_clock
from scenarios.engine import Scenario, Step
from scenarios.smalldisk import on_small_disk
from scenarios.witness import require_kept, write_account
from scenarios.world import World

Figures = Mapping[str, float]
# How many writes, of so many bytes each, are tried on a disk that takes none: there is room in the server's files.
_TRIES = 100
_BYTES = 100_000
_HOUR = 3600
_BEGUN_SECONDS = 30.0
_PAGE = 4096


def _begin(world: World) -> Figures:
    world.create("dc1", world.images[0])
    ready = start(world.dc, world.settings)
    write_account(world)
    stop(world.dc, world.settings)
    return {"ready_s": ready.all}


def _full_disk(world: World) -> Figures:
    """The disk fills up under a server at work: it refuses what it can't keep, goes on reading, and recovers."""
    with on_small_disk(world) as disk:
        start(world.dc, world.settings)
        _require_begun(world)
        write_account(world, ballast=_BYTES)  # so that its size is not why one is refused later
        disk.fill()
        refused = _write_until_refused(world)
        require_kept(world)
        stop(world.dc, world.settings)
        with _refused(world, "space"):
            start(world.dc, world.settings)
        disk.free()
        _start_sound(world)
        stop(world.dc, world.settings)
    return {"writes": refused}


def _read_only(world: World) -> Figures:
    """The state turns read-only, once for a stopped server and once, as after an I/O error, under one at work."""
    with on_small_disk(world) as disk:
        disk.remount("ro")
        with _refused(world, "read-only"):
            start(world.dc, world.settings)
        disk.remount("rw")
        start(world.dc, world.settings)
        _require_begun(world)
        write_account(world, ballast=_BYTES)
        disk.remount("abort")
        written = _write_until_refused(world)
        kill(world.dc)
        disk.unmount()
        disk.mount()
        _start_sound(world)
        stop(world.dc, world.settings)
    return {"writes": written}


def _clock_jump(world: World) -> Figures:
    """The server's clock jumps an hour ahead, then back by two, then is right again.

    LDAP goes on; Kerberos refuses clients with a right clock and says why; afterwards all is as it was.
    """
    with jumping_clock(world) as clock:
        start(world.dc, world.settings)
        _require_begun(world)
        _require_logon(world, "")
        for jump in (_HOUR, -_HOUR):
            clock.jump(jump)
            write_account(world)
            require_kept(world)
            _require_logon(world, "Clock skew too great")
        clock.jump(0)
        _require_logon(world, "")
        write_account(world)
        stop(world.dc, world.settings)
    _start_sound(world)
    return {}


def _damaged(world: World) -> Figures:
    """A page of a database is overwritten: the server says which and does not start; with the right page it does."""
    stop(world.dc, world.settings)
    partition = next((world.dc.state / "private/sam.ldb.d").glob(f"{world.dc.config.base_dn.upper()}.ldb"))
    whole = partition.read_bytes()
    place = whole.index(b"GUID=") // _PAGE * _PAGE
    with partition.open("r+b") as file:
        file.seek(place)
        file.write(random.Random(place).randbytes(_PAGE))  # noqa: S311 - any bytes do
    with _refused(world, partition.name):
        start(world.dc, world.settings)
    with partition.open("r+b") as file:
        file.write(whole)
    return _start_sound(world)


def _remove(world: World) -> Figures:
    world.remove("dc1")
    return {}


def _start_sound(world: World) -> Figures:
    """The server comes up with everything it had acknowledged, finds no fault in it, and takes something new."""
    ready = start(world.dc, world.settings)
    require_kept(world)
    write_account(world, ballast=_BYTES)
    shell = world.target().shell
    assert shell is not None
    checked = shell("samba-tool", "dbcheck", "--cross-ncs", timeout=300)
    assert "(0 errors)" in checked.output, f"dbcheck: {checked.output[-500:]}"
    return {"ready_s": ready.all}


def _write_until_refused(world: World) -> int:
    """How many writes were acknowledged, and are remembered, before the first that was not.

    Refused in words or by a connection that ends: both are a no.
    """
    from ldap3.core.exceptions import LDAPException  # noqa: PLC0415 - only the worker that walks needs it

    from verify.clients.ldap import LdapRefusedError  # noqa: PLC0415

    for number in range(_TRIES):
        try:
            write_account(world, ballast=_BYTES)
        except (LdapRefusedError, LDAPException, OSError):
            return number
    raise AssertionError(f"{_TRIES} writes were acknowledged by a server that cannot keep them")


@contextmanager
def _refused(world: World, words: str) -> Iterator[None]:
    """The block, which would start the server, is refused in such words, and nothing runs."""
    said = ""
    try:
        yield
    except (HostError, ServerError) as error:
        said = str(error)
    except GalaxyError as error:
        raise AssertionError(f"another error than expected: {error}") from error
    assert words in said, f"the start says {said!r}, and should say {words!r}"
    assert status(world.dc).state != "running", f"it runs: {status(world.dc)}"


def _require_begun(world: World) -> None:
    """The last service is there too: winbindd, and Samba with it, ends when it cannot begin.

    That is so while the clock jumps (its requests time out), or when there is no space for its cache's first record.
    """
    from verify.clients.waiting import within  # noqa: PLC0415 - only the worker that walks needs it

    shell = world.target().shell
    assert shell is not None
    assert within(_BEGUN_SECONDS, lambda: shell("wbinfo", "-p").returncode == 0), "winbindd does not answer"


def _require_logon(world: World, refusal: str) -> None:
    """A client whose clock is right gets a ticket, or is told why not."""
    from verify.clients.kerberos import Kerberos  # noqa: PLC0415 - only the worker that walks needs it

    target = world.target()
    with tempfile.TemporaryDirectory(prefix="galaxy-clock-") as folder:
        done = Kerberos(target, Path(folder)).try_kinit(target.admin_principal, target.password)
    assert (done.returncode == 0) == (not refusal), f"kinit: {done.output}"
    assert refusal in done.output, f"kinit says {done.output!r}, and should say {refusal!r}"


DISASTER = Scenario(
    name="disaster",
    weight=90,
    protects="trouble of a host that ends as a lost domain, or as an acknowledged write that is gone.",
    steps=(
        Step(name="begin", act=_begin, why="A server with an account that must be there in the end."),
        Step(
            name="full-disk",
            act=_full_disk,
            why="No byte is left under a server at work: it refuses what it can't keep and reads on. No start.",
        ),
        Step(
            name="read-only",
            act=_read_only,
            why="The disk is read-only at a start, which is refused; then it breaks off under a server at work.",
        ),
        Step(
            name="clock-jump",
            act=_clock_jump,
            why="The server's clock jumps an hour ahead and behind: LDAP goes on, Kerberos says why it does not.",
        ),
        Step(
            name="damaged-page",
            act=_damaged,
            checkpoint="recovered",
            why="A page of a database is overwritten: the start is refused and names it; Samba would serve from it.",
        ),
        Step(name="remove", act=_remove, why="The server goes with all it held."),
    ),
)

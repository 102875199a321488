"""The rehearsal: the new version starts on a copy of the live state, in a network of its own, and must do well there.

The server goes on serving. The copy has its name and address, so nothing but its surroundings is different; nobody
outside reaches it, and it reaches nobody. What it leaves on success is a report; after a failure also its logs.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from galaxy.host import netns
from galaxy.host.errors import GalaxyError, ServerError
from galaxy.host.files import write_atomic
from galaxy.host.journal import Entry
from galaxy.host.progress import say, step
from galaxy.host.settings import Settings
from galaxy.host.wording import first_of
from galaxy.server import lifecycle
from galaxy.server.config import NamespaceNetwork, Network, Server
from galaxy.server.network import link_of
from galaxy.server.snapshot import clone
from galaxy.upgrade.compare import Comparison, compare
from galaxy.upgrade.dbcheck import dbcheck
from galaxy.upgrade.dump import dump
from galaxy.upgrade.expected import load_rules
from galaxy.upgrade.plan import UpgradePlan
from galaxy.upgrade.smoke import smoke
from galaxy.upgrade.stagehand import temporary_administrator
from galaxy.upgrade.switch import with_image
from galaxy.upgrade.tier import TierResult, run_tier

_SHOWN = 5
# What smbd makes at the first start of any version, and much else with it: a server without it has never been started.
_FROM_THE_FIRST_START = "account_policy.tdb"


class Rehearsal(BaseModel):
    """What the rehearsal found and measured: seconds, except for `pause_ms`, how long writers waited for the copy.

    `objects`, `files` and `values` were compared, `expected` of them differ as the list of expected changes says.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    seconds: float
    pause_ms: float
    ready: float
    objects: int
    files: int
    values: int
    expected: int
    dbcheck_errors: int
    checks: TierResult


def rehearse(entry: Entry, server: Server, plan: UpgradePlan, settings: Settings) -> Rehearsal:
    """Do on a copy what the upgrade will do, and look at it closely.

    ServerError says what would have gone wrong; then the logs and results are in `evidence_of(server)`, and the
    server was not touched.
    """
    began = time.monotonic()
    evidence = evidence_of(server)
    shutil.rmtree(evidence, ignore_errors=True)
    with (
        step(f"rehearsing {plan.target.ref} on a copy of {server.name}"),
        _stage(entry, server) as (copy, pause),
    ):
        try:
            if not (copy.state / _FROM_THE_FIRST_START).exists():
                _first_start(copy, settings)
            before = dump(copy, entry)
            new = with_image(copy, plan.target.id)
            ready = _first_start(new, settings)
            comparison = compare(before, dump(new, entry), load_rules())
            _require_kept(server, comparison)
            errors = _require_sound(entry, server, new)
            checks = _check(entry, server, new, settings)
        except GalaxyError as error:
            _keep(copy, evidence)
            if "galaxy logs" in error.hint:
                error.hint = ""  # those are the server's own, in which nothing of this is
            error.add_note(
                f"That was the rehearsal, on a copy: {server.name} is as it was. Its logs: {evidence}"
            )
            raise
        return Rehearsal(
            seconds=time.monotonic() - began,
            pause_ms=pause * 1000,
            ready=ready,
            objects=comparison.objects,
            files=comparison.files,
            values=comparison.values,
            expected=len(comparison.expected),
            dbcheck_errors=errors,
            checks=checks,
        )


def evidence_of(server: Server) -> Path:
    """Where the last rehearsal's report is, and its logs when it failed."""
    return server.folder / "rehearsal"


@contextmanager
def _stage(entry: Entry, server: Server) -> Iterator[tuple[Server, float]]:
    """A copy of the server in a network of its own, for the block; and the seconds that its writers waited."""
    home = server.folder / "rehearsal-copy"
    with entry.temporarily("tree", home), _network(entry, server) as network:
        copied = clone(entry, server, home, network)
        yield copied.server, copied.held


@contextmanager
def _network(entry: Entry, server: Server) -> Iterator[NamespaceNetwork]:
    """A network namespace with nothing in it but the server's address, at an interface named as the server's own.

    smb.conf may name that one (`interfaces`).
    """
    link = link_of(server)
    if link in {"", "lo"}:
        link = "lan0"
    name = f"{server.container}+rehearsal"  # no server's name has that sign
    with entry.temporarily("netns", name):
        path = netns.add_namespace(name)
        netns.add_bridge(link, name)
        netns.add_address(link, server.config.address, 24, name)
        yield NamespaceNetwork(path=path)


def _first_start(copy: Server, settings: Settings) -> float:
    """A version meets the databases for the first time; seconds until all services answered."""
    ready = lifecycle.start(copy, settings)
    try:
        smoke(copy)
    finally:
        lifecycle.stop(copy, settings)
    return ready.all


def _require_kept(server: Server, comparison: Comparison) -> None:
    """ServerError when the new version has lost or changed something that nobody expects it to."""
    if not comparison.unexpected:
        return
    shown = first_of([f"{one.name}: {one.words}" for one in comparison.unexpected], _SHOWN, "; ")
    evidence = evidence_of(server)
    evidence.mkdir(mode=0o700, exist_ok=True)
    lines = "".join(f"{one.area} {one.name}: {one.words}\n" for one in comparison.unexpected)
    write_atomic(evidence / "differences.txt", lines, 0o600)
    raise ServerError(
        f"the rehearsal changed data: {shown}",
        f"{server.name} was not touched. All of it is in {evidence / 'differences.txt'}",
    )


def _require_sound(entry: Entry, server: Server, new: Server) -> int:
    """How many errors dbcheck finds in the copy; ServerError when the old version did not find as many."""
    found = dbcheck(new)
    if not found:
        return 0
    with _stage_again(entry, server, server.config.network) as old:
        before = dbcheck(old)
    if found > before:
        raise ServerError(
            f"the rehearsal left {found} errors that dbcheck finds, before it there were {before}",
            f"{server.name} was not touched; the copy's logs are in {evidence_of(server)}",
        )
    return found


@contextmanager
def _stage_again(entry: Entry, server: Server, network: Network) -> Iterator[Server]:
    """A second copy, for the old version."""
    home = server.folder / "rehearsal-before"
    with entry.temporarily("tree", home):
        yield clone(entry, server, home, network).server


def _check(entry: Entry, server: Server, new: Server, settings: Settings) -> TierResult:
    """The smoke tier by real clients; ServerError names the first checks that fail with the new version only."""
    evidence = evidence_of(server)
    result = _clients(new, evidence, settings)
    if result.troubles:
        with (
            step("some checks fail: looking whether they do with the old version"),
            _stage_again(entry, server, new.config.network) as old,
        ):
            result = result.less(_clients(old, evidence / "before", settings).troubles)
    if result.troubles:
        raise ServerError(
            f"the rehearsal fails {len(result.troubles)} checks: {first_of(result.troubles, _SHOWN, '; ')}",
            f"The server was not touched. Details are in {evidence}",
        )
    if not result.passed:
        raise ServerError(
            f"the rehearsal could check nothing: {first_of(result.before, 1) or 'no check applies'}",
            f"The server was not touched. Mend that, or do without: --no-rehearsal. Details are in {evidence}",
        )
    return result


def _clients(copy: Server, folder: Path, settings: Settings) -> TierResult:
    """What clients of a copy see."""
    lifecycle.start(copy, settings)
    try:
        with temporary_administrator(copy) as (account, password_file):
            return run_tier(copy, folder, account=account, password_file=password_file)
    finally:
        lifecycle.stop(copy, settings)


def _keep(copy: Server, evidence: Path) -> None:
    """Keep the copy's logs for people, as far as that goes; its databases go."""
    if not copy.log.is_dir():
        return
    try:
        shutil.copytree(copy.log, evidence / "log", symlinks=True, dirs_exist_ok=True)
        evidence.chmod(0o700)
    except OSError as error:  # on a full disk, say: what failed before is the one to tell
        say(f"not all logs of the rehearsal could be kept: {error}")

"""Back to an older version by leaving the domain and joining it again, where other DCs have the data too.

Nothing of the newer version's databases is taken along: the older one gets the directory from another DC. What that
does not have stays the server's own: smb.conf, and what `carry.py` names.

Until the domain is told to forget the old DC, an error or a killed command ends with the newer version running as
before. From then on there is only forward: `recover` goes on from where it stopped. For that the credentials lie in
the server's folder, mode 0600, until it is done.
"""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from galaxy.host.errors import GalaxyError, InputError, ServerError
from galaxy.host.files import require_space, sync_file_system, sync_folder, write_atomic
from galaxy.host.journal import LOOK, Entry, journal
from galaxy.host.progress import say, step
from galaxy.host.settings import Settings
from galaxy.host.undo import undoes
from galaxy.release.version import Version
from galaxy.server import lifecycle, names
from galaxy.server.config import (
    CONFIG,
    HostNetwork,
    NamespaceNetwork,
    Network,
    Server,
    load,
    pending_server,
    server_of,
)
from galaxy.server.container import delete
from galaxy.server.create import CreateRequest, begin
from galaxy.server.history import REJOIN, UpgradeRecord
from galaxy.server.history import record as remember
from galaxy.server.hold import hold
from galaxy.server.join import JoinRequest, forget_join, is_known, join_held, leave, require_joinable
from galaxy.server.network import bring_up, namespace_of, take_down
from galaxy.server.rootfs import image_of
from galaxy.server.survey import survey
from galaxy.server.swap import exchange, require_movable
from galaxy.upgrade.carry import take_over
from galaxy.upgrade.changes import changes_since, object_line
from galaxy.upgrade.keytabs import keep_keys, newest_key
from galaxy.upgrade.partners import look
from galaxy.upgrade.replicate import deliver, link
from galaxy.upgrade.smoke import smoke
from galaxy.upgrade.switch import start_again, stays_moved, with_image

# What a join and the first start write beside a directory of the old one's size.
_ROOM = 200_000_000
# Below the server's folder: a join under way, one that is done, and what was there before.
_HOME, _JOINED, _ASIDE = "rejoining", "rejoined", "before-rejoin"
_KEYTAB = "private/secrets.keytab"


class RejoinRequest(BaseModel):
    """The image to join with, the address of another DC, and who may demote and join there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    image_id: str
    dc: str
    user: str
    password: str


class _Progress(BaseModel):
    """How far a rejoin is, in the server's folder. `partner`: the other DC's full name.

    `leaving`: the domain is being told to forget the old DC, and may have; `left`: it has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    request: RejoinRequest
    partner: str
    old_image: str
    running: bool
    sound: bool = True
    leaving: bool = False
    left: bool = False
    ready_timeout: float
    stop_timeout: float
    join_timeout: float

    @property
    def settings(self) -> Settings:
        """The timeouts of the command that was interrupted."""
        return Settings(
            ready_timeout=self.ready_timeout, stop_timeout=self.stop_timeout, join_timeout=self.join_timeout
        )


def rejoin(entry: Entry, server: Server, request: RejoinRequest, settings: Settings, *, sound: bool) -> None:
    """Demote a server and join it again with another image. The caller holds its lock.

    What it has acknowledged is delivered to the other DC first, if it is `sound`. Raises InputError, HostError or
    ServerError with the server as it was, until the domain was told; then ServerError says that `recover` goes on.
    """
    running = lifecycle.status(server).state == "running"
    with _in_network(server, running=running):
        partner = _require_ready(server, request)
    progress = _Progress(
        request=request,
        partner=partner,
        old_image=server.config.image_id,
        running=running,
        sound=sound,
        ready_timeout=settings.ready_timeout,
        stop_timeout=settings.stop_timeout,
        join_timeout=settings.join_timeout,
    )
    _clear(server)  # what an earlier one of an older Galaxy has left
    with _resumable(entry, server, progress):
        if running:
            _deliver_and_stop(entry, server, partner, settings, sound=sound)
        _forward(server, progress)


@contextmanager
def _in_network(server: Server, *, running: bool) -> Iterator[None]:
    """The server's network for the block, also when it is stopped."""
    if running:
        yield
        return
    with journal(server.store, LOOK, server.name) as entry:
        bring_up(entry, server)
        yield
        take_down(server)


def _require_ready(server: Server, request: RejoinRequest) -> str:
    """Ask everything that can be asked before anything is done; returns the other DC's full name."""
    require_movable(server)
    databases = sum(file.lstat().st_size for file in (server.state / "private").rglob("*.*db"))
    require_space(server.folder, databases + _ROOM, f"the rejoin of {server.name}")
    domain = survey(names.ipv4(request.dc), namespace_of(server))
    if domain.dc.lower() == server.config.fqdn.lower():
        raise InputError(f"{request.dc} is {server.name} itself", "Give --dc the address of another DC.")
    target = server.as_image(request.image_id)
    wanted = _wanted(server, request)
    require_joinable(wanted, domain, Version.parse(image_of(target).version))
    with _visitor(server, request) as visitor:
        if not is_known(visitor, wanted, domain):
            raise InputError(
                f"{domain.dc} does not know {server.name} as a DC", "Give --dc a DC of the same domain."
            )
    return domain.dc


@contextmanager
def _visitor(server: Server, request: RejoinRequest) -> Iterator[Server]:
    """A folder with nothing in it but smb.conf and what that includes, for the older image to ask the other DC from."""
    visitor = _newcomer(server, request)
    shutil.rmtree(visitor.folder, ignore_errors=True)
    with journal(server.store, LOOK, server.name) as entry, entry.temporarily("tree", visitor.folder):
        begin(entry, visitor)
        shutil.copytree(server.etc, visitor.etc, symlinks=True, dirs_exist_ok=True)
        yield visitor


def _newcomer(server: Server, request: RejoinRequest) -> Server:
    """The DC that will be, in a folder of its own."""
    config = server.config.model_copy(
        update={"image_id": request.image_id, "network": _reached_by(server), "created": datetime.now(UTC)}
    )
    return Server(store=server.store, config=config, home=server.folder / _HOME)


@contextmanager
def _resumable(entry: Entry, server: Server, progress: _Progress) -> Iterator[None]:
    """The block is the rejoin: how to go on or back is known before it, and forgotten at its end."""
    entry.on_failure("rejoined", f"{server.store.root}:{server.name}")
    with entry.until_done("rejoin", f"{server.store.root}:{server.name}"):
        _note(server, progress)
        yield
        _commit(server, progress)
    _settle(server, progress)


def _deliver_and_stop(entry: Entry, server: Server, partner: str, settings: Settings, *, sound: bool) -> None:
    """Have the other DC fetch everything, and stop; ServerError if somebody wrote in between."""
    if not sound:
        lifecycle.stop_quickly(server, settings)
        return
    with step(f"delivering what {server.name} knows to {partner}"):
        deliver(server, partner)
        # Once more: the first may take long, and all that is written from here on keeps it from going on.
        before = look(entry, server).usn
        deliver(server, partner)
    lifecycle.stop_quickly(server, settings)
    late = changes_since(entry, server, before, server.folder).objects
    if late:
        raise ServerError(
            f"{len(late)} changes came while {server.name} was stopping, and the other DCs may not have them: "
            f"{object_line(late[0])}",
            "Try again when nobody writes; the server goes on as before.",
        )


def _forward(server: Server, progress: _Progress) -> None:
    """From a stopped server to the older version running; every part can be done again.

    Its journal is its own: what it made is undone before anything begins anew.
    """
    joined = server.folder / _JOINED
    with journal(server.store, "rejoin", server.name) as entry, hold(entry, server):
        if not joined.is_dir():
            _join_anew(entry, server, progress, joined)
        (joined / CONFIG).unlink(missing_ok=True)
        exchange(server.folder, joined, server.folder / _ASIDE)
        take_over(server.folder / _ASIDE, server.folder)
        moved = with_image(server, progress.request.image_id)
        lifecycle.start_held(moved, progress.settings, in_network=True)
        _require_good(moved, progress.settings.ready_timeout)


def _require_good(server: Server, seconds: float) -> None:
    """Ask until it does well: a DC that has just joined may still be busy with itself, and there is no way back."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            smoke(server)
        except ServerError:
            if time.monotonic() > deadline:
                raise
            time.sleep(1.0)
        else:
            return


def _join_anew(entry: Entry, server: Server, progress: _Progress, joined: Path) -> None:
    """Leave the domain, join it in a folder of its own, and give that its name when it is whole."""
    request = progress.request
    new = _newcomer(server, request)
    shutil.rmtree(new.folder, ignore_errors=True)
    wanted, domain = _wanted(server, request), survey(request.dc, namespace_of(server))
    _note(server, progress.model_copy(update={"leaving": True}))
    with step(f"taking the old {server.config.hostname} out of {server.config.realm}"):
        delete(server)  # its own container, ended and left behind, has the name
        leave(server.as_image(request.image_id), wanted, domain)
    _note(server, progress.model_copy(update={"leaving": True, "left": True}))
    join_held(entry, new, wanted, domain, progress.settings)
    forget_join(new)
    # What is not in the new folder stays where it is: smb.conf, and the administrator's password.
    if not (new.secrets / "admin-password").exists():
        shutil.rmtree(new.secrets)
    shutil.rmtree(new.etc)
    keep_keys(server.state / _KEYTAB, new.state / _KEYTAB)
    sync_file_system(new.folder)
    new.folder.rename(joined)
    sync_folder(server.folder)


def _wanted(server: Server, request: RejoinRequest) -> JoinRequest:
    config = server.config
    return JoinRequest(
        server=CreateRequest(
            name=config.name,
            image=request.image_id,
            realm=config.realm,
            domain=config.domain,
            hostname=config.hostname,
            address=config.address,
            network=_reached_by(server),
            dns_forwarders=config.dns_forwarders,
            password=request.password,
        ),
        dc=request.dc,
        user=request.user,
        above=newest_key(server.state / _KEYTAB),
    )


def _reached_by(server: Server) -> Network:
    """The network that the old one leaves and the new one joins in: the server's own, which is there already."""
    path = namespace_of(server)
    return HostNetwork() if path is None else NamespaceNetwork(path=path)


def _note(server: Server, progress: _Progress) -> None:
    write_atomic(server.pending, progress.model_dump_json() + "\n", 0o600)


def _commit(server: Server, progress: _Progress) -> None:
    """The older version runs and is checked: from here on it is the server."""
    change = UpgradeRecord(
        from_image=progress.old_image,
        to_image=progress.request.image_id,
        snapshot="",
        committed=datetime.now(UTC),
        way=REJOIN,
    )
    remember(server, change)
    server.pending.unlink()
    sync_folder(server.folder)


def _settle(server: Server, progress: _Progress) -> None:
    """After the commit point: remove what was left of the newer version, which may never be a DC again; replicate."""
    with stays_moved(server):
        _clear(server)
        with step(f"replicating with {progress.request.dc}"):
            link(load(server.store, server.name), progress.partner)


def _clear(server: Server) -> None:
    """Remove what rejoins keep beside the state: what is left of one, the next would take for its own."""
    for name in (_ASIDE, _JOINED, _HOME):
        shutil.rmtree(server.folder / name, ignore_errors=True)


@undoes("rejoined")
def _clear_later(target: str) -> None:
    """Remove that, once the rejoin is done or taken back: before, it may be all that there is of the server."""
    server = server_of(target)
    if server is None:
        return
    if server.pending.exists():
        raise ServerError(f"the rejoin of {server.name} is still half made", "Run: galaxy recover")
    _clear(server)


@undoes("rejoin")
def _resume(target: str) -> None:
    """Back to the newer version as long as the domain knows it, else forward to the older; can be done again."""
    server = pending_server(target)
    if server is None:
        return
    progress = _Progress.model_validate_json(server.pending.read_bytes())
    lifecycle.kill_if_running(server)
    lifecycle.clear(server)
    if progress.left or (progress.leaving and _has_left(server, progress.request)):
        _finish(server, progress)
    else:
        _go_back(server, progress)


def _has_left(server: Server, request: RejoinRequest) -> bool:
    """Whether the domain has forgotten the old DC, which is stopped; it may have refused to."""
    with _in_network(server, running=False):
        domain = survey(request.dc, namespace_of(server))
        return not is_known(server.as_image(request.image_id), _wanted(server, request), domain)


def _go_back(server: Server, progress: _Progress) -> None:
    say(f"{server.name}: going on with the version of before the rollback")
    server = with_image(server, progress.old_image)
    if progress.running:
        start_again(server, progress.settings, sound=progress.sound)
    server.pending.unlink()
    sync_folder(server.folder)


def _finish(server: Server, progress: _Progress) -> None:
    say(f"{server.name}: going on with its return to the domain")
    try:
        _forward(server, progress)
    except GalaxyError as error:
        raise ServerError(
            f"{server.name} has left the domain and could not join it again: {error.message}",
            f"Mend that, and go on: galaxy recover. Its databases of before are in {server.folder}.",
        ) from None
    _commit(server, progress)
    _settle(server, progress)

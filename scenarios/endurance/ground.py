"""The server that is maltreated: made once, put back to its begin quickly, looked at closely after each round."""

import operator
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from galaxy.host.errors import GalaxyError, ServerError
from galaxy.host.files import read_password
from galaxy.host.mounts import mount_points
from galaxy.host.process import background, run
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Catalogue, Image
from galaxy.release.version import Version
from galaxy.server import lifecycle
from galaxy.server.config import PrivateNetwork, Server, load
from galaxy.server.copying import copy_state
from galaxy.server.create import CreateRequest, create
from galaxy.server.ready import answers
from galaxy.upgrade.smoke import smoke
from scenarios.endurance.ledger import Ledger
from scenarios.endurance.leftovers import leftovers
from scenarios.endurance.scribe import CONTAINER, FOLDER, ldap_session, sysvol
from verify.clients import smb
from verify.clients.ldap import samba_version
from verify.target import Target

if TYPE_CHECKING:
    from subprocess import Popen  # noqa: TID251 - the type of what host/process.py started

NAME = "dc1"
_CONFIG = "server.toml"
REALM = "ENDURE.GALAXY.TEST"
# Past so many acknowledged writes the domain begins anew: searches and dbcheck would only take longer.
_ENOUGH = 2500
_PATIENCE = 30.0
_SETTLED = 20.0
_SMOKE = 45.0


class LostError(Exception):
    """What a round must never end with; the message says what."""


@dataclass(slots=True, kw_only=True)
class Ground:
    """One server in a store of its own, and the scribe that writes to it. `folder` is for lists, logs and templates."""

    store: Store
    settings: Settings
    folder: Path
    old: Image
    new: Image
    chance: random.Random
    ledger: Ledger
    scribe: "Popen[bytes] | None" = None

    @property
    def server(self) -> Server:
        """The server as it is now."""
        return load(self.store, NAME)

    @property
    def image(self) -> Image:
        """The image that it has now."""
        return next(one for one in (self.old, self.new) if one.id == self.server.config.image_id)

    def target(self) -> Target:
        """The server as clients take it."""
        config = self.server.config
        return Target(
            address=config.address,
            fqdn=config.fqdn,
            realm=config.realm,
            domain=config.domain,
            base_dn=config.base_dn,
            admin_user="Administrator",
            password=read_password(self.server.secrets / "admin-password"),
            version=Version.parse(self.image.version),
        )

    @property
    def worn(self) -> bool:
        """Whether the next round needs the server as it was: it has moved, or much was written."""
        return self.image != self.old or self.ledger.count > _ENOUGH

    def reset(self) -> None:
        """The old version with the template's state, running, and empty lists; the scribe must be away."""
        server = self.server
        lifecycle.kill_if_running(server)
        lifecycle.clear(server)
        for path in server.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in (server.log, server.etc_host, server.bundle):
            folder.mkdir(mode=0o755)
        copy_state(self.template, server.folder)
        shutil.copy2(self.template / _CONFIG, server.folder)
        lifecycle.start(self.server, self.settings)
        for file in self.ledger.folder.glob("*.txt"):
            file.unlink()

    @property
    def template(self) -> Path:
        """The server's folder as it was when it had just been made."""
        return self.folder / "template"

    @contextmanager
    def writing(self, least: int = 5) -> Iterator[None]:
        """The scribe writes while the block lasts; the block begins when it has got `least` new acknowledgements."""
        before = self.ledger.count
        script = ("-m", "scenarios.endurance.scribe")
        argv: list[str | Path] = [sys.executable, *script, self._write_target(), self.ledger.folder]
        with (
            # It is ended by a signal, and leaves what it has there.
            tempfile.TemporaryDirectory(prefix="galaxy-scribe-") as place,
            background(
                argv, log=self.folder / "scribe.out", cwd=_HOUSE, env={"TMPDIR": place}
            ) as self.scribe,
        ):
            self.wait_for(before + least)
            yield
        self.scribe = None

    def wait_for(self, count: int) -> None:
        """Wait until so many writes have been acknowledged, of which one at least of each kind came meanwhile."""
        deadline, before = time.monotonic() + 60, self.ledger.counts
        while sum(now := self.ledger.counts) < count or any(map(operator.le, now, before)):
            if time.monotonic() > deadline:
                raise LostError(
                    f"after 60 s {before} users and files are {now}, {count} in all: {self._said()}"
                )
            time.sleep(0.02)

    @contextmanager
    def scribe_still(self) -> Iterator[None]:
        """The scribe stands still while the block lasts."""
        if self.scribe is not None:
            self.scribe.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            if self.scribe is not None:
                self.scribe.send_signal(signal.SIGCONT)

    def require_good(self) -> str:
        """The server runs one version whole and well, has all that it acknowledged, and nothing else is left.

        Returns the version; LostError says what is wrong.
        """
        version = self.require_serving()
        self.require_tidy()
        return version

    def require_serving(self) -> str:
        """As `require_good`, when something may still be about that the next command takes away."""
        server = self.server
        state = lifecycle.status(server).state
        if state != "running":
            raise LostError(f"the server is {state}")
        silent = {name: why for name, why in answers(server, _PATIENCE).items() if why}
        if silent:
            raise LostError(f"the server does not answer: {silent}")
        self._smoke()
        speaks = samba_version(server.config.address)
        if speaks is None or not str(speaks).startswith(self.image.version):
            raise LostError(f"server.toml says {self.image.version}, the server {speaks}")
        if lost := self.ledger.lost(self.target(), server.state / "sysvol"):
            raise LostError(f"{len(lost)} of {self.ledger.count} acknowledged writes are lost: {lost[0]}")
        return self.image.version

    def _smoke(self) -> None:
        """The upgrade's own questions; a host on which everything takes long is no finding, so they are repeated."""
        deadline = time.monotonic() + _SMOKE
        while True:
            try:
                smoke(self.server)
            except ServerError:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def require_tidy(self) -> None:
        """LostError when something is left over that does not go by itself within seconds."""
        deadline = time.monotonic() + _SETTLED
        while left := leftovers(self.server):
            if time.monotonic() > deadline:
                raise LostError("left over: " + "; ".join(left))
            time.sleep(0.1)

    def dbcheck(self) -> int:
        """How many errors dbcheck finds in the running server; the scribe should stand still."""
        from galaxy.server.execute import exec_  # noqa: PLC0415 - only power cuts ask

        done = exec_(self.server, ("samba-tool", "dbcheck", "--cross-ncs"), timeout=300)
        found = [line for line in done.output.splitlines() if line.startswith("Checked ")]
        if not found:
            raise LostError(f"dbcheck did not end: {done.output.strip()[-300:]}")
        return int(found[-1].partition("(")[2].split()[0])

    def _write_target(self) -> Path:
        target, file = self.target(), self.folder / "target.toml"
        lines = {
            "address": target.address,
            "fqdn": target.fqdn,
            "realm": target.realm,
            "domain": target.domain,
            "password_file": str(self.server.secrets / "admin-password"),
        }
        file.write_text("".join(f'{key} = "{value}"\n' for key, value in lines.items()), encoding="utf-8")
        return file

    def _said(self) -> str:
        log = self.ledger.folder / "scribe.log"
        return log.read_text(encoding="utf-8")[-300:] if log.exists() else "nothing"


_HOUSE = Path(__file__).resolve().parents[2]


@contextmanager
def prepared(
    folder: Path,
    images: Store,
    versions: tuple[str, str],
    *,
    address: str,
    seed: int,
    settings: Settings,
    disk: Path | None = None,
) -> Iterator[Ground]:
    """A server of the first version, to be moved to the second, in a store below `folder`; all goes at the end.

    The store is on `disk` if there is one.
    """
    store = Store(root=(disk or folder) / "store")
    store.root.mkdir(mode=0o700)
    store.images.symlink_to(images.images)
    store.ensure()
    known = Catalogue(store=store)
    lists = folder / "lists"
    lists.mkdir()
    chance = random.Random(seed)  # noqa: S311 - nothing secret
    ground = Ground(
        store=store,
        settings=settings,
        folder=folder,
        old=known.resolve(versions[0]),
        new=known.resolve(versions[1]),
        chance=chance,
        ledger=Ledger(folder=lists, chance=chance),
    )
    try:
        _make(ground, address)
        yield ground
    finally:
        _raze(ground)


def _make(ground: Ground, address: str) -> None:
    request = CreateRequest(
        name=NAME, image=ground.old.id, realm=REALM, address=address, network=PrivateNetwork()
    )
    server = create(ground.store, ground.settings, request)
    lifecycle.start(server, ground.settings)
    target = ground.target()
    with ldap_session(target) as session:
        session.add(f"{CONTAINER},{target.base_dn}", {"objectClass": "organizationalUnit"})
    with sysvol(target) as share:
        smb.open_folder(share, FOLDER, make=True).close(get_attributes=False)
    lifecycle.stop(server, ground.settings)
    ground.template.mkdir()
    copy_state(server.folder, ground.template)
    shutil.copy2(server.folder / _CONFIG, ground.template)
    lifecycle.start(server, ground.settings)


def _raze(ground: Ground) -> None:
    """Take everything away, whatever state it is in."""
    with suppress(GalaxyError):
        server = ground.server
        lifecycle.kill_if_running(server)
        lifecycle.clear(server)
    root = str(ground.store.root)
    for point in sorted(mount_points(), key=len, reverse=True):
        if point.startswith(f"{root}/"):
            run(["umount", point])
    shutil.rmtree(ground.store.root, ignore_errors=True)

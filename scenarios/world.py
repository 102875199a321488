"""What the steps of a cell act on, and the server that the checks look at."""

import shutil
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from galaxy.host.errors import GalaxyError
from galaxy.host.files import read_password
from galaxy.host.mounts import mounts_at
from galaxy.host.process import Completed, process_identity, process_lives, run
from galaxy.host.progress import say
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.catalogue import Image
from galaxy.release.version import Version
from galaxy.server.config import Backend, NamespaceNetwork, Server, load
from galaxy.server.create import CreateRequest, create
from galaxy.server.execute import exec_
from galaxy.server.join import JoinRequest, join
from galaxy.server.lifecycle import remove
from galaxy.server.running import alive, processes
from scenarios.lab import CLIENT, DOMAIN, REALM, SERVERS, Lab
from verify.target import Shell, Target


@dataclass(slots=True, kw_only=True)
class World:
    """A cell's lab, images and servers; `stack` takes down what the cell has made.

    `written` is what steps put into the domain and must find again: DNs, with the password of those that have
    one; `later` is what was written after the state that a step goes back to. `accounts` are others that must log
    on, by name, with their passwords. `evidence` is where the logs and state of what failed go.
    """

    store: Store
    settings: Settings
    lab: Lab
    images: tuple[Image, ...]
    evidence: Path
    stack: ExitStack
    servers: dict[str, Server] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    later: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)

    @property
    def dc(self) -> Server:
        """The cell's first server."""
        return self.server("dc1")

    def server(self, hostname: str) -> Server:
        """A server as it is now: an upgrade gives it another image."""
        return load(self.store, self.servers[hostname].name)

    def create(
        self, hostname: str, image: Image, backend_store: Backend = "tdb", *, anew: bool = False
    ) -> Server:
        """Make a server of the lab's domain, from a template where there is one unless `anew`; it is not started."""
        request = replace(self._request(hostname, image), domain=DOMAIN, backend_store=backend_store)
        self.servers[hostname] = create(self.store, self.settings, request, template_ok=not anew)
        return self.servers[hostname]

    def join(self, hostname: str, image: Image, through: str = "dc1") -> Server:
        """Make a server that joins the lab's domain through one that runs; it is not started."""
        told = read_password(self.servers[through].secrets / "admin-password")
        request = JoinRequest(
            server=replace(self._request(hostname, image), password=told), dc=SERVERS[through]
        )
        self.servers[hostname] = join(self.store, self.settings, request)
        return self.servers[hostname]

    def _request(self, hostname: str, image: Image) -> CreateRequest:
        """What a new server shall be, with its place in the lab's network; both go with the cell."""
        path = self.stack.enter_context(self.lab.connected(hostname))
        name = f"{self.lab.name}-{hostname}"
        self.stack.callback(self._forget_runs, name)
        self.stack.enter_context(self.lab.entry.temporarily("server", f"{self.store.root}:{name}"))
        return CreateRequest(
            name=name,
            image=image.id,
            realm=REALM,
            hostname=hostname,
            address=SERVERS[hostname],
            network=NamespaceNetwork(path=path),
            dns_forwarders=(CLIENT,),
        )

    def _forget_runs(self, name: str) -> None:
        """Remove what an upgrade of one of the lab's servers kept of its checks: nobody has that server any more."""
        for folder in self.store.runs.glob(f"*-{name}"):
            shutil.rmtree(folder)

    def remove(self, hostname: str) -> None:
        """Stop and remove a server with its state; nothing of it is left."""
        server = self.servers.pop(hostname)
        record = alive(server)
        ran = [process_identity(pid) for pid in processes(record)] if record is not None else []
        remove(server, self.settings, force=True)
        left = [
            *(f"process {who}" for who in ran if who and process_lives(who)),
            *(f"mount {at}" for at in mounts_at(server.folder)),
            *(str(at) for at in (server.folder, server.runtime_root / server.container) if at.exists()),
        ]
        assert not left, f"of {server.name} is left: {', '.join(left)}"

    def image_of(self, server: Server) -> Image:
        """The cell's image that a server runs now."""
        return next(image for image in self.images if image.id == server.config.image_id)

    def target(self, hostname: str = "dc1", ref: str = "") -> Target:
        """A server, as the checks take it; AssertionError when it does not run the image `ref`, if one is given."""
        server = self.server(hostname)
        runs = self.image_of(server).ref
        assert ref in {"", runs}, f"{hostname} runs {runs}, and checks would count for {ref}"
        process = alive(server)
        # Without it those that look at the processes would not be applicable, instead of wrong.
        assert process or not ref, f"{hostname} does not run"
        return Target(
            address=server.config.address,
            fqdn=server.config.fqdn,
            realm=server.config.realm,
            domain=server.config.domain,
            base_dn=server.config.base_dn,
            admin_user="Administrator",
            password=read_password(server.secrets / "admin-password"),
            version=Version.parse(self.image_of(server).version),
            shell=_shell(server),
            log_folder=server.log,
            pid=process.pid if process is not None else None,
            forwarder=CLIENT,
        )

    def keep_evidence(self, *, state: bool) -> None:
        """Copy every server's logs, and with `state` all it holds, to where people look after a failure.

        As far as that goes: a log that is renamed meanwhile, or a full disk, must not hide the failure itself.
        """
        try:
            self._keep_evidence(state=state)
        except (GalaxyError, OSError) as error:
            say(f"not all evidence of {self.lab.name} could be kept: {error}")

    def _keep_evidence(self, *, state: bool) -> None:
        self.evidence.mkdir(parents=True, exist_ok=True, mode=0o700)
        for hostname, server in self.servers.items():
            kept = self.evidence / hostname
            if state and server.folder.exists():
                shutil.rmtree(kept, ignore_errors=True)
                run(["cp", "--archive", "--sparse=always", server.folder, kept], timeout=120)
            elif server.log.exists() and not kept.exists():
                shutil.copytree(server.log, kept / "log", symlinks=True)


def _shell(server: Server) -> Shell:
    def shell(*argv: str, stdin: str | None = None, timeout: float = 60.0, check: bool = False) -> Completed:
        return exec_(server, argv, stdin=stdin, timeout=timeout, check=check)

    return shell

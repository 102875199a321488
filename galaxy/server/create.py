"""Making a server: check everything, then provision, then put it in place; a failure leaves nothing behind."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from galaxy.host.errors import InputError
from galaxy.host.files import require_space, sync_file_system, write_atomic
from galaxy.host.journal import Entry, journal
from galaxy.host.lock import locked
from galaxy.host.progress import step
from galaxy.host.recovery import require_uninterrupted
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.image.mount import image_lock
from galaxy.image.sealed import require_unchanged
from galaxy.server import names
from galaxy.server.broken import configs
from galaxy.server.config import (
    CONFIG,
    Backend,
    HostNetwork,
    NamespaceNetwork,
    Network,
    PrivateNetwork,
    Server,
    ServerConfig,
)
from galaxy.server.container import delete, handle
from galaxy.server.inside import smb_conf
from galaxy.server.network import default_address, require_on_host, require_private
from galaxy.server.ports import require_free
from galaxy.server.provision import provision, random_password
from galaxy.server.resolver import forwarders
from galaxy.server.rootfs import image_of
from galaxy.server.template import from_template
from galaxy.server.tls import write_certificate

_CREATE_WAIT = 120.0
# Bytes: a new server's files take 45 MB; the rest is for its logs and what is written while it is made.
SPACE = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """What a new server shall be; None leaves the choice to Galaxy. `image` is an image's whole id."""

    name: str
    image: str
    realm: str
    domain: str | None = None
    hostname: str | None = None
    address: str | None = None
    network: Network = field(default_factory=HostNetwork)
    dns_forwarders: tuple[str, ...] | None = None
    backend_store: Backend = "tdb"
    password: str | None = field(default=None, repr=False)


def create(store: Store, settings: Settings, request: CreateRequest, *, template_ok: bool = False) -> Server:
    """Create a server with a domain of its own; it is not started.

    Raises InputError for anything that cannot be taken, the password included. With `template_ok` an equal
    server's provisioned state may be copied, SIDs and all: for tests, never for a domain that somebody uses.
    """
    name = names.server_name(request.name)
    with locked(store, f"server-{name}", wait=_CREATE_WAIT), alone(store, request):
        require_new(store, name)
        server = Server(store=store, config=plan(store, request))
        require_unchanged(image_of(server))
        with journal(store, "create", name) as entry:
            make(entry, server, request.password, settings, template_ok=template_ok)
    return server


@contextmanager
def alone(store: Store, request: CreateRequest) -> Iterator[None]:
    """Make one server at a time, from the choice of its address on: it counts as taken when the server is there.

    Whoever gives a network namespace of its own chooses the addresses in it.
    """
    if isinstance(request.network, NamespaceNetwork):
        yield
    else:
        with locked(store, "the-making-of-servers", wait=_CREATE_WAIT):
            yield


def plan(store: Store, request: CreateRequest) -> ServerConfig:
    """Everything a request leads to, checked against this host; writes nothing."""
    realm = names.realm_name(request.realm)
    hostname = names.host_name(request.hostname or request.name)
    taken = configs(store)
    address = _address(request, taken)
    return ServerConfig(
        name=request.name,
        image_id=request.image,
        realm=realm,
        domain=names.domain_name(request.domain, realm, hostname),
        hostname=hostname,
        address=address,
        dns_forwarders=_forwarders(request, address),
        created=datetime.now(UTC).replace(microsecond=0),
        backend_store=request.backend_store,
        network=request.network,
    )


def make(
    entry: Entry, server: Server, password: str | None, settings: Settings, *, template_ok: bool = False
) -> None:
    """Fill the server's folder; server.toml comes last and makes it a server."""
    begin(entry, server)
    fill = partial(_fill, settings)
    if template_ok:
        from_template(server, password, fill)
    else:
        fill(server, password)
    commit(server)


def commit(server: Server) -> None:
    """Make the filled folder a server, once a power cut cannot take anything out of it any more.

    PolicyError or InputError when its image has been removed meanwhile: nothing has said so far that it is needed.
    """
    sync_file_system(server.folder)
    with locked(server.store, image_lock(server.config.image_id), wait=_CREATE_WAIT):
        image_of(server)
        server.write()


def begin(entry: Entry, server: Server) -> None:
    """Make the server's empty folders; they go again, and its container, if the command fails."""
    require_space(server.store.servers, SPACE, f"making the server {server.name}")
    entry.on_failure("tree", server.folder)
    entry.on_failure("container", handle(server))
    delete(server)  # a killed creation's: its folder is gone, its container may not be
    server.folder.mkdir(mode=0o700, parents=True)
    for folder in (server.etc, server.state, server.cache, server.log, server.etc_host, server.bundle):
        folder.mkdir(mode=0o755)
    server.secrets.mkdir(mode=0o700)


def _fill(settings: Settings, server: Server, password: str | None) -> None:
    word = password if password is not None else random_password()
    (server.etc / "smb.conf").write_text(smb_conf(server.config), encoding="utf-8")
    with step(f"making the domain {server.config.realm}"):
        provision(server, word, settings.provision_timeout)
    write_certificate(server)
    write_atomic(server.secrets / "admin-password", word + "\n", 0o600)


def require_new(store: Store, name: str) -> None:
    """InputError when there is a server of that name, or a folder that may hold one's state: nothing is removed.

    PolicyError when a command about that name was cut off and not undone yet. The caller holds the name's lock.
    """
    require_uninterrupted(store, name)
    folder = store.servers / name
    if (folder / CONFIG).exists():
        raise InputError(
            f"there is a server {name} already", f"Choose another name, or remove it: galaxy rm {name}"
        )
    if folder.exists():
        raise InputError(
            f"{folder} is there without a server.toml, and may hold a server's state",
            "Put its server.toml back, or move the folder away, or choose another name.",
        )


def _address(request: CreateRequest, taken: tuple[ServerConfig, ...]) -> str:
    match request.network:
        case HostNetwork() as network:
            address = names.ipv4(request.address or default_address(network, taken))
            require_on_host(address)
            _require_own(address, taken)
            require_free(address)
        case PrivateNetwork() as network:
            address = names.ipv4(request.address or default_address(network, taken))
            require_private(address, network, taken)
        case NamespaceNetwork():
            if request.address is None:
                raise InputError("a server in a given network namespace needs its address", "Give it.")
            address = names.ipv4(request.address)
    return address


def _require_own(address: str, taken: tuple[ServerConfig, ...]) -> None:
    for config in taken:
        if config.address == address and isinstance(config.network, HostNetwork):
            raise InputError(
                f"{address} is the address of the server {config.name}",
                "Give another one with --address, or take --network private.",
            )


def _forwarders(request: CreateRequest, address: str) -> tuple[str, ...]:
    if request.dns_forwarders is not None:
        found = tuple(names.ipv4(item, "DNS forwarder") for item in request.dns_forwarders)
        if address in found:
            raise InputError(
                f"{address} is {request.name} itself, which would ask itself about names that it does not know",
                "Give --dns-forwarder the address of another name server.",
            )
        return found
    # Nothing routes a private network to the host's name servers unless the administrator makes it so.
    return forwarders(address) if isinstance(request.network, HostNetwork) else ()

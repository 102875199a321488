"""A server whose server.toml cannot be taken: what its removal and others need of it is known without that."""

from datetime import UTC, datetime

from galaxy.host.errors import InputError
from galaxy.host.settings import parse_toml
from galaxy.host.store import Store
from galaxy.server.config import (
    CONFIG,
    PrivateNetwork,
    Server,
    ServerConfig,
    has_folder,
    load,
    servers,
    unreadable,
)
from galaxy.server.names import ipv4


def load_to_remove(store: Store, name: str, *, force: bool) -> Server:
    """The server of that name; with `force` also one whose server.toml is broken, to be removed and nothing else.

    Its process, container, namespace and link have their names from the server's and the store's, so all that
    it runs is found and ended. Without `force`, InputError tells of it.
    """
    try:
        return load(store, name)
    except InputError as error:
        if not has_folder(store, name):
            raise
        if not force:
            hint = f"{error.hint.rstrip('.')}. To remove the server with all that it holds: galaxy rm {name} --force"
            raise InputError(error.message, hint) from None
    return _stand_in(store, name)


def former_self(store: Store, name: str) -> Server | None:
    """The server that a folder was before it was renamed; None when it was not, or the old name is in use again.

    What it runs, and its network, have their names from the old one.
    """
    try:
        config = parse_toml(store.servers / name / CONFIG, ServerConfig)
    except InputError:
        return None
    if config.name == name or (store.servers / config.name).exists():
        return None
    return Server(store=store, config=config)


def configs(store: Store) -> tuple[ServerConfig, ...]:
    """Of all servers; of one whose server.toml cannot be taken, what is known without it: its name and address."""
    known = tuple(server.config for server in servers(store))
    return (*known, *(_stand_in(store, name).config for name in unreadable(store)))


def _stand_in(store: Store, name: str) -> Server:
    """As for a private network: to take that down does nothing to a server that has none."""
    config = ServerConfig(
        name=name,
        image_id="",
        realm="",
        domain="",
        hostname=name,
        address="0.0.0.0",  # noqa: S104 - nobody's
        created=datetime.now(UTC),
        network=PrivateNetwork(),
    )
    server = Server(store=store, config=config)
    return Server(store=store, config=config.model_copy(update={"address": _last_address(server)}))


def _last_address(server: Server) -> str:
    """The address of its last start, from the hosts file that it was given; nobody's when it never started."""
    try:
        lines = (server.etc_host / "hosts").read_text(encoding="utf-8").splitlines()
        return ipv4(lines[-1].split()[0])
    except (OSError, ValueError, IndexError, InputError):
        return server.config.address

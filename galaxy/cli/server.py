"""galaxy create, start, stop, restart, status, logs, exec, shell, rm, ls."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from galaxy.cli.render import found_store, need_root, print_json, ready_store, table
from galaxy.cli.serverview import describe, print_logs, print_status
from galaxy.host.errors import GalaxyError, InputError
from galaxy.host.files import read_password
from galaxy.host.settings import load_settings
from galaxy.host.store import Store
from galaxy.server import lifecycle
from galaxy.server.broken import former_self, load_to_remove
from galaxy.server.config import Backend, HostNetwork, PrivateNetwork, Server, load, servers, unreadable
from galaxy.server.restart import restart as restart_server

if TYPE_CHECKING:
    from galaxy.image.catalogue import Image

Name = Annotated[str, typer.Argument(help="The server's name.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


class NetworkKind(StrEnum):
    """What --network takes."""

    HOST = "host"
    PRIVATE = "private"

    def value_of(self) -> HostNetwork | PrivateNetwork:
        """The network as a server's configuration has it."""
        return HostNetwork() if self is NetworkKind.HOST else PrivateNetwork()


# What making a server and joining one take alike.
NewName = Annotated[str, typer.Argument(help="What commands will call the server: dc1.")]
ImageRef = Annotated[str, typer.Option(help="A version, version+packages, or an id's beginning.")]
Address = Annotated[
    str | None,
    typer.Option(
        help="The IPv4 address to answer on: one of the host's (by default its only one), or with --network "
        "private one of a /24 that the host does not reach otherwise (by default the next of 10.213.0.0/24)."
    ),
]
InNetwork = Annotated[
    NetworkKind, typer.Option(help="The host's network, or a private one that the host can reach.")
]
HostName = Annotated[str | None, typer.Option(help="The DC's host name; by default the server's name.")]
Forwarders = Annotated[
    list[str] | None, typer.Option(help="A name server for what is not in the domain; can be repeated.")
]
Uncertified = Annotated[
    bool, typer.Option("--allow-uncertified", help="Take an image without a valid certificate.")
]


def chosen_image(store: Store, ref: str, network: NetworkKind, *, allow_uncertified: bool) -> "Image":
    """The image for a new server; PolicyError when the host's network would get one without a certificate."""
    from galaxy.image.catalogue import Catalogue  # noqa: PLC0415 - other commands need not load images

    chosen = Catalogue(store=store).resolve(ref)
    if network is NetworkKind.HOST and not allow_uncertified:
        from galaxy.gate.certificate import require_certificate  # noqa: PLC0415
        from galaxy.gate.policy import load_policy  # noqa: PLC0415

        require_certificate(store, chosen, load_policy(), waivable=True)
    return chosen


def create(  # noqa: PLR0917 - typer hands over every option by name
    name: NewName,
    image: ImageRef,
    realm: Annotated[str, typer.Option(help="The domain's DNS name: AD.EXAMPLE.ORG.")],
    domain: Annotated[
        str | None, typer.Option(help="NetBIOS name; by default the realm's first label.")
    ] = None,
    address: Address = None,
    network: InNetwork = NetworkKind.HOST,
    hostname: HostName = None,
    admin_password_file: Annotated[
        Path | None, typer.Option(help="The administrator's password; made at random if not given.")
    ] = None,
    dns_forwarder: Forwarders = None,
    backend_store: Annotated[
        Backend,
        typer.Option(help="What the directory is kept in: mdb (LMDB) if it will need more than 4 GB."),
    ] = "tdb",
    allow_uncertified: Uncertified = False,
) -> None:
    """Create a domain controller with a new domain. It is not started.

    On the host's network only an image with a valid certificate is taken.
    """
    from galaxy.server.create import CreateRequest  # noqa: PLC0415 - other commands need not load it
    from galaxy.server.create import create as create_server  # noqa: PLC0415

    store = ready_store("Creating a server", name)
    chosen = chosen_image(store, image, network, allow_uncertified=allow_uncertified)
    request = CreateRequest(
        name=name,
        image=chosen.id,
        realm=realm,
        domain=domain,
        hostname=hostname,
        address=address,
        network=network.value_of(),
        dns_forwarders=tuple(dns_forwarder) if dns_forwarder else None,
        backend_store=backend_store,
        password=read_password(admin_password_file) if admin_password_file else None,
    )
    server = create_server(store, load_settings(), request)
    config = server.config
    print(
        f"{name}: {config.fqdn} at {config.address}, domain {config.realm} ({config.domain}), image {chosen.ref}"
    )
    print(f"  administrator's password: {server.secrets / 'admin-password'}")
    print(f"  to start it: galaxy start {name}")


def start(name: Name) -> None:
    """Start a server and wait until LDAP, SMB, Kerberos and DNS answer."""
    need_root("Starting a server")
    ran = _runs(name)
    server = load(ready_store("Starting a server", name), name)
    if not ran and lifecycle.status(server).state == "running":
        print(f"{name}: running; settling what was interrupted has started it")
        return
    ready = lifecycle.start(server, load_settings())
    print(f"{name}: {ready.in_words()}")


def _runs(name: str) -> bool:
    """Whether a server runs before anything is done."""
    try:
        return lifecycle.status(load(found_store(), name)).state == "running"
    except GalaxyError:
        return False


def stop(name: Name) -> None:
    """Stop a server. Of one that has ended by itself, clear what it left."""
    server = load(ready_store("Stopping a server", name), name)
    before = lifecycle.status(server)
    took = lifecycle.stop(server, load_settings())
    if before.state == "ended":
        print(f"{name}: had ended already ({before.why}); what it left is cleared")
    else:
        print(f"{name}: stopped in {took:.1f} s")


def restart(name: Name) -> None:
    """Stop a server and start it again. One that has ended by itself is started."""
    server = load(ready_store("Restarting a server", name), name)
    ready = restart_server(server, load_settings())
    print(f"{name}: {ready.in_words()}")


def status(name: Name, as_json: Json = False) -> None:
    """Show a server: state, image, address, and which services answer now."""
    print_status(_known(name), as_json=as_json)


def logs(
    name: Name,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Show new lines until the server ends.")
    ] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many last lines of each log.")] = 20,
) -> None:
    """Show a server's logs."""
    print_logs(_known(name), lines, following=follow)


def exec_(
    name: Name,
    command: Annotated[list[str], typer.Argument(help="The program and its arguments.")],
) -> None:
    """Run a program inside a running server; its exit code becomes galaxy's."""
    from galaxy.server.execute import become  # noqa: PLC0415 - as above

    argv = command[1:] if command[0] == "--" else command
    if not argv:
        raise InputError("no program is named", f"Name one: galaxy exec {name} -- samba-tool --help")
    become(_settled(name), argv)


def shell(name: Name) -> None:
    """Open a shell inside a running server."""
    from galaxy.server.execute import become  # noqa: PLC0415

    become(_settled(name), ["/bin/sh", "-i"])


def rm(
    name: Name,
    force: Annotated[
        bool,
        typer.Option(
            "--force", help="Stop it first if it runs; remove it even if its server.toml is broken."
        ),
    ] = False,
) -> None:
    """Remove a server with its configuration, its state, its secrets and its snapshots."""
    store = ready_store("Removing a server", name)
    server = load_to_remove(store, name, force=force)
    joined = (server.log / "join.log").exists()
    former = former_self(store, name) if force else None
    lifecycle.remove(server, load_settings(), force=force, former=former)
    print(f"{name}: removed")
    if joined:
        print(
            f"  if {server.config.realm} still counts on it, on another DC: "
            f"samba-tool domain demote --remove-other-dead-server={server.config.hostname.upper()}"
        )


def ls(as_json: Json = False) -> None:
    """List servers: image, state, address, since."""
    store = _store()
    rows = [describe(server) for server in servers(store)]
    rows += [
        {"name": name, "image": "-", "state": f"damaged: {error.message}", "address": "-", "since": ""}
        for name, error in unreadable(store).items()
    ]
    if as_json:
        print_json(rows)
    elif rows:
        columns = ("name", "image", "state", "address", "since")
        table([column.upper() for column in columns], [[row[column] for column in columns] for row in rows])
        for row in rows:
            if words := row.get("pending"):
                print(f"{row['name']} {words}; see: galaxy status {row['name']}")
    else:
        print(f"there are no servers in {store.root}; make one: galaxy create NAME --image REF --realm REALM")


def _known(name: str) -> Server:
    return load(_store(), name)


def _settled(name: str) -> Server:
    """A server in which programs may be run: what they write stays."""
    server = _known(name)
    lifecycle.require_settled(server)
    return server


def _store() -> Store:
    need_root("Looking at servers")
    return found_store()

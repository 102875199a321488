"""galaxy join."""

from pathlib import Path
from typing import Annotated

import typer

from galaxy.cli.render import ready_store
from galaxy.cli.server import (
    Address,
    Forwarders,
    HostName,
    ImageRef,
    InNetwork,
    NetworkKind,
    NewName,
    Uncertified,
    chosen_image,
)
from galaxy.host.files import read_password
from galaxy.host.settings import load_settings
from galaxy.server.create import CreateRequest
from galaxy.server.join import ADMINISTRATOR, JoinRequest
from galaxy.server.join import join as join_server


def join(  # noqa: PLR0917 - typer hands over every option by name
    name: NewName,
    image: ImageRef,
    realm: Annotated[str, typer.Option(help="The domain's DNS name: AD.EXAMPLE.ORG.")],
    dc: Annotated[str, typer.Option(help="The IPv4 address of a DC of the domain that runs.")],
    admin_password_file: Annotated[Path, typer.Option(help="The password of --admin-user.")],
    admin_user: Annotated[str, typer.Option(help="Who may add DCs to the domain.")] = ADMINISTRATOR,
    address: Address = None,
    network: InNetwork = NetworkKind.HOST,
    hostname: HostName = None,
    site: Annotated[
        str | None, typer.Option(help="An AD site of the domain; by default the site of --dc.")
    ] = None,
    dns_forwarder: Forwarders = None,
    allow_uncertified: Uncertified = False,
) -> None:
    """Create one more domain controller of a domain that is there. It is not started.

    The directory is replicated, and SYSVOL is copied once: Samba does not replicate it, so carry over later changes of
    group policies yourself (docs/sysvol.md). On the host's network only an image with a valid certificate is taken.
    """
    store = ready_store("Joining a domain", name)
    chosen = chosen_image(store, image, network, allow_uncertified=allow_uncertified)
    request = JoinRequest(
        server=CreateRequest(
            name=name,
            image=chosen.id,
            realm=realm,
            hostname=hostname,
            address=address,
            network=network.value_of(),
            dns_forwarders=tuple(dns_forwarder) if dns_forwarder else None,
            password=read_password(admin_password_file),
        ),
        dc=dc,
        user=admin_user,
        site=site,
    )
    server = join_server(store, load_settings(), request)
    config = server.config
    print(
        f"{name}: {config.fqdn} at {config.address}, one more DC of {config.realm} ({config.domain}), "
        f"image {chosen.ref}"
    )
    print(f"  to start it: galaxy start {name}")

"""What a server is: the values of its server.toml, and where its things are."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from ipaddress import IPv4Address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from galaxy.host.errors import InputError
from galaxy.host.files import write_atomic
from galaxy.host.settings import parse_toml
from galaxy.host.store import Store

# Where the runtime keeps its own state: lost at a reboot, as it must be.
RUNTIME_ROOT = Path("/run/galaxy")
CONFIG, RECORD, PENDING = "server.toml", "running.json", "switch.json"
# A file name's (NAME_MAX): the kernel cannot even be asked for a longer one.
_LONGEST = 255
_MEND = "Mend the file, or take the copy that a snapshot has: {folder}/ID/" + CONFIG


class HostNetwork(BaseModel):
    """The server shares the host's network and answers on one of the host's addresses."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["host"] = "host"


class PrivateNetwork(BaseModel):
    """A network namespace of its own, on a bridge that the host can reach it over."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["private"] = "private"
    prefix: int = Field(default=24, ge=8, le=30)
    bridge: str = Field(default="galaxy0", pattern=r"^[a-z][a-z0-9-]{0,14}$")


class NamespaceNetwork(BaseModel):
    """A network namespace that somebody else makes, addresses and removes: a lab."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    kind: Literal["namespace"] = "namespace"
    path: Path


Network = HostNetwork | PrivateNetwork | NamespaceNetwork
Backend = Literal["tdb", "mdb"]


class ServerConfig(BaseModel):
    """server.toml; unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    image_id: str
    realm: str = Field(description="DNS name of the domain, upper case")
    domain: str = Field(description="NetBIOS name of the domain")
    hostname: str
    address: str = Field(description="the IPv4 address that the server answers on")
    dns_forwarders: tuple[str, ...] = ()
    created: datetime
    backend_store: Backend = Field(default="tdb", description="what the directory was made in")
    network: Annotated[Network, Field(discriminator="kind")] = HostNetwork()

    @field_validator("address")
    @classmethod
    def _is_ipv4(cls, address: str) -> str:
        """Whoever edits the file learns it here, and not from what uses the address."""
        return str(IPv4Address(address))

    @property
    def dns_domain(self) -> str:
        """The realm as a DNS name, lower case."""
        return self.realm.lower()

    @property
    def fqdn(self) -> str:
        """The server's full host name."""
        return f"{self.hostname}.{self.dns_domain}"

    @property
    def base_dn(self) -> str:
        """The domain's distinguished name."""
        return ",".join(f"DC={part}" for part in self.dns_domain.split("."))

    def to_toml(self) -> str:
        """The text of server.toml; strings as JSON writes them, which TOML reads alike."""
        body = self.model_dump(mode="json")
        network = body.pop("network")
        lines = [f"{key} = {json.dumps(value)}" for key, value in body.items()]
        lines += ["", "[network]", *(f"{key} = {json.dumps(value)}" for key, value in network.items())]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One domain controller: its configuration and the paths below its folder.

    `home` is the folder of a copy that is none of the store's servers: a rehearsal's. Nothing lists it, and it
    can run beside the server that it was copied from.
    """

    store: Store
    config: ServerConfig
    home: Path | None = None

    @property
    def name(self) -> str:
        """The name that commands use."""
        return self.config.name

    @property
    def folder(self) -> Path:
        """Everything that is the server's own, readable by root alone."""
        return self.home or self.store.servers / self.name

    @property
    def etc(self) -> Path:
        """/etc/samba in the server: smb.conf, the administrator's to change."""
        return self.folder / "etc"

    @property
    def state(self) -> Path:
        """/var/lib/samba in the server: databases, sysvol, private."""
        return self.folder / "state"

    @property
    def cache(self) -> Path:
        """/var/cache/samba in the server."""
        return self.folder / "cache"

    @property
    def log(self) -> Path:
        """/var/log/samba in the server, and console.log: what the processes wrote to their streams."""
        return self.folder / "log"

    @property
    def etc_host(self) -> Path:
        """resolv.conf, krb5.conf, hosts and hostname in the server; written anew at each start."""
        return self.folder / "etc-host"

    @property
    def secrets(self) -> Path:
        """admin-password, as it was at creation."""
        return self.folder / "secrets"

    @property
    def joining(self) -> Path:
        """How a join that is broken off leaves the domain again, with the credentials; there until the join is done."""
        return self.secrets / "joining.json"

    @property
    def snapshots(self) -> Path:
        """Its snapshots, one folder an id: state and secrets, readable by root alone."""
        return self.folder / "snapshots"

    @property
    def bundle(self) -> Path:
        """The OCI bundle, written anew at each start."""
        return self.folder / "bundle"

    @property
    def record(self) -> Path:
        """Which process runs the server; there from start to stop."""
        return self.folder / RECORD

    @property
    def pending(self) -> Path:
        """How far a switch of versions is; there from before it stops the server until its commit point."""
        return self.folder / PENDING

    @property
    def runtime_root(self) -> Path:
        """The OCI runtime's own state; each store has its own, so that equal names do not meet."""
        return RUNTIME_ROOT / store_digest(self.store)

    @property
    def container(self) -> str:
        """The server's name for the runtime, unique on this host."""
        return f"galaxy-{store_digest(self.store)}-{self._key}"

    @property
    def lock(self) -> str:
        """The name of the lock that every change of this server holds."""
        return f"server-{self._key}"

    @property
    def _key(self) -> str:
        """The name; a copy's has a sign in it that no server's name has."""
        return self.name if self.home is None else f"{self.name}+{path_digest(self.home)}"

    def as_image(self, image_id: str) -> "Server":
        """The server as it would be with another image; nothing is written."""
        return replace(self, config=self.config.model_copy(update={"image_id": image_id}))

    def write(self) -> None:
        """Put server.toml in place."""
        write_atomic(self.folder / CONFIG, self.config.to_toml(), 0o600)


def store_digest(store: Store) -> str:
    """Eight hex digits for a store's root."""
    return path_digest(store.root)


def path_digest(path: Path) -> str:
    """Eight hex digits for a path."""
    return sha256(os.fsencode(path)).hexdigest()[:8]


def load(store: Store, name: str) -> Server:
    """The server of that name. InputError when there is none, or when its server.toml cannot be taken."""
    file = store.servers / name / CONFIG
    hint = _MEND.format(folder=file.parent / "snapshots")
    if "/" in name or len(os.fsencode(name)) > _LONGEST or not file.is_file():
        if has_folder(store, name) and (file.parent / RECORD).exists():
            raise InputError(f"{file} is missing", hint)
        if has_folder(store, name):
            raise InputError(
                f"there is no server {name}, but a folder {file.parent} without {CONFIG}",
                "Look what it holds, and which command makes it or has left it so.",
            )
        raise InputError(f"there is no server {name}", "See which there are: galaxy ls")
    config = parse_toml(file, ServerConfig, hint=hint)
    if config.name != name:
        raise InputError(
            f"{file} is the server {config.name}'s, not {name}'s: a copy would act on the original",
            f"Move a copy out of {store.servers}; a folder that was renamed gets its name back.",
        )
    return Server(store=store, config=config)


def has_folder(store: Store, name: str) -> bool:
    """Whether something of that name is among the servers; a path, and `..`, never is."""
    return store.servers.is_dir() and name in os.listdir(store.servers)  # noqa: PTH208 - a name, never a path


def server_of(target: str) -> Server | None:
    """The server of a journal's target `store root:name`; None when it is gone."""
    root, _, name = target.rpartition(":")
    store = Store(root=Path(root))
    return load(store, name) if (store.servers / name / CONFIG).exists() else None


def pending_server(target: str) -> Server | None:
    """As `server_of`; None also when nothing is pending."""
    server = server_of(target)
    return server if server is not None and server.pending.exists() else None


def servers(store: Store) -> tuple[Server, ...]:
    """All servers whose server.toml can be read, by name; `unreadable` has the others."""
    return tuple(found for _, found in _entries(store) if isinstance(found, Server))


def unreadable(store: Store) -> dict[str, InputError]:
    """What is wrong with the server.toml of each server that has a broken one, by name."""
    return {name: found for name, found in _entries(store) if isinstance(found, InputError)}


def _entries(store: Store) -> Iterator[tuple[str, Server | InputError]]:
    """A folder without a server.toml is half made and belongs to a command, unless something was started from it."""
    files = (*store.servers.glob(f"*/{CONFIG}"), *store.servers.glob(f"*/{RECORD}"))
    for name in sorted({file.parent.name for file in files}):
        try:
            yield name, load(store, name)
        except InputError as error:
            yield name, error

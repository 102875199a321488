"""Where Galaxy keeps things: one root, and the path of everything below it.

A Store is only names; it reads and writes nothing but the folders it is asked to make.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from galaxy.host.errors import HostError

DEFAULT_ROOT = Path("/var/lib/galaxy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The folders under one root (`GALAXY_ROOT`, default /var/lib/galaxy)."""

    root: Path

    @property
    def apt(self) -> Path:
        """The private apt state: source lists, package lists, archives."""
        return self.root / "apt"

    @property
    def sources(self) -> Path:
        """Fetched source files, one folder a SHA-256."""
        return self.root / "sources"

    @property
    def roots(self) -> Path:
        """Build roots, one folder a digest of suite and packages."""
        return self.root / "roots"

    @property
    def ccache(self) -> Path:
        """The compiler cache, shared by all builds."""
        return self.root / "ccache"

    @property
    def builds(self) -> Path:
        """Work and logs of builds, one folder an input id."""
        return self.root / "builds"

    @property
    def images(self) -> Path:
        """Sealed images, one folder an image id: `image.squashfs`, `manifest.json`."""
        return self.root / "images"

    @property
    def mounts(self) -> Path:
        """Where images are mounted, one mount point an image id."""
        return self.root / "mounts"

    @property
    def servers(self) -> Path:
        """Servers, one folder a name: configuration, state, secrets, logs."""
        return self.root / "servers"

    @property
    def templates(self) -> Path:
        """Provisioned states to clone from, one folder a digest of what made them."""
        return self.root / "templates"

    @property
    def runs(self) -> Path:
        """Results of verify runs, one folder a start time."""
        return self.root / "runs"

    @property
    def weights(self) -> Path:
        """How long each cell took when it last ran whole, for the next run's order and estimate."""
        return self.root / "weights.json"

    @property
    def certificates(self) -> Path:
        """Signed certificates, one folder an image id."""
        return self.root / "certificates"

    @property
    def keys(self) -> Path:
        """The gate's signing key (mode 0600) and the public keys that this host trusts."""
        return self.root / "keys"

    @property
    def journal(self) -> Path:
        """What is under way, one file an action; what stays there after its process ended wants recovery."""
        return self.root / "journal"

    @property
    def locks(self) -> Path:
        """Lock files, one a thing that only one command may change at a time."""
        return self.root / "locks"

    def ensure(self) -> "Store":
        """Make the root, readable by root alone: it holds databases and keys. HostError where there can be none."""
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o755)
        except FileNotFoundError as error:  # what /proc says; other errors are told by their own words
            raise HostError(
                f"{self.root} cannot be made: {error.strerror}", "Give GALAXY_ROOT another place."
            ) from None
        for folder in (self.servers, self.templates, self.keys, self.journal, self.locks):
            folder.mkdir(exist_ok=True, mode=0o700)
        for folder in (self.journal, self.locks):  # an older Galaxy's: who can read a lock's file can hold it
            folder.chmod(0o700)
        for folder in (self.images, self.mounts, self.builds, self.runs):
            folder.mkdir(exist_ok=True, mode=0o755)
        return self


def default_store() -> Store:
    """The store that `GALAXY_ROOT` names, or the default one; links resolved, as the kernel lists its mounts."""
    return Store(root=Path(os.environ.get("GALAXY_ROOT") or DEFAULT_ROOT).resolve())

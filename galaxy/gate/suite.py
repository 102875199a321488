"""Which suite judged: the digest of everything that decides what a passed item means."""

import hashlib

from galaxy import __version__
from galaxy.host.packages import package_root

PACKAGES = ("galaxy", "verify", "scenarios")
_KINDS = (".py", ".toml", ".c", ".txt")


def suite_digest() -> str:
    """The SHA-256 over Galaxy's version and the sources of the checks, the scenarios, and Galaxy, which they drive.

    Read anew each time: whether they have changed is a question at a run's beginning and again at its end.
    """
    digest = hashlib.sha256(__version__.encode())
    for package in PACKAGES:
        root = package_root(package)
        for path in sorted(path for path in root.rglob("*") if path.suffix in _KINDS):
            digest.update(f"\0{package}/{path.relative_to(root)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()

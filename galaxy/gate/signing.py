"""Keys of the gate: the one that signs here, and those whose signatures count here.

`keys/gate.pem` (PKCS #8, mode 0600) signs; `keys/gate.pub.pem` is what others need to check it; every
`keys/trusted/*.pem` is a public key whose certificates this host takes. All are ed25519, in PEM; envelopes
are made and checked with securesystemslib, so that anyone can do so without Galaxy.
"""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from securesystemslib.signer import CryptoSigner, SSlibKey

from galaxy.host.errors import InputError, PolicyError
from galaxy.host.files import write_atomic
from galaxy.host.lock import locked
from galaxy.host.store import Store

_OWN = "this-host.pem"


def private_key_file(store: Store) -> Path:
    """Where the signing key is."""
    return store.keys / "gate.pem"


def public_key_file(store: Store) -> Path:
    """Where the signing key's public half is."""
    return store.keys / "gate.pub.pem"


def trusted_folder(store: Store) -> Path:
    """Where the public keys are whose certificates this host takes."""
    return store.keys / "trusted"


def signer(store: Store) -> CryptoSigner:
    """The key that signs here; made on first use, and trusted here from then on."""
    with locked(store, "gate-key"):
        if not private_key_file(store).exists():
            _generate(store)
    file = private_key_file(store)
    if file.stat().st_mode & 0o077:
        mode = oct(file.stat().st_mode & 0o777)
        raise PolicyError(f"the signing key {file} can be read by others (mode {mode})", f"chmod 600 {file}")
    try:
        return CryptoSigner(load_pem_private_key(file.read_bytes(), password=None))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        hint = "Put the key back, or remove it to have a new one made."
        raise PolicyError(f"the signing key {file} is damaged: {error}", hint) from None


def trust(store: Store, file: Path, name: str = "") -> Path:
    """Take certificates of this key from now on; InputError when it is no ed25519 public key in PEM."""
    body = _bytes_of(file)  # once: it may be a pipe
    key = _public_key(body, file)
    kept = trusted_folder(store) / f"{name or key.keyid[:16]}.pem"
    write_atomic(kept, body)
    return kept


def trusted_keys(store: Store) -> dict[str, SSlibKey]:
    """The keys whose certificates count here, by key id."""
    folder = trusted_folder(store)
    files = sorted(folder.glob("*.pem")) if folder.is_dir() else []
    try:
        keys = [read_public_key(file) for file in files]
    except InputError as error:
        raise PolicyError(
            f"a trusted key is damaged: {error.message}", "Remove that file, and trust it again."
        ) from None
    return {key.keyid: key for key in keys}


def read_public_key(file: Path) -> SSlibKey:
    """An ed25519 public key from a PEM file."""
    return _public_key(_bytes_of(file), file)


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}", "Name a public key in PEM.") from None


def _public_key(body: bytes, file: Path) -> SSlibKey:
    try:
        key = load_pem_public_key(body)
    except (ValueError, UnsupportedAlgorithm):
        raise InputError(f"{file} is not a public key in PEM", "Export one: galaxy certificate key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise InputError(f"{file} is not an ed25519 key", "Export one: galaxy certificate key")
    return SSlibKey.from_crypto(key)


def _generate(store: Store) -> None:
    """Make the key; the private file comes last, for its presence says that the others are there."""
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    store.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomic(public_key_file(store), public)
    write_atomic(trusted_folder(store) / _OWN, public)
    secret = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_atomic(private_key_file(store), secret, mode=0o600)

"""Samba's release signatures: detached, over the uncompressed tar, checked by gpgv against a key ring."""

import base64
import bz2
import gzip
import lzma
import shutil
import tempfile
import zlib
from collections.abc import Callable
from io import BufferedIOBase
from pathlib import Path

from galaxy.host.errors import BuildError, HostError, InputError
from galaxy.host.files import FULL, MORE_SPACE
from galaxy.host.process import find_tool, run

_READERS: dict[str, Callable[[Path], BufferedIOBase]] = {
    ".gz": gzip.GzipFile,
    ".xz": lzma.LZMAFile,
    ".bz2": bz2.BZ2File,
    ".tar": lambda path: path.open("rb"),
}
_VERDICTS = {
    "BADSIG": "the signature does not fit its content: it was altered, or truncated",
    "EXPKEYSIG": "the key that signed it has expired",
    "EXPSIG": "the signature has expired",
    "REVKEYSIG": "the key that signed it was revoked",
    "NO_PUBKEY": "the key ring does not have the key that signed it",
    "NODATA": "the signature file holds no signature",
}


def verify_tarball(archive: Path, signature: Path, keyring: Path) -> str:
    """Check a signature over the archive's uncompressed tar; returns the signing key's fingerprint.

    BuildError says what is wrong with it, InputError when the key ring can't be read.
    """
    find_tool("gpgv", "gpgv")
    with tempfile.TemporaryDirectory(dir=archive.parent, prefix=".verify-") as folder:
        plain = Path(folder) / "tar"
        _uncompress(archive, plain)
        ring = _binary_keyring(keyring, Path(folder))
        argv: list[str | Path] = ["gpgv", "--status-fd", "1", "--keyring", ring, signature, plain]
        done = run(argv, check=False, timeout=120, env={"GNUPGHOME": folder})
    words = [line.split()[1:] for line in done.stdout.splitlines() if line.startswith("[GNUPG:]")]
    said = {line[0]: line[1:] for line in words if line}
    for verdict, reason in _VERDICTS.items():
        if verdict in said:
            raise BuildError(
                f"{archive.name} is refused: {reason}", "Fetch it again, or correct the key ring."
            )
    if "VALIDSIG" not in said or done.returncode != 0:
        raise BuildError(
            f"{archive.name} is refused: gpgv found no valid signature", "Check the signature file."
        )
    return said["VALIDSIG"][0]


def _uncompress(archive: Path, plain: Path) -> None:
    reader = _READERS.get(archive.suffix)
    if reader is None:
        raise InputError(
            f"{archive.name} is no tar archive by its name", "Give a .tar, .tar.gz, .tar.xz or .tar.bz2."
        )
    try:
        with reader(archive) as packed, plain.open("wb") as sink:
            shutil.copyfileobj(packed, sink, 1 << 20)
    except (OSError, EOFError, lzma.LZMAError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise HostError(f"no space was left while {archive.name} was uncompressed", MORE_SPACE) from None
        raise BuildError(
            f"{archive.name} can't be unpacked: {error}", "Fetch it again; it may be truncated."
        ) from None


def _binary_keyring(keyring: Path, folder: Path) -> Path:
    """The key ring for gpgv, which reads binary ones only; an armoured one (RFC 4880, 6.2) is decoded."""
    try:
        raw = keyring.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read the key ring {keyring}: {error.strerror}", "Set tarball.keyring."
        ) from None
    if not raw.startswith(b"-----BEGIN PGP"):
        return keyring.absolute()
    body = (
        raw.replace(b"\r\n", b"\n")
        .decode("ascii", errors="replace")
        .partition("\n\n")[2]
        .partition("-----END")[0]
    )
    lines = [line for line in body.splitlines() if line and not line.startswith("=")]
    plain = folder / "keyring.gpg"
    try:
        plain.write_bytes(base64.b64decode("".join(lines)))
    except ValueError as error:
        raise InputError(f"the key ring {keyring} is damaged: {error}", "Set tarball.keyring.") from None
    return plain

"""The certificate for LDAP over TLS, made with the server.

Samba would make one at the first start, of 4096 bits: seconds to many of a DC that does not answer LDAP yet. This one
is there before, names the DC where clients look (subjectAltName), and is replaced by putting other files in its place.
"""

import ipaddress
import os
from datetime import UTC, datetime, timedelta

from galaxy.server.config import Server, ServerConfig

# What smb.conf's `tls keyfile`, `tls certfile` and `tls cafile` name by default.
_FOLDER = ("private", "tls")
_BITS = 3072
_VALID = timedelta(days=730)


def write_certificate(server: Server) -> None:
    """Write key.pem (mode 0600), cert.pem and ca.pem below the server's state."""
    folder = server.state.joinpath(*_FOLDER)
    folder.mkdir(mode=0o700, exist_ok=True)
    for name, data in _self_signed(server.config).items():
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as sink:
            sink.write(data)


def _self_signed(config: ServerConfig) -> dict[str, bytes]:
    """A key of its own and a certificate that is its own authority, in PEM."""
    from cryptography import x509  # noqa: PLC0415 - 0.1 s that only create need pay
    from cryptography.hazmat.primitives import hashes, serialization  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415

    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, config.fqdn[:64])])
    names = [x509.DNSName(config.fqdn), x509.DNSName(config.hostname)]
    address = x509.IPAddress(ipaddress.ip_address(config.address))
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([*names, address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    return {"key.pem": private, "cert.pem": certificate, "ca.pem": certificate}

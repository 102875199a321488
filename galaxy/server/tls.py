"""What LDAP over TLS needs and Samba would make while clients wait: the certificate, and Diffie-Hellman parameters.

Samba would make a certificate at the first start, of 4096 bits: seconds to many of a DC that does not answer LDAP yet.
This one is there before, names the DC where clients look (subjectAltName), and is replaced by putting other files in
its place.

Without `tls dh params file` Samba looks for a prime of 2048 bits of its own at *every* start (source4/lib/tls, by
gnutls_dh_params_generate2), which takes the LDAP server 0.4 to 1.5 s. It gets the well-known ffdhe2048 instead, which
was chosen so that everybody can check it, and which RFC 7919 advises over groups made by each server.
"""

import ipaddress
import os
from datetime import UTC, datetime, timedelta

from galaxy.server.config import Server, ServerConfig

# What smb.conf's `tls keyfile`, `tls certfile` and `tls cafile` name by default.
_FOLDER = ("private", "tls")
_BITS = 3072
_VALID = timedelta(days=730)
# Where a running server finds the parameters.
DH_FILE = "/run/galaxy/dhparams.pem"
# RFC 7919, appendix A.1: ffdhe2048.
DH_PARAMETERS = """\
-----BEGIN DH PARAMETERS-----
MIIBCAKCAQEA//////////+t+FRYortKmq/cViAnPTzx2LnFg84tNpWp4TZBFGQz
+8yTnc4kmz75fS/jY2MMddj2gbICrsRhetPfHtXV/WVhJDP1H18GbtCFY2VVPe0a
87VXE15/V8k1mE8McODmi3fipona8+/och3xWKE2rec1MKzKT0g6eXq8CrGCsyT7
YdEIqUuyyOP7uWrat2DX9GgdT0Kj3jlN9K5W7edjcrsZCwenyO4KbXCeAvzhzffi
7MA0BM0oNC9hkXL+nOmFg/+OTxIy7vKBg8P+OxtMb61zO7X8vC7CIAXFjvGDfRaD
ssbzSibBsu/6iGtCOGEoXJf//////////wIBAg==
-----END DH PARAMETERS-----
"""


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

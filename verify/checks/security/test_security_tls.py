"""The protection of LDAP over TLS."""

import socket
import ssl
import warnings
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from verify.check import check
from verify.target import Target

LDAPS = 636
PATIENCE = 10.0


def handshake(target: Target, version: ssl.TLSVersion | None = None) -> tuple[str, bytes]:
    """Connect with this version only (None: whatever both like best); the version and the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if version is not None:
        # Security level 0, so that a refusal is the server's and not this client's.
        context.set_ciphers("ALL:@SECLEVEL=0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection((target.address, LDAPS), timeout=PATIENCE) as wire,
        context.wrap_socket(wire) as channel,
    ):
        return str(channel.version()), channel.getpeercert(binary_form=True) or b""


@check("security.tls-current", loses="current clients could not use LDAP over TLS", tier="smoke")
def test_tls_current(target: Target) -> None:
    for version, name in ((ssl.TLSVersion.TLSv1_2, "TLSv1.2"), (ssl.TLSVersion.TLSv1_3, "TLSv1.3")):
        spoken, _ = handshake(target, version)
        assert spoken == name, f"expected {name}, got {spoken}"


@check(
    "security.tls-old-refused", loses="connections could be talked down to TLS 1.0 and 1.1, broken since 2011"
)
def test_tls_old_refused(target: Target) -> None:
    accepted = []
    for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
        try:
            accepted.append(handshake(target, version)[0])
        except (ssl.SSLError, ConnectionError):
            continue
    assert not accepted, f"expected TLS 1.2 at least, got {accepted}"


@check("security.certificate", loses="clients would refuse LDAP over TLS, or it would be weak")
def test_certificate(target: Target) -> None:
    _, raw = handshake(target)
    with warnings.catch_warnings():  # Samba's own certificates have the serial number 0
        warnings.simplefilter("ignore")
        certificate = x509.load_der_x509_certificate(raw)
    key, digest, now = certificate.public_key(), certificate.signature_hash_algorithm, datetime.now(UTC)
    names = {
        str(name.value).lower()
        for name in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    }
    assert target.fqdn in names, f"expected a certificate for {target.fqdn}, got {sorted(names)}"
    assert certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc, (
        f"expected a certificate that is valid now, got one until {certificate.not_valid_after_utc}"
    )
    assert not isinstance(key, rsa.RSAPublicKey) or key.key_size >= 2048, (
        "expected an RSA key of 2048 bits or more"
    )
    assert digest is not None, "expected a signature with a digest"
    assert digest.digest_size >= 32, f"expected SHA-256 or better, got {digest.name}"

"""Single Kerberos requests that MIT's programs would not send."""

import secrets
import socket
import struct
from datetime import UTC, datetime, timedelta

from impacket.krb5 import constants
from impacket.krb5.asn1 import AS_REQ, KRB_ERROR, seq_set, seq_set_iter
from impacket.krb5.types import KerberosTime, Principal
from pyasn1.codec.der import decoder, encoder

from verify.target import Target

PREAUTH_REQUIRED = "KDC_ERR_PREAUTH_REQUIRED"
DES_CBC_CRC, DES_CBC_MD5, AES256 = 1, 3, 18
_NT_PRINCIPAL, _NT_SRV_INST = 1, 2
_KRB_ERROR = b"\x7e"
_PATIENCE = 10.0


def as_request(target: Target, user: str, enctypes: tuple[int, ...]) -> str:
    """Ask for a TGT without pre-authentication, offering these enctypes; the KDC's answer by name."""
    request = AS_REQ()
    request["pvno"] = 5
    request["msg-type"] = int(constants.ApplicationTagNumbers.AS_REQ.value)
    body = seq_set(request, "req-body")
    body["kdc-options"] = constants.encodeFlags([])
    seq_set(body, "sname", Principal(f"krbtgt/{target.realm}", type=_NT_SRV_INST).components_to_asn1)
    seq_set(body, "cname", Principal(user, type=_NT_PRINCIPAL).components_to_asn1)
    body["realm"] = target.realm
    body["till"] = KerberosTime.to_asn1(datetime.now(UTC) + timedelta(hours=1))
    body["nonce"] = secrets.randbits(31)
    seq_set_iter(body, "etype", enctypes)
    answer = _exchange(target.address, encoder.encode(request))
    if answer[:1] != _KRB_ERROR:
        return "a ticket"
    error, _rest = decoder.decode(answer, asn1Spec=KRB_ERROR())
    return str(constants.ErrorCodes(int(error["error-code"])).name)


def _exchange(address: str, message: bytes) -> bytes:
    """One message over TCP with its length before it (RFC 4120, 7.2.2)."""
    with socket.create_connection((address, 88), timeout=_PATIENCE) as wire, wire.makefile("rb") as answers:
        wire.sendall(struct.pack(">I", len(message)) + message)
        return answers.read(struct.unpack(">I", answers.read(4))[0])

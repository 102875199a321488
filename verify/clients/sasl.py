"""SASL binds that ldap3 can't make: sign-only, SPNEGO, and channel bindings that are absent or wrong.

A context is put where ldap3 keeps its own, so that the operations that follow are wrapped by ldap3 as usual.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Literal

import gssapi
import spnego
from gssapi.raw import ChannelBindings
from gssapi.raw.misc import GSSError
from ldap3.protocol.sasl.sasl import send_sasl_negotiation
from spnego.channel_bindings import GssChannelBindings

from verify.clients.kerberos import UNKNOWN_PRINCIPAL
from verify.clients.waiting import REGISTRATION, within

Layer = Literal["none", "sign", "seal"]
# RFC 4752, section 3.3: the bits of the security layers.
_BITS = {"none": 1, "sign": 2, "seal": 4}
_IN_PROGRESS = 14
_LARGEST = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class _Wrapped:
    message: bytes


class _GssapiLayer:
    """What ldap3 wants of a context, with sealing only if it was agreed."""

    def __init__(self, context: gssapi.SecurityContext, layer: Layer) -> None:
        self._context = context
        self._encrypt = layer == "seal"

    def get_wrap_size_limit(self, size: int) -> int:
        return int(self._context.get_wrap_size_limit(size, self._encrypt))

    def wrap(self, data: bytes, _encrypt: bool) -> _Wrapped:  # noqa: FBT001 - ldap3 calls it so
        return _Wrapped(self._context.wrap(data, self._encrypt).message)

    def unwrap(self, data: bytes) -> _Wrapped:
        return _Wrapped(self._context.unwrap(data).message)


class _SpnegoLayer:
    """The same for an NTLM context, whose trailer is 16 bytes (MS-NLMP 2.2.2.9)."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def get_wrap_size_limit(self, size: int) -> int:
        return size - 16

    def wrap(self, data: bytes, _encrypt: bool) -> _Wrapped:  # noqa: FBT001 - ldap3 calls it so
        return _Wrapped(self._context.wrap(data).data)

    def unwrap(self, data: bytes) -> _Wrapped:
        return _Wrapped(self._context.unwrap(data).data)


def server_end_point(connection: Any) -> bytes:
    """The application data of tls-server-end-point channel bindings (RFC 5929) for an open TLS connection.

    Domain controllers make certificates signed with SHA-256, or SHA-1, which the RFC replaces by SHA-256.
    """
    certificate = connection.socket.getpeercert(binary_form=True)
    return b"tls-server-end-point:" + hashlib.sha256(certificate).digest()


def gssapi_bind(connection: Any, fqdn: str, cache: str, *, layer: Layer, bindings: bytes | None) -> None:
    """Bind with Kerberos on an open connection; the outcome is in `connection.result`."""
    context, token = _begun(fqdn, cache, bindings)
    answer = _send(connection, "GSSAPI", token)
    while answer["result"] == _IN_PROGRESS and not context.complete:
        token = context.step(answer["saslCreds"])
        answer = _send(connection, "GSSAPI", token or b"")
    if answer["result"] == _IN_PROGRESS:
        offered = context.unwrap(answer["saslCreds"]).message
        limit = 0 if layer == "none" else _LARGEST & int.from_bytes(offered[1:4], "big")
        choice = bytes([_BITS[layer]]) + limit.to_bytes(3, "big")
        answer = _send(connection, "GSSAPI", context.wrap(choice, encrypt=False).message)
        connection.krb_wrap_size_limit = limit
    _finish(connection, answer, None if layer == "none" else _GssapiLayer(context, layer))


def _begun(fqdn: str, cache: str, bindings: bytes | None) -> tuple[gssapi.SecurityContext, bytes]:
    """A context and its first token, as soon as the KDC knows the server's LDAP service."""
    found: list[tuple[gssapi.SecurityContext, bytes]] = []

    def known() -> bool:
        context = _context(fqdn, cache, bindings)
        try:
            found.append((context, context.step(None)))
        except GSSError as error:
            if UNKNOWN_PRINCIPAL not in str(error):
                raise
            return False
        return True

    if not within(REGISTRATION, known):
        raise AssertionError(
            f"ldap/{fqdn} is {UNKNOWN_PRINCIPAL}, {REGISTRATION:g} s after it was first asked for"
        )
    return found[-1]


def _context(fqdn: str, cache: str, bindings: bytes | None) -> gssapi.SecurityContext:
    return gssapi.SecurityContext(
        name=gssapi.Name(f"ldap@{fqdn}", gssapi.NameType.hostbased_service),
        mech=gssapi.MechType.kerberos,
        creds=gssapi.Credentials(usage="initiate", store={"ccache": f"FILE:{cache}"}),
        channel_bindings=ChannelBindings(application_data=bindings) if bindings is not None else None,
    )


def ntlm_bind(connection: Any, user: str, password: str, *, bindings: bytes | None = None) -> None:
    """Bind with NTLM inside SPNEGO, sealed unless over TLS; the outcome is in `connection.result`."""
    over_tls = bool(connection.server.ssl or connection.tls_started)
    flags = spnego.ContextReq.mutual_auth
    if not over_tls:
        flags |= spnego.ContextReq.integrity | spnego.ContextReq.confidentiality
    context = spnego.client(
        user,
        password,
        hostname=connection.server.host,
        service="ldap",
        protocol="ntlm",
        context_req=flags,
        channel_bindings=GssChannelBindings(application_data=bindings) if bindings is not None else None,
    )
    answer = _send(connection, "GSS-SPNEGO", context.step() or b"")
    while answer["result"] == _IN_PROGRESS:
        answer = _send(connection, "GSS-SPNEGO", context.step(answer["saslCreds"]) or b"")
    connection.krb_wrap_size_limit = 0xFFFF
    _finish(connection, answer, None if over_tls else _SpnegoLayer(context))


def _send(connection: Any, mechanism: str, token: bytes) -> dict[str, Any]:
    connection.sasl_mechanism = mechanism
    connection.sasl_in_progress = True
    try:
        return dict(send_sasl_negotiation(connection, None, token))
    finally:
        connection.sasl_in_progress = False


def _finish(connection: Any, answer: dict[str, Any], context: object | None) -> None:
    """Leave the connection as ldap3's own bind would."""
    if answer["result"] == 0:
        connection.bound = True
        connection.sasl_mechanism = "GSSAPI"  # the one whose operations ldap3 wraps
        connection.krb_ctx = context
        connection.session_security = "ENCRYPT" if context is not None else None

"""RPC by impacket over NTLM: sealed unless a check asks for less, which it does to see it refused.

Where the target has NTLM switched off, a pipe's SMB session is made with Kerberos, and the RPC in it has no protection
of its own: impacket's SPNEGO ends before Samba's does (it sends no mechListMIC, RFC 4178 section 5).
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impacket.dcerpc.v5 import epm, transport
from impacket.dcerpc.v5.rpcrt import (
    RPC_C_AUTHN_LEVEL_CONNECT,
    RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
    DCERPCException,
)
from impacket.krb5.ccache import CCache
from impacket.smbconnection import SessionError, SMBConnection

from verify.clients.kerberos import Kerberos
from verify.clients.ntstatus import SUCCESS, status_text
from verify.target import Target

CONNECT, INTEGRITY, SEALED = (
    RPC_C_AUTHN_LEVEL_CONNECT,
    RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
)
_PATIENCE = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls: an account of the target's domain; empty for a null session."""

    user: str
    password: str


ANONYMOUS = Caller(user="", password="")


def admin(target: Target) -> Caller:
    """The target's administrator."""
    return Caller(user=target.admin_user, password=target.password)


def status_name(error: BaseException) -> str:
    """An RPC or SMB refusal by its NTSTATUS or fault name, or in the error's own words."""
    code = error.getErrorCode() if isinstance(error, SessionError) else getattr(error, "error_code", None)
    return status_text(code) if isinstance(code, int) else str(error).split("\n", maxsplit=1)[0]


def outcome(act: Callable[[], object]) -> str:
    """What the server says to a call: `STATUS_SUCCESS`, or the name of its refusal."""
    try:
        act()
    except (DCERPCException, SessionError) as error:
        return status_name(error)
    return SUCCESS


@contextmanager
def over_pipe(
    target: Target, pipe: str, interface: bytes, *, caller: Caller | None = None, level: int | None = SEALED
) -> Iterator[Any]:
    """A bound interface behind a named pipe; `level` None binds without authentication of the RPC's own."""
    who = caller or admin(target)
    how = transport.SMBTransport(
        target.address,
        filename=rf"\{pipe}",
        username=who.user,
        password=who.password,
        domain=target.domain if who.user else "",
    )
    if not target.ntlm and who.user:
        _by_kerberos(how, target, who)
        level = None
    with _bound(how, interface, level) as call:
        yield call


@contextmanager
def over_tcp(
    target: Target,
    interface: bytes,
    *,
    caller: Caller | None = None,
    level: int | None = SEALED,
    prepare: Callable[[Any], None] | None = None,
) -> Iterator[Any]:
    """A bound interface on the port that the endpoint mapper names; `prepare` can give it another protection."""
    who = caller or admin(target)
    if who.user and prepare is None:
        target.require_ntlm()
    how = transport.DCERPCTransportFactory(endpoint(target, interface))
    how.set_connect_timeout(_PATIENCE)
    if who.user:
        how.set_credentials(who.user, who.password, target.domain)
    with _bound(how, interface, level, prepare) as call:
        yield call


def _by_kerberos(how: Any, target: Target, who: Caller) -> None:
    """Give a transport a ticket for its SMB session, which MIT's programs get.

    impacket asks for one without a checksum of the request, which Heimdal's KDC refuses (KRB_AP_ERR_INAPP_CKSUM).
    """
    service = f"cifs/{target.fqdn}@{target.realm}"
    with tempfile.TemporaryDirectory(prefix="galaxy-verify-") as folder:
        kerberos = Kerberos(target, Path(folder))
        cache = kerberos.kinit(f"{who.user}@{target.realm}", who.password)
        told = kerberos.service_ticket(service, cache=cache)
        assert told.returncode == 0, f"no ticket for {service}: {told.output.strip()}"
        ticket = CCache.loadFile(cache).getCredential(service).toTGS(service)
    how.setRemoteName(target.fqdn)
    how.setRemoteHost(target.address)
    how.set_credentials(who.user, "", target.realm, TGS=ticket)
    how.set_kerberos(flag=True)


@contextmanager
def _bound(
    how: Any, interface: bytes, level: int | None, prepare: Callable[[Any], None] | None = None
) -> Iterator[Any]:
    call = how.get_dce_rpc()
    if level is not None:
        call.set_auth_level(level)
    if prepare is not None:
        prepare(call)
    try:
        call.connect()
        call.bind(interface)
        yield call
    finally:
        with suppress(Exception):  # a server that refused may have hung up already
            call.disconnect()
        _hang_up(how)


def _hang_up(how: Any) -> None:
    """Close the socket, which impacket forgets when a logon or a bind is refused."""
    smb = how.get_smb_connection() if hasattr(how, "get_smb_connection") else None
    if isinstance(smb, SMBConnection):
        smb.close()


def endpoint(target: Target, interface: bytes) -> str:
    """The string binding `ncacn_ip_tcp:ADDRESS[PORT]` of an interface, by the endpoint mapper."""
    how = transport.DCERPCTransportFactory(f"ncacn_ip_tcp:{target.address}[135]")
    how.set_connect_timeout(_PATIENCE)
    mapper = how.get_dce_rpc()
    mapper.connect()
    try:  # hept_map binds by itself
        return str(epm.hept_map(target.address, interface, protocol="ncacn_ip_tcp", dce=mapper))
    finally:
        mapper.disconnect()


def anonymous_smb(target: Target, act: Callable[[SMBConnection], object]) -> str:
    """What the server says to an act in a null session; also when it refuses the session itself."""
    session = SMBConnection(target.fqdn, target.address, timeout=_PATIENCE)

    def attempt() -> None:
        session.login("", "")
        act(session)

    try:
        return outcome(attempt)
    finally:
        session.close()

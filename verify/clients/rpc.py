"""RPC by impacket over NTLM: sealed unless a check asks for less, which it does to see it refused."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from impacket.dcerpc.v5 import epm, transport
from impacket.dcerpc.v5.rpcrt import (
    RPC_C_AUTHN_LEVEL_CONNECT,
    RPC_C_AUTHN_LEVEL_PKT_INTEGRITY,
    RPC_C_AUTHN_LEVEL_PKT_PRIVACY,
    DCERPCException,
)
from impacket.smbconnection import SessionError, SMBConnection

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
    with _bound(how, interface, level) as call:
        yield call


@contextmanager
def over_tcp(
    target: Target,
    interface: bytes,
    *,
    caller: Caller | None = None,
    level: int | None = SEALED,
    prepare: Callable[[Any], None] = lambda _call: None,
) -> Iterator[Any]:
    """A bound interface on the port that the endpoint mapper names; `prepare` sees it before the bind."""
    who = caller or admin(target)
    how = transport.DCERPCTransportFactory(endpoint(target, interface))
    how.set_connect_timeout(_PATIENCE)
    if who.user:
        how.set_credentials(who.user, who.password, target.domain)
    with _bound(how, interface, level, prepare) as call:
        yield call


@contextmanager
def _bound(
    how: Any, interface: bytes, level: int | None, prepare: Callable[[Any], None] = lambda _call: None
) -> Iterator[Any]:
    call = how.get_dce_rpc()
    if level is not None:
        call.set_auth_level(level)
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

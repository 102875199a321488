"""The secure channel of domain members (MS-NRPC): how a machine proves itself, and what it then may ask."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

from impacket import ntlm
from impacket.dcerpc.v5 import nrpc
from impacket.dcerpc.v5.dtypes import NTSTATUS, NULL, ULONG
from impacket.dcerpc.v5.ndr import NDRCALL
from impacket.dcerpc.v5.nrpc import DCERPCSessionError  # noqa: F401 - impacket looks for it beside a request's class
from impacket.dcerpc.v5.rpcrt import RPC_C_AUTHN_NETLOGON

from verify.clients import rpc
from verify.target import Target

# MS-NRPC 3.1.4.2: what a current Windows offers; then the same without AES, and without strong keys either.
CURRENT = 0x612FFFFF
NO_AES = CURRENT & ~0x01000000
NO_STRONG_KEYS = NO_AES & ~0x00004000
AES = 0x01000000
MEMBER = nrpc.NETLOGON_SECURE_CHANNEL_TYPE.WorkstationSecureChannel
CONTROLLER = nrpc.NETLOGON_SECURE_CHANNEL_TYPE.ServerSecureChannel
_LOGON_INFO_4 = 6
_NETWORK_LOGON = nrpc.NETLOGON_LOGON_INFO_CLASS.NetlogonNetworkInformation


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A machine account of the domain: `name` without the dollar sign."""

    name: str
    password: str

    @property
    def account(self) -> str:
        """NAME$."""
        return f"{self.name}$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What an authentication ended with; `flags` are those that the server agreed to."""

    key: bytes
    flags: int
    credential: bytes


def plain(target: Target) -> Any:
    """The interface without protection, as a machine first meets it: use in `with`."""
    return rpc.over_tcp(target, nrpc.MSRPC_UUID_NRPC, caller=rpc.ANONYMOUS, level=None)


def challenge(call: Any, machine: str, ours: bytes) -> bytes:
    """NetrServerReqChallenge: the server's eight bytes for ours."""
    answer = nrpc.hNetrServerReqChallenge(call, NULL, machine + "\0", ours)
    return bytes(answer["ServerChallenge"])


def authenticate(call: Any, machine: Machine, flags: int = CURRENT, *, ours: bytes | None = None) -> Channel:
    """NetrServerAuthenticate3 with these flags and a challenge (default: random); DCERPCException for a refusal."""
    ours = ours or os.urandom(8)
    theirs = challenge(call, machine.name, ours)
    aes = bool(flags & AES)
    derive = nrpc.ComputeSessionKeyAES if aes else nrpc.ComputeSessionKeyStrongKey
    key = derive(machine.password, ours, theirs)
    compute = nrpc.ComputeNetlogonCredentialAES if aes else nrpc.ComputeNetlogonCredential
    credential = compute(ours, key)
    answer = authenticate_raw(call, machine.account, credential, flags)
    return Channel(key=key, flags=int(answer["NegotiateFlags"]), credential=credential)


def authenticate_raw(call: Any, account: str, credential: bytes, flags: int, *, kind: int = MEMBER) -> Any:
    """NetrServerAuthenticate3 of `NAME$` with a credential made elsewhere."""
    machine = account.removesuffix("$")
    return nrpc.hNetrServerAuthenticate3(call, NULL, account + "\0", kind, machine + "\0", credential, flags)


@contextmanager
def secured(target: Target, machine: Machine, *, level: int = rpc.SEALED) -> Iterator[tuple[Any, Channel]]:
    """The interface inside a secure channel, and the channel."""
    with plain(target) as call:
        channel = authenticate(call, machine)
    with rpc.over_tcp(
        target,
        nrpc.MSRPC_UUID_NRPC,
        caller=rpc.Caller(user=machine.account, password=machine.password),
        level=level,
        prepare=lambda call: _use(call, channel),
    ) as call:
        yield call, channel


def _use(call: Any, channel: Channel) -> None:
    call.set_auth_type(RPC_C_AUTHN_NETLOGON)
    call.set_session_key(channel.key)
    call.set_aes(bool(channel.flags & AES))


class _Capabilities(nrpc.NETLOGON_CAPABILITIES):  # type: ignore[misc] # impacket is untyped
    """impacket knows level 1 only; level 2 came with CVE-2022-38023 (MS-NRPC 2.2.1.3.14)."""

    union: ClassVar = {1: ("ServerCapabilities", ULONG), 2: ("RequestedFlags", ULONG)}


class NetrLogonGetCapabilities(nrpc.NetrLogonGetCapabilities):  # type: ignore[misc] # impacket is untyped
    """Named as impacket's own: it finds the response by this name."""


class NetrLogonGetCapabilitiesResponse(NDRCALL):  # type: ignore[misc] # impacket is untyped
    """MS-NRPC 3.5.4.4.10."""

    structure = (
        ("ReturnAuthenticator", nrpc.NETLOGON_AUTHENTICATOR),
        ("ServerCapabilities", _Capabilities),
        ("ErrorCode", NTSTATUS),
    )


def capabilities(call: Any, target: Target, machine: Machine, channel: Channel, level: int) -> int:
    """NetrLogonGetCapabilities: 1 the flags that the server took, 2 those that it saw the client ask for."""
    request = NetrLogonGetCapabilities()
    request["ServerName"] = target.hostname + "\0"
    request["ComputerName"] = machine.name + "\0"
    request["Authenticator"] = nrpc.ComputeNetlogonAuthenticatorAES(channel.credential, channel.key)
    request["ReturnAuthenticator"]["Credential"] = bytes(8)
    request["ReturnAuthenticator"]["Timestamp"] = 0
    request["QueryLevel"] = level
    answer = call.request(request)["ServerCapabilities"]
    return int(answer["RequestedFlags" if level == 2 else "ServerCapabilities"])


def pass_through(
    call: Any, target: Target, machine: Machine, user: str, password: str, *, version: int = 2
) -> Any:
    """NetrLogonSamLogonEx: have a user's NTLM response checked, as every member server does."""
    request = nrpc.NetrLogonSamLogonEx()
    request["LogonServer"] = target.hostname + "\0"
    request["ComputerName"] = machine.name + "\0"
    request["LogonLevel"] = _NETWORK_LOGON
    request["LogonInformation"]["tag"] = _NETWORK_LOGON
    _fill(request["LogonInformation"]["LogonNetwork"], target, user, password, version)
    request["ValidationLevel"] = _LOGON_INFO_4
    request["ExtraFlags"] = 0
    return call.request(request)


def _fill(info: Any, target: Target, user: str, password: str, version: int) -> None:
    """NETLOGON_NETWORK_INFO (MS-NRPC 2.2.1.4.5) with an NTLM response of this version to a challenge of our own."""
    ours = os.urandom(8)
    if version == 1:
        response = ntlm.get_ntlmv1_response(ntlm.NTOWFv1(password), ours)
    else:
        response = _ntlmv2(ours, target, user, password)
    info["Identity"]["LogonDomainName"] = target.domain
    info["Identity"]["ParameterControl"] = 0
    info["Identity"]["UserName"] = user
    info["Identity"]["Workstation"] = ""
    info["LmChallenge"] = ours
    info["NtChallengeResponse"] = response
    info["LmChallengeResponse"] = NULL


def _ntlmv2(server_challenge: bytes, target: Target, user: str, password: str) -> bytes:
    """MS-NLMP 3.3.2 with an empty target information."""
    blob = b"\x01\x01" + bytes(6) + bytes(8) + os.urandom(8) + bytes(4) + bytes(4) + bytes(4)
    proof = ntlm.hmac_md5(ntlm.NTOWFv2(user, password, target.domain), server_challenge + blob)
    return bytes(proof) + blob

"""How members find a domain controller and talk with it in confidence."""

from impacket.dcerpc.v5 import nrpc
from impacket.dcerpc.v5.dtypes import NULL

from verify.bench import Bench
from verify.check import check
from verify.clients import netlogon, rpc
from verify.clients.machines import machine
from verify.target import Target

# MS-NRPC 3.5.4.3.1: the KDC and the writable flags of a DC, and a directory service.
KDC, DIRECTORY, WRITABLE = 0x20, 0x10, 0x100


@check("rpc.dc-name", loses="members could not find out which domain controller to use")
def test_dc_name(target: Target) -> None:
    with netlogon.plain(target) as call:
        answer = nrpc.hDsrGetDcNameEx(call, NULL, target.dns_domain + "\0", NULL, NULL, 0)
    info = answer["DomainControllerInfo"]
    names = (info["DomainName"].rstrip("\0").lower(), info["DnsForestName"].rstrip("\0").lower())
    assert names[0] in {target.domain.lower(), target.dns_domain}, f"expected the domain, got {names}"
    assert info["Flags"] & (KDC | DIRECTORY | WRITABLE) == KDC | DIRECTORY | WRITABLE, (
        f"expected a writable DC with KDC and directory, got flags {info['Flags']:#x}"
    )


@check(
    "rpc.secure-channel",
    loses="members would lose their trust in the domain: no logon on any of them",
    tier="smoke",
)
def test_secure_channel(target: Target, bench: Bench) -> None:
    member = machine(bench)
    with netlogon.secured(target, member) as (call, channel):
        agreed = netlogon.capabilities(call, target, member, channel, 1)
    assert channel.flags & netlogon.AES, f"expected AES to be agreed, got flags {channel.flags:#x}"
    assert agreed == channel.flags, f"expected the flags {channel.flags:#x} confirmed, got {agreed:#x}"


@check("rpc.secure-channel-wrong-password", loses="any machine could pose as any member")
def test_secure_channel_wrong_password(target: Target, bench: Bench) -> None:
    member = machine(bench)
    impostor = netlogon.Machine(name=member.name, password=member.password + "x")
    with netlogon.plain(target) as call:
        said = rpc.outcome(lambda: netlogon.authenticate(call, impostor))
    assert said == "STATUS_ACCESS_DENIED", f"expected STATUS_ACCESS_DENIED, got {said}"


@check(
    "rpc.capabilities-requested",
    loses="Windows 11 members since July 2023 could not log users on (bug 15418)",
)
def test_capabilities_requested(target: Target, bench: Bench) -> None:
    member = machine(bench)
    with netlogon.secured(target, member) as (call, channel):
        seen: list[int] = []
        said = rpc.outcome(lambda: seen.append(netlogon.capabilities(call, target, member, channel, 2)))
    # Windows goes on after the old answer; a server that knows level 2 must tell what the client asked for.
    old = not target.since("4.22.0") and said == "nca_s_fault_invalid_tag"
    assert old or seen == [netlogon.CURRENT], (
        f"expected the flags asked for, {netlogon.CURRENT:#x}, or the fault of a server that knows level 1 only, "
        f"got {seen or said}"
    )


@check("rpc.pass-through-logon", loses="users could not log on to file servers and other members by NTLM")
def test_pass_through_logon(target: Target, bench: Bench) -> None:
    target.require_ntlm()
    member, user = machine(bench), bench.account()
    with netlogon.secured(target, member) as (call, _):
        answer = netlogon.pass_through(call, target, member, user.name, user.password)
        wrong = rpc.outcome(
            lambda: netlogon.pass_through(call, target, member, user.name, user.password + "x")
        )
    name = answer["ValidationInformation"]["ValidationSam4"]["EffectiveName"]
    assert name == user.name, f"expected the logon of {user.name}, got {name}"
    assert wrong == "STATUS_WRONG_PASSWORD", f"expected STATUS_WRONG_PASSWORD, got {wrong}"

"""Ways of logging on that must be closed."""

from functools import partial

import ldap3

from verify.bench import Bench
from verify.check import check
from verify.clients import kdc, netlogon, rpc, smb
from verify.clients.machines import machine
from verify.clients.ntstatus import SUCCESS
from verify.clients.versions import has_fix
from verify.target import Target

ACCOUNT_DISABLED = 2
PROTECTED_USERS = "(&(objectClass=group)(sAMAccountName=Protected Users))"
# Challenges whose first five bytes are equal, which no honest client makes.
WEAK_CHALLENGES = (bytes(8), b"\x01" * 8, bytes(5) + b"abc")


@check("security.zerologon-refused", loses="anybody on the network could become the domain (CVE-2020-1472)")
def test_zerologon_refused(target: Target, bench: Bench) -> None:
    member = machine(bench)
    controller = f"{target.hostname.upper()}$"
    fixed = has_fix(target, "4.10.18", "4.11.13", "4.12.7")
    with netlogon.plain(target) as call:
        for weak in WEAK_CHALLENGES:
            said = rpc.outcome(partial(netlogon.authenticate, call, member, ours=weak))
            expected = "STATUS_ACCESS_DENIED" if fixed else SUCCESS
            assert said == expected, f"expected {expected} for the challenge {weak.hex()}, got {said}"
        for _ in range(8):
            netlogon.challenge(call, target.hostname, bytes(8))
            said = rpc.outcome(lambda: _zero_credential(call, controller))
            assert said == "STATUS_ACCESS_DENIED", f"expected a credential of zeros to be refused, got {said}"
        said = rpc.outcome(lambda: netlogon.authenticate(call, member))
    assert said == SUCCESS, f"expected a random challenge to be taken, got {said}"


def _zero_credential(call: object, controller: str) -> object:
    return netlogon.authenticate_raw(call, controller, bytes(8), netlogon.CURRENT, kind=netlogon.CONTROLLER)


@check(
    "security.md5-channel-refused",
    loses="members' traffic could be broken into: RC4 and MD5 (CVE-2022-38023)",
)
def test_md5_channel_refused(target: Target, bench: Bench) -> None:
    member = machine(bench)
    fixed = has_fix(target, "4.15.13", "4.16.8", "4.17.4")
    with netlogon.plain(target) as call:
        said = rpc.outcome(lambda: netlogon.authenticate(call, member, netlogon.NO_AES))
    expected = "STATUS_DOWNGRADE_DETECTED" if fixed else SUCCESS
    assert said == expected, f"expected {expected} for a member without AES, got {said}"


@check(
    "security.unsealed-channel-refused", loses="members' secrets could be read on the wire (CVE-2022-38023)"
)
def test_unsealed_channel_refused(target: Target, bench: Bench) -> None:
    member = machine(bench)
    fixed = has_fix(target, "4.15.13", "4.16.8", "4.17.4")

    def ask() -> None:
        with netlogon.secured(target, member, level=rpc.INTEGRITY) as (call, channel):
            netlogon.capabilities(call, target, member, channel, 1)

    said = rpc.outcome(ask)
    expected = "STATUS_ACCESS_DENIED" if fixed else SUCCESS
    assert said == expected, f"expected {expected} for a channel that is only signed, got {said}"


@check("security.ntlmv1-refused", loses="captured logons could be cracked in hours")
def test_ntlmv1_refused(target: Target, bench: Bench) -> None:
    target.require_ntlm()
    member, user = machine(bench), bench.account()
    with netlogon.secured(target, member) as (call, _):
        said = {
            version: rpc.outcome(
                partial(
                    netlogon.pass_through, call, target, member, user.name, user.password, version=version
                )
            )
            for version in (1, 2)
        }
    expected = target.expect(old=SUCCESS, new="STATUS_WRONG_PASSWORD", since="4.5.0")
    assert said[1] == expected, f"expected {expected} for NTLMv1 with the right password, got {said[1]}"
    assert said[2] == SUCCESS, f"expected NTLMv2 to be taken, got {said[2]}"


@check("security.des-refused", loses="tickets could be broken by brute force")
def test_des_refused(target: Target, bench: Bench) -> None:
    user = bench.account()
    des = kdc.as_request(target, user.name, (kdc.DES_CBC_MD5, kdc.DES_CBC_CRC))
    aes = kdc.as_request(target, user.name, (kdc.AES256,))
    assert des == "KDC_ERR_ETYPE_NOSUPP", f"expected KDC_ERR_ETYPE_NOSUPP for DES, got {des}"
    assert aes == kdc.PREAUTH_REQUIRED, f"expected {kdc.PREAUTH_REQUIRED} for AES, got {aes}"


@check("security.preauth-required", loses="anybody could ask for material to crack passwords with")
def test_preauth_required(target: Target, bench: Bench) -> None:
    for user in (bench.account().name, target.admin_user):
        said = kdc.as_request(target, user, (kdc.AES256,))
        assert said == kdc.PREAUTH_REQUIRED, f"{user}: expected {kdc.PREAUTH_REQUIRED}, got {said}"


@check("security.krbtgt-disabled", loses="the account whose key signs every ticket could be used to log on")
def test_krbtgt_disabled(target: Target, bench: Bench) -> None:
    rows = bench.admin.search(target.base_dn, "(sAMAccountName=krbtgt)", ["userAccountControl"])
    flags = int(rows[0].one("userAccountControl"))
    said = kdc.as_request(target, "krbtgt", (kdc.AES256,))
    # Older KDCs ask for a proof first and refuse afterwards.
    refusals = {"KDC_ERR_CLIENT_REVOKED"} | (set() if target.since("4.22.0") else {kdc.PREAUTH_REQUIRED})
    assert flags & ACCOUNT_DISABLED, f"expected krbtgt to be disabled, got userAccountControl {flags:#x}"
    assert said in refusals, f"expected one of {sorted(refusals)}, got {said}"


@check("security.protected-users-no-ntlm", loses="the most precious accounts would be open to relayed logons")
def test_protected_users_no_ntlm(target: Target, bench: Bench) -> None:
    user = bench.account()
    group = bench.admin.search(target.base_dn, PROTECTED_USERS, ["cn"])
    assert len(group) == 1, f"expected the group Protected Users, got {len(group)}"
    bench.admin.modify(group[0].dn, {"member": (ldap3.MODIFY_ADD, [user.dn])})
    said = {}
    for protocol in ("ntlm", "kerberos"):
        login = smb.Login(user=user.name, password=user.password, protocol=protocol)
        with smb.connected(target) as connection:
            said[protocol] = smb.outcome(partial(smb.log_on, connection, target, login))
    assert said["ntlm"] == "STATUS_ACCOUNT_RESTRICTION", f"expected a refusal of NTLM, got {said['ntlm']}"
    assert said["kerberos"] == SUCCESS, f"expected Kerberos to work, got {said['kerberos']}"


@check("security.lockout", loses="passwords could be guessed without end")
def test_lockout(target: Target, bench: Bench) -> None:
    user = bench.account()
    bench.password_policy(user.dn, threshold=3)
    tries = [user.password + "x", user.password + "y", user.password + "z", user.password]
    said = []
    for password in tries:
        with smb.connected(target) as connection:
            login = smb.Login(user=user.name, password=password, protocol="ntlm")
            said.append(smb.outcome(partial(smb.log_on, connection, target, login)))
    assert said[:3] == ["STATUS_LOGON_FAILURE"] * 3, f"expected three plain refusals, got {said[:3]}"
    assert said[3] == "STATUS_ACCOUNT_LOCKED_OUT", (
        f"expected the right password to be locked out, got {said[3]}"
    )

"""What members and administration tools ask a domain controller by RPC."""

from impacket.dcerpc.v5 import bkrp, drsuapi, epm, lsad, lsat, nrpc, rrp, samr, srvs, wkst
from impacket.dcerpc.v5.dtypes import MAXIMUM_ALLOWED, NULL

from verify.bench import Bench, unique
from verify.check import check
from verify.clients import rpc
from verify.clients import samr as accounts
from verify.clients.descriptor import rid_of, sid_text
from verify.target import Target

# EPT_S_NOT_REGISTERED (C706 appendix E).
_NOT_REGISTERED = "0x16c9a0d6"
CURRENT_VERSION = r"SOFTWARE\Microsoft\Windows NT\CurrentVersion"


@check("rpc.endpoint-mapper", loses="clients could not find the ports of any service", tier="smoke")
def test_endpoint_mapper(target: Target) -> None:
    wanted = {
        "SAMR": samr.MSRPC_UUID_SAMR,
        "LSA": lsat.MSRPC_UUID_LSAT,
        "NETLOGON": nrpc.MSRPC_UUID_NRPC,
        "DRSUAPI": drsuapi.MSRPC_UUID_DRSUAPI,
    }
    for name, interface in wanted.items():
        found = rpc.endpoint(target, interface)
        assert found.startswith(f"ncacn_ip_tcp:{target.address}["), (
            f"{name}: expected a TCP port, got {found}"
        )


@check("rpc.endpoint-mapper-unknown", loses="clients would be sent to ports where what they want is not")
def test_endpoint_mapper_unknown(target: Target) -> None:
    nothing = ("9e8ee830-4459-11ce-979b-00aa005ffebe", "7.0")
    interface = epm.uuidtup_to_bin(nothing)
    said = rpc.outcome(lambda: rpc.endpoint(target, interface))
    assert said == _NOT_REGISTERED, (
        f"expected {_NOT_REGISTERED} for an interface that does not exist, got {said}"
    )


@check("rpc.samr-domains", loses="administration tools could not open the domain")
def test_samr_domains(target: Target) -> None:
    with accounts.opened(target) as call:
        found = accounts.domains(call)
    assert sorted(found) == sorted([target.domain, "BUILTIN"]), (
        f"expected the domain and BUILTIN, got {found}"
    )


@check("rpc.samr-users", loses="administration tools and old members would not see the users")
def test_samr_users(target: Target, bench: Bench) -> None:
    user = bench.account()
    rid = rid_of(bench.admin.read(user.dn, ["objectSid"]).raw("objectSid"))
    with accounts.opened(target) as call:
        found = accounts.users(call, target)
    assert found.get(user.name) == rid, f"expected {user.name} with RID {rid}, got {found.get(user.name)}"
    assert found.get("krbtgt") == 502, f"expected krbtgt with RID 502, got {found.get('krbtgt')}"


@check("rpc.samr-create-user", loses="User Manager, net user and join tools could not make accounts")
def test_samr_create_user(target: Target) -> None:
    name = unique("gr")
    with accounts.opened(target) as call:
        domain = accounts.domain_handle(call, target)
        made = samr.hSamrCreateUser2InDomain(call, domain, name, samr.USER_NORMAL_ACCOUNT, MAXIMUM_ALLOWED)
        try:
            seen = accounts.users(call, target)
            assert name in seen, f"expected the new user {name} to be listed, got {sorted(seen)}"
        finally:
            samr.hSamrDeleteUser(call, made["UserHandle"])
        seen = accounts.users(call, target)
    assert name not in seen, f"expected {name} to be gone after its deletion"


@check("rpc.samr-password-change", loses="users could not change an expired password at logon")
def test_samr_password_change(target: Target, bench: Bench) -> None:
    target.require_ntlm()
    user = bench.account(pwdLastSet=0)
    changed = user.password + "-2"
    with accounts.opened(target, caller=rpc.ANONYMOUS, level=None) as call:
        samr.hSamrUnicodeChangePasswordUser2(call, "\0", user.name, user.password, changed)
    with accounts.opened(target, caller=rpc.Caller(user=user.name, password=changed)) as call:
        assert accounts.domains(call), "expected the new password to work"
    said = rpc.outcome(lambda: _opens(target, rpc.Caller(user=user.name, password=user.password + "-0")))
    assert said == "STATUS_LOGON_FAILURE", f"expected another password to be refused, got {said}"


def _opens(target: Target, caller: rpc.Caller) -> None:
    with accounts.opened(target, caller=caller):
        pass


@check("rpc.lsa-lookup", loses="names would show as bare SIDs, and rights could not be given by name")
def test_lsa_lookup(target: Target, bench: Bench) -> None:
    sid = sid_text(bench.admin.read(target.base_dn, ["objectSid"]).raw("objectSid"))
    names = (target.admin_user, "Domain Admins", "krbtgt")
    with rpc.over_pipe(target, "lsarpc", lsat.MSRPC_UUID_LSAT) as call:
        policy = lsad.hLsarOpenPolicy2(call)["PolicyHandle"]
        forth = lsat.hLsarLookupNames(call, policy, names)
        rids = [row["RelativeId"] for row in forth["TranslatedSids"]["Sids"]]
        sids = [*(f"{sid}-{rid}" for rid in rids), "S-1-5-32-544"]
        back = lsat.hLsarLookupSids(call, policy, sids)
    found = [row["Name"] for row in back["TranslatedNames"]["Names"]]
    assert rids == [500, 512, 502], f"expected the RIDs 500, 512, 502, got {rids}"
    assert found == [*names, "Administrators"], f"expected the names back, got {found}"


@check("rpc.lsa-domain", loses="members would take the domain for another after a join")
def test_lsa_domain(target: Target, bench: Bench) -> None:
    sid = sid_text(bench.admin.read(target.base_dn, ["objectSid"]).raw("objectSid"))
    with rpc.over_pipe(target, "lsarpc", lsad.MSRPC_UUID_LSAD) as call:
        policy = lsad.hLsarOpenPolicy2(call)["PolicyHandle"]
        kind = lsad.POLICY_INFORMATION_CLASS.PolicyDnsDomainInformation
        answer = lsad.hLsarQueryInformationPolicy2(call, policy, kind)
    info = answer["PolicyInformation"]["PolicyDnsDomainInfo"]
    found = (info["Name"], info["DnsDomainName"], info["Sid"].formatCanonical())
    assert found == (target.domain, target.dns_domain, sid), f"expected the domain's identity, got {found}"


@check("rpc.share-list", loses="nobody could see which shares the server has", tier="smoke")
def test_share_list(target: Target) -> None:
    with rpc.over_pipe(target, "srvsvc", srvs.MSRPC_UUID_SRVS) as call:
        rows = srvs.hNetrShareEnum(call, 1)["InfoStruct"]["ShareInfo"]["Level1"]["Buffer"]
    found = {row["shi1_netname"].rstrip("\0").lower() for row in rows}
    assert {"sysvol", "netlogon", "ipc$"} <= found, f"expected sysvol, netlogon and IPC$, got {sorted(found)}"


@check("rpc.workstation-info", loses="inventory and join tools would not recognise the server")
def test_workstation_info(target: Target) -> None:
    with rpc.over_pipe(target, "wkssvc", wkst.MSRPC_UUID_WKST) as call:
        info = wkst.hNetrWkstaGetInfo(call, 100)["WkstaInfo"]["WkstaInfo100"]
    found = (info["wki100_computername"].rstrip("\0"), info["wki100_langroup"].rstrip("\0"))
    expected = (target.hostname.upper()[:15], target.domain)
    assert found == expected, f"expected {expected}, got {found}"


@check("rpc.winreg", loses="remote administration that reads the registry would fail", tier="full")
def test_winreg(target: Target) -> None:
    with rpc.over_pipe(target, "winreg", rrp.MSRPC_UUID_RRP) as call:
        machine = rrp.hOpenLocalMachine(call)["phKey"]
        key = rrp.hBaseRegOpenKey(call, machine, CURRENT_VERSION)["phkResult"]
        value = rrp.hBaseRegQueryValue(call, key, "CurrentVersion")[1].rstrip("\0")
    assert value.startswith("6."), f"expected the version of Windows that Samba stands for, got {value}"


@check("rpc.backup-key", loses="users would lose what Windows keeps encrypted after a password reset (DPAPI)")
def test_backup_key(target: Target) -> None:
    target.require_ntlm()  # the server gives it to sealed calls alone: see verify/clients/rpc.py
    with rpc.over_pipe(target, "protected_storage", bkrp.MSRPC_UUID_BKRP) as call:
        answer = bkrp.hBackuprKey(call, bkrp.BACKUPKEY_RETRIEVE_BACKUP_KEY_GUID, NULL)
    certificate = b"".join(answer["ppDataOut"])
    assert certificate[:1] == b"\x30", (
        f"expected the domain's backup certificate, got {certificate[:8].hex()}"
    )
    assert len(certificate) > 500, f"expected a certificate with a 2048 bit key, got {len(certificate)} bytes"

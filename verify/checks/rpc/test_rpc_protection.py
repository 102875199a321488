"""Which protection a call must have, and that calls with less are refused (CVE-2016-2118 and its kin)."""

from functools import partial

from impacket.dcerpc.v5 import drsuapi, samr

from verify.check import check
from verify.clients import rpc
from verify.clients import samr as accounts
from verify.clients.ntstatus import SUCCESS
from verify.target import Target

DENIED = "rpc_s_access_denied"


@check("rpc.samr-connect-level-refused", loses="someone in between could act as the administrator (Badlock)")
def test_samr_connect_level_refused(target: Target) -> None:
    def enumerate_at(level: int) -> None:
        with rpc.over_tcp(target, samr.MSRPC_UUID_SAMR, level=level) as call:
            accounts.domains(call)

    said = rpc.outcome(lambda: enumerate_at(rpc.CONNECT))
    sealed = rpc.outcome(lambda: enumerate_at(rpc.SEALED))
    expected = target.expect(old=SUCCESS, new=DENIED, since="4.4.1")
    assert said == expected, f"expected {expected} at connect level, got {said}"
    assert sealed == SUCCESS, f"expected the same call to work when sealed, got {sealed}"


def crack_names(target: Target, level: int | None) -> list[tuple[int, str]]:
    """DsBind and DsCrackNames for the administrator and for nobody: status and DN."""
    with rpc.over_tcp(target, drsuapi.MSRPC_UUID_DRSUAPI, level=level) as call:
        handle = _bind(call)
        kinds = drsuapi.DS_NAME_FORMAT
        asked = (f"{target.domain}\\{target.admin_user}", f"{target.domain}\\galaxy-no-such-user")
        answer = drsuapi.hDRSCrackNames(
            call, handle, 0, kinds.DS_NT4_ACCOUNT_NAME, kinds.DS_FQDN_1779_NAME, asked
        )
        rows = answer["pmsgOut"]["V1"]["pResult"]["rItems"]
        return [(int(row["status"]), str(row["pName"] or "").rstrip("\0")) for row in rows]


def _bind(call: object) -> object:
    """IDL_DRSBind with the least that a client says of itself (MS-DRSR 4.1.3)."""
    said = drsuapi.DRS_EXTENSIONS_INT()
    said["dwFlags"] = drsuapi.DRS_EXT_GETCHGREPLY_V6 | drsuapi.DRS_EXT_STRONG_ENCRYPTION
    said["SiteObjGuid"] = said["ConfigObjGUID"] = drsuapi.NULLGUID
    request = drsuapi.DRSBind()
    request["puuidClientDsa"] = drsuapi.NTDSAPI_CLIENT_GUID
    request["pextClient"]["cb"] = len(said)
    request["pextClient"]["rgb"] = list(said.getData())
    return call.request(request)["phDrs"]  # type: ignore[attr-defined] # impacket is untyped


@check("rpc.drsuapi-crack-names", loses="joins and replication tools could not translate names")
def test_drsuapi_crack_names(target: Target) -> None:
    (status, dn), (unknown, _) = crack_names(target, rpc.SEALED)
    assert status == 0, f"expected the administrator to be found, got status {status}"
    assert dn.lower().endswith(target.base_dn.lower()), f"expected a DN in {target.base_dn}, got {dn}"
    assert unknown == 2, f"expected DS_NAME_ERROR_NOT_FOUND (2) for nobody, got {unknown}"


@check("rpc.drsuapi-unsealed-refused", loses="password hashes could cross the wire in the clear")
def test_drsuapi_unsealed_refused(target: Target) -> None:
    for level, name in ((None, "none"), (rpc.CONNECT, "connect"), (rpc.INTEGRITY, "integrity")):
        said = rpc.outcome(partial(crack_names, target, level))
        expected = target.expect(old=SUCCESS, new=DENIED, since="4.4.1")
        assert said == expected, f"expected {expected} at level {name}, got {said}"

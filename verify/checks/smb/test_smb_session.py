"""Who gets a session, and what it may touch."""

from functools import partial

from impacket.smbconnection import SMBConnection
from smbprotocol.exceptions import SMBResponseException

from verify.bench import Bench
from verify.check import check
from verify.clients import smb
from verify.clients.rpc import anonymous_smb
from verify.target import Target


@check(
    "smb.ntlm-session",
    loses="machines without Kerberos (and every logon by address) would be shut out",
    tier="smoke",
)
def test_ntlm_session(target: Target) -> None:
    with smb.logged_on(target, smb.admin(target, "ntlm")) as session:
        assert target.dns_domain in smb.names_in_root(session, target, "sysvol"), (
            "expected the domain in sysvol"
        )


@check(
    "smb.kerberos-session",
    loses="domain members could not reach sysvol, so no policy would apply",
    tier="smoke",
)
def test_kerberos_session(target: Target, bench: Bench) -> None:
    assert bench.kerberos.config, "libkrb5 must know the KDC"
    with smb.logged_on(target, smb.admin(target, "kerberos")) as session:
        assert target.dns_domain in smb.names_in_root(session, target, "sysvol"), (
            "expected the domain in sysvol"
        )


@check("smb.kerberos-encrypted", loses="Kerberos sessions could not be encrypted")
def test_kerberos_encrypted(target: Target, bench: Bench) -> None:
    assert bench.kerberos.config, "libkrb5 must know the KDC"
    with smb.logged_on(target, smb.admin(target, "kerberos"), encrypt=True) as session:
        assert target.dns_domain in smb.names_in_root(session, target, "sysvol"), (
            "expected the domain in sysvol"
        )


@check("smb.wrong-password-refused", loses="anybody could be anybody", tier="smoke")
def test_wrong_password_refused(target: Target, bench: Bench) -> None:
    user = bench.account()
    wrong = smb.Login(user=user.name, password=user.password + "x", protocol="ntlm")
    with smb.connected(target) as connection:
        said = smb.outcome(lambda: smb.log_on(connection, target, wrong))
    assert said == "STATUS_LOGON_FAILURE", f"expected STATUS_LOGON_FAILURE, got {said}"


@check("smb.unknown-user-refused", loses="a misspelt user would silently work as guest")
def test_unknown_user_refused(target: Target) -> None:
    nobody = smb.Login(user="galaxy-no-such-user", password="galaxy-no-such-password", protocol="ntlm")
    with smb.connected(target) as connection:
        said = smb.outcome(lambda: smb.log_on(connection, target, nobody))
    assert said == "STATUS_LOGON_FAILURE", f"expected STATUS_LOGON_FAILURE and no guest session, got {said}"


@check("smb.disabled-user-refused", loses="people who have left could still get in")
def test_disabled_user_refused(target: Target, bench: Bench) -> None:
    user = bench.account(control=0x202)
    with smb.connected(target) as connection:
        said = smb.outcome(
            lambda: smb.log_on(
                connection, target, smb.Login(user=user.name, password=user.password, protocol="ntlm")
            )
        )
    assert said == "STATUS_ACCOUNT_DISABLED", f"expected STATUS_ACCOUNT_DISABLED, got {said}"


@check("smb.anonymous-refused", loses="sysvol and netlogon would be open to everybody without a password")
def test_anonymous_refused(target: Target) -> None:
    for share in ("sysvol", "netlogon"):
        said = anonymous_smb(target, partial(_listed, share))
        assert said == "STATUS_ACCESS_DENIED", f"expected STATUS_ACCESS_DENIED on {share}, got {said}"


def _listed(share: str, session: SMBConnection) -> None:
    session.listPath(share, "*")


@check("smb.shares-present", loses="clients would find neither policies nor logon scripts", tier="smoke")
def test_shares_present(target: Target) -> None:
    with smb.logged_on(target) as session:
        for share in ("sysvol", "netlogon", "IPC$"):
            said = smb.outcome(partial(smb.tree, session, target, share))
            assert said == "STATUS_SUCCESS", f"expected the share {share}, got {said}"


@check("smb.unknown-share-refused", loses="a client could not tell a missing share from a broken server")
def test_unknown_share_refused(target: Target) -> None:
    with smb.logged_on(target) as session:
        said = smb.outcome(lambda: smb.tree(session, target, "galaxy-no-such-share"))
    assert said == "STATUS_BAD_NETWORK_NAME", f"expected STATUS_BAD_NETWORK_NAME, got {said}"


@check("smb.user-reads-sysvol", loses="no user's policies would apply at logon", tier="smoke")
def test_user_reads_sysvol(target: Target, bench: Bench) -> None:
    user = bench.account()
    with smb.logged_on(target, smb.Login(user=user.name, password=user.password)) as session:
        share = smb.tree(session, target, "sysvol")
        folder = smb.open_folder(share, rf"{target.dns_domain}\Policies", access=smb.Access.GENERIC_READ)
        policies = smb.names_in(folder)
    assert len(policies) >= 2, f"expected the two default policies at least, got {policies}"


@check("smb.user-cannot-write-sysvol", loses="any user could plant a logon script for everybody")
def test_user_cannot_write_sysvol(target: Target, bench: Bench) -> None:
    user = bench.account()
    with smb.logged_on(target, smb.Login(user=user.name, password=user.password)) as session:
        for share, folder in (("sysvol", rf"{target.dns_domain}\Policies"), ("netlogon", "")):
            name = rf"{folder}\galaxy-{user.name}.txt".lstrip("\\")
            connection = smb.tree(session, target, share)
            try:
                file, _ = smb.open_file(connection, name, options=smb.DELETE_ON_CLOSE)
                file.close(get_attributes=False)
                said = "STATUS_SUCCESS"
            except SMBResponseException as error:
                said = smb.status_name(error)
            assert said == "STATUS_ACCESS_DENIED", f"expected writing to {share} to be denied, got {said}"

"""What a client and the server agree on before and while logging on."""

from smbprotocol import Dialects
from smbprotocol.connection import Capabilities, Ciphers, SigningAlgorithms
from smbprotocol.ioctl import CtlCode, SMB2NetworkInterfaceInfo

from verify.check import check
from verify.clients import smb, smbwire
from verify.target import Target

SIGNING_ENABLED_AND_REQUIRED = 3
NO_SMB1_DIALECT = b"\xff\xff"


def works_with_dialect(target: Target, dialect: int) -> None:
    """Log on and read sysvol in exactly this dialect."""
    with smb.logged_on(target, dialect=dialect) as session:
        assert session.connection.dialect == dialect, (
            f"expected dialect {dialect:#x}, got {session.connection.dialect:#x}"
        )
        names = smb.names_in_root(session, target, "sysvol")
    assert target.dns_domain in names, f"expected {target.dns_domain} in sysvol, got {names}"


@check("smb.dialect-202", loses="clients of the age of Windows Vista could not reach sysvol", tier="full")
def test_dialect_202(target: Target) -> None:
    works_with_dialect(target, Dialects.SMB_2_0_2)


@check("smb.dialect-210", loses="clients of the age of Windows 7 could not reach sysvol", tier="full")
def test_dialect_210(target: Target) -> None:
    works_with_dialect(target, Dialects.SMB_2_1_0)


@check("smb.dialect-300", loses="clients of the age of Windows 8 could not reach sysvol")
def test_dialect_300(target: Target) -> None:
    works_with_dialect(target, Dialects.SMB_3_0_0)


@check("smb.dialect-302", loses="clients of the age of Windows 8.1 could not reach sysvol")
def test_dialect_302(target: Target) -> None:
    works_with_dialect(target, Dialects.SMB_3_0_2)


@check("smb.dialect-311", loses="no current Windows client could reach sysvol", tier="smoke")
def test_dialect_311(target: Target) -> None:
    works_with_dialect(target, Dialects.SMB_3_1_1)


@check("smb.newest-dialect", loses="clients would be talked down to an older, weaker protocol")
def test_newest_dialect(target: Target) -> None:
    with smb.connected(target) as connection:
        assert connection.dialect == Dialects.SMB_3_1_1, f"expected 0x311, got {connection.dialect:#x}"


@check("smb.smb1-refused", loses="SMB1, unsafe and switched off since 4.11, would be open again")
def test_smb1_refused(target: Target) -> None:
    answer = smbwire.negotiate_smb1(target.address)
    spoken = bool(answer) and answer[33:35] != NO_SMB1_DIALECT
    expected = target.expect(old=True, new=False, since="4.11.0")
    assert spoken is expected, f"expected SMB1 spoken: {expected}, got {answer[:40].hex() or 'a hang-up'}"


@check("smb.signing-required", loses="someone in between could change what a client reads from sysvol")
def test_signing_required(target: Target) -> None:
    for dialect in (Dialects.SMB_2_0_2, Dialects.SMB_3_0_2, Dialects.SMB_3_1_1):
        mode = smbwire.negotiate(target.address, [dialect]).security_mode
        assert mode == SIGNING_ENABLED_AND_REQUIRED, (
            f"expected signing required in {dialect:#x}, got mode {mode}"
        )


@check("smb.unsigned-refused", loses="anybody on the wire could act in the name of a session")
def test_unsigned_refused(target: Target) -> None:
    with smb.logged_on(target) as session:
        share = smb.tree(session, target, "sysvol")
        session.signing_required = False
        said = smb.outcome(lambda: smb.open_folder(share, "", access=smb.Access.GENERIC_READ))
        session.signing_required = True
    assert said == "STATUS_ACCESS_DENIED", f"expected an unsigned open to be denied, got {said}"


def negotiated_cipher(target: Target, cipher: int) -> int:
    """Offer one cipher; use it for a real read if the server takes it. 0 when it does not."""
    with smb.connected(target, dialect=Dialects.SMB_3_1_1, ciphers=[cipher]) as connection:
        if not connection.supports_encryption:
            return 0
        session = smb.log_on(connection, target, encrypt=True)
        assert smb.names_in_root(session, target, "sysvol"), "expected names in sysvol, got none"
        return int(connection.cipher_id)


@check("smb.encryption-aes128", loses="sessions could not be encrypted, or only by old clients' means")
def test_encryption_aes128(target: Target) -> None:
    for cipher in (Ciphers.AES_128_CCM, Ciphers.AES_128_GCM):
        got = negotiated_cipher(target, cipher)
        assert got == cipher, f"expected cipher {cipher}, got {got}"


@check("smb.encryption-aes256", loses="sites that demand AES-256 could not use this server")
def test_encryption_aes256(target: Target) -> None:
    for cipher in (Ciphers.AES_256_CCM, Ciphers.AES_256_GCM):
        got = negotiated_cipher(target, cipher)
        expected = target.expect(old=0, new=cipher, since="4.15.0")
        assert got == expected, f"expected cipher {expected}, got {got}"


@check(
    "smb.encryption-300", loses="SMB 3.0 clients could not encrypt (they know AES-128-CCM only)", tier="full"
)
def test_encryption_300(target: Target) -> None:
    with smb.logged_on(target, dialect=Dialects.SMB_3_0_0, encrypt=True) as session:
        assert session.encrypt_data, "expected an encrypted session, got a signed one"
        assert smb.names_in_root(session, target, "sysvol"), "expected names in sysvol, got none"


@check("smb.signing-algorithms", loses="clients would be left with slow or weak signatures")
def test_signing_algorithms(target: Target) -> None:
    for wanted in (SigningAlgorithms.AES_GMAC, SigningAlgorithms.AES_CMAC, SigningAlgorithms.HMAC_SHA256):
        with smb.logged_on(target, dialect=Dialects.SMB_3_1_1, signing=[wanted]) as session:
            smb.tree(session, target, "sysvol")
            got = session.connection.signing_algorithm_id
        expected = target.expect(old=None, new=wanted, since="4.15.0")
        assert got == expected, f"expected signing algorithm {expected}, got {got}"


@check(
    "smb.preauth-integrity", loses="someone in between could talk both sides down to weaker protection unseen"
)
def test_preauth_integrity(target: Target) -> None:
    with smb.connected(target, dialect=Dialects.SMB_3_1_1) as connection:
        seen = connection.preauth_integrity_hash_value
        seen[0] = seen[0][:-1] + bytes([seen[0][-1] ^ 1])
        said = smb.outcome(lambda: smb.log_on(connection, target))
        assert "signature could not be verified" in said, (
            f"expected keys that depend on the whole negotiation, got {said} after a changed one"
        )
        connection.verify_signature = lambda *_args, **_more: None
        session = next(iter(connection.session_table.values()))
        said = smb.outcome(lambda: smb.tree(session, target, "sysvol"))
    assert said == "STATUS_ACCESS_DENIED", f"expected the server to refuse the changed keys, got {said}"


@check(
    "smb.directory-leases",
    loses="clients could not cache folders (4.22) and would ask for every listing again",
)
def test_directory_leases(target: Target) -> None:
    capabilities = smbwire.negotiate(target.address, [Dialects.SMB_3_1_1]).capabilities
    offered = bool(capabilities & smbwire.DIRECTORY_LEASING)
    expected = target.expect(old=False, new=True, since="4.22.0")
    assert offered is expected, (
        f"expected directory leases offered: {expected}, got capabilities {capabilities:#x}"
    )
    assert capabilities & smbwire.LEASING, f"expected file leases, got capabilities {capabilities:#x}"


@check("smb.posix-extensions", loses="Linux clients would lose modes, owners and symbolic links (4.23)")
def test_posix_extensions(target: Target) -> None:
    answer = smbwire.negotiate(target.address, [Dialects.SMB_3_1_1], posix=True)
    offered = answer.contexts is not None and smbwire.POSIX_GUID in answer.contexts.values()
    expected = target.expect(old=False, new=target.version is not None, since="4.23.0")
    assert offered is expected, (
        f"expected POSIX extensions offered: {expected}, got contexts {answer.contexts}"
    )


@check("smb.multichannel", loses="clients with several network cards would use one of them only")
def test_multichannel(target: Target) -> None:
    channels = Capabilities.SMB2_GLOBAL_CAP_MULTI_CHANNEL
    with smb.logged_on(target, capabilities=channels) as session:
        offered = session.connection.server_capabilities.has_flag(channels)
        expected = target.expect(old=False, new=True, since="4.15.0")
        assert offered is expected, f"expected several channels offered: {expected}, got {offered}"
        share = smb.tree(session, target, "IPC$")
        answer = smb.control(share, CtlCode.FSCTL_QUERY_NETWORK_INTERFACE_INFO, b"")
    # Loopback is there too where smb.conf has it among `interfaces`; a target's other addresses are not known.
    told = [
        card["sock_addr_storage"]["buffer"].get_value().get_ipaddress()
        for card in SMB2NetworkInterfaceInfo.unpack_multiple(answer)
    ]
    assert target.address in told, f"expected clients to be told of {target.address}, got {told}"

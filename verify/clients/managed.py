"""Group managed service accounts: their password as the directory gives it to who may run the service."""

import struct

from impacket.krb5.constants import PrincipalNameType
from impacket.krb5.crypto import Enctype, string_to_key
from impacket.krb5.kerberosv5 import KerberosError, getKerberosTGT
from impacket.krb5.types import Principal

from verify.bench import Account, Bench, unique
from verify.clients.descriptor import Ace, descriptor, sid_text
from verify.clients.machines import WORKSTATION_TRUST
from verify.target import Target

_READ_PROPERTY = 0x10
_SYSTEM = "S-1-5-18"
# Words of 2 and 4 bytes before the offset of the current password (MS-ADTS 2.2.19, MSDS-MANAGEDPASSWORD_BLOB).
_HEADER = struct.Struct("<HHIHHHH")
_PASSWORD_BYTES = 256


def managed_account(bench: Bench, reader: Account) -> tuple[str, str]:
    """A new account whose password `reader` may fetch: its DN and its name without the dollar sign."""
    name = unique("gm")
    dn = f"CN={name},{bench.ou}"
    bench.admin.add(
        dn,
        {
            "objectClass": "msDS-GroupManagedServiceAccount",
            "sAMAccountName": f"{name}$",
            "dNSHostName": f"{name}.{bench.target.dns_domain}",
            "msDS-ManagedPasswordInterval": "30",
            "msDS-GroupMSAMembership": descriptor(
                [Ace(sid=sid_text(reader.sid), mask=_READ_PROPERTY)], owner=_SYSTEM
            ),
            "userAccountControl": WORKSTATION_TRUST,
        },
    )
    return dn, name


def current_password(blob: bytes) -> bytes:
    """The password in a value of msDS-ManagedPassword, in UTF-16-LE; AssertionError when it is no such value."""
    version, _, length, offset, *_ = _HEADER.unpack_from(blob)
    assert (version, length) == (1, len(blob)), (
        f"no managed password: version {version}, {length} of {len(blob)} bytes"
    )
    return blob[offset : offset + _PASSWORD_BYTES]


def logon(target: Target, name: str, password: bytes) -> str:
    """Ask for a TGT as such an account, by the AES-256 key of its password; the KDC's refusal, "" for a ticket."""
    # Random words are not all letters: what is none is U+FFFD on both sides. The salt is a computer's
    # (MS-KILE 3.1.1.2).
    text = password.decode("utf-16-le", "replace").encode()
    salt = f"{target.realm}host{name.lower()}.{target.realm.lower()}"
    key = string_to_key(Enctype.AES256, text, salt).contents.hex()
    principal = Principal(f"{name}$", type=PrincipalNameType.NT_PRINCIPAL.value)
    try:
        getKerberosTGT(principal, "", target.realm, b"", b"", aesKey=key, kdcHost=target.address)
    except KerberosError as error:
        return str(error)
    return ""


def has_root_key(bench: Bench) -> bool:
    """Whether the domain has what it makes such passwords of."""
    # The keys' own folder comes with the first version that has them.
    services = f"CN=Services,CN=Configuration,{bench.target.base_dn}"
    return bool(bench.admin.search(services, "(objectClass=msKds-ProvRootKey)", ["cn"]))

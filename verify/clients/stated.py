"""Whether a target's file tells the truth: the domain controller has these names, and lets the user in."""

import tempfile
from pathlib import Path

from ldap3.core.exceptions import LDAPException

from verify.clients.kerberos import Kerberos
from verify.clients.ldap import Ldap, LdapRefusedError, Session
from verify.target import Target

_INVALID_CREDENTIALS = 49
# The end of NT_STATUS_NTLM_BLOCKED (0xC0000418): `ntlm auth = disabled`, which ends simple binds too.
_NTLM_BLOCKED = "data 418,"


def mismatch(target: Target) -> str:
    """What is not as the file says, in a line; "" when all is, or when the server is too broken to be asked.

    A wrong password costs one try: every check would else spend its own, and lock the account out.
    """
    with tempfile.TemporaryDirectory(prefix="galaxy-verify-") as folder:
        ldap = Ldap(target, Kerberos(target, Path(folder)))
        try:
            return _wrong_name(ldap.open(transport="tls"), target) or _wrong_login(ldap, target)
        except (AssertionError, LDAPException, LdapRefusedError, OSError):
            return ""  # the checks will say how it is broken
        finally:
            ldap.close()


def _wrong_name(session: Session, target: Target) -> str:
    root = session.read("", ["defaultNamingContext", "dnsHostName", "ldapServiceName"])
    realm = root.one("ldapServiceName").rpartition("@")[2]
    return (
        _differs("realm", target.realm, realm)
        or _differs("base_dn", target.base_dn.replace(", ", ","), root.one("defaultNamingContext"))
        or _differs("fqdn", target.fqdn, root.one("dnsHostName"))
    )


def _wrong_login(ldap: Ldap, target: Target) -> str:
    try:
        session = ldap.simple(target.admin_principal, target.password, transport="tls")
    except LdapRefusedError as error:
        if error.code != _INVALID_CREDENTIALS:
            raise
        if _NTLM_BLOCKED in error.message:
            return f"{target.address} has NTLM switched off, and with it simple binds, by which the checks log on"
        return (
            f"{target.address} does not let {target.admin_user} in with the password given: {error.message}"
        )
    rows = session.search(
        f"CN=Partitions,CN=Configuration,{target.base_dn}", f"(nCName={target.base_dn})", ["nETBIOSName"]
    )
    return _differs("domain", target.domain, rows[0].one("nETBIOSName") if rows else "")


def _differs(key: str, given: str, told: str) -> str:
    if not told or given.lower() == told.lower():
        return ""
    return f"the target's {key} is {given}, and the domain controller says {told}"

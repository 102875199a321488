"""Whether a target's file tells the truth: the domain controller has these names, and lets the user in."""

import tempfile
from pathlib import Path

from gssapi.raw.misc import GSSError
from ldap3.core.exceptions import LDAPException
from spnego.exceptions import SpnegoError

from galaxy.host.errors import CommandError
from verify.clients.kerberos import UNKNOWN_PRINCIPAL, Kerberos
from verify.clients.ldap import INVALID_CREDENTIALS, Ldap, LdapRefusedError, Session, ntlm_blocked
from verify.clients.sasl import ntlm_bind
from verify.target import Target

_NTLM_IS_OFF = (
    "{} has NTLM switched off; if that is meant, say so: ntlm = false in the target's file, `ntlm auth = disabled` in "
    "the smb.conf of a server of Galaxy's, which takes it at its next start"
)
# How libkrb5 words what speaks of the account or its password (RFC 4120 7.5.9): anything else is the server's trouble.
_REFUSALS = (
    "Password incorrect",
    "Preauthentication failed",
    UNKNOWN_PRINCIPAL,
    "credentials have been revoked",
)
_TROUBLES = (AssertionError, CommandError, GSSError, LDAPException, LdapRefusedError, OSError, SpnegoError)


def mismatch(target: Target) -> str:
    """What is not as the file says, in a line; "" when all is, or when the server is too broken to be asked.

    A wrong password costs one try: every check would else spend its own, and lock the account out.
    """
    with tempfile.TemporaryDirectory(prefix="galaxy-verify-") as folder:
        kerberos = Kerberos(target, Path(folder))
        ldap = Ldap(target, kerberos)
        try:
            with kerberos.known():
                return _wrong_name(ldap.open(transport="tls"), target) or _wrong_login(ldap, target)
        except _TROUBLES:
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
    refused = f"{target.address} does not let {target.admin_user} in with the password given"
    try:
        session = ldap.as_admin(transport="tls")
    except CommandError as error:
        if not any(words in error.output for words in _REFUSALS):
            raise
        return f"{refused}: {error.output.strip()}"
    except LdapRefusedError as error:
        if ntlm_blocked(error):
            return _NTLM_IS_OFF.format(target.address)
        if error.code != INVALID_CREDENTIALS:
            raise
        return f"{refused}: {error.message}"
    return _wrong_domain(session, target) or _wrong_ntlm(ldap.open(), target)


def _wrong_domain(session: Session, target: Target) -> str:
    rows = session.search(
        f"CN=Partitions,CN=Configuration,{target.base_dn}", f"(nCName={target.base_dn})", ["nETBIOSName"]
    )
    return _differs("domain", target.domain, rows[0].one("nETBIOSName") if rows else "")


def _wrong_ntlm(session: Session, target: Target) -> str:
    """What the file says of NTLM has to be so: checks of it do not apply without it."""
    try:
        ntlm_bind(session.connection, f"{target.domain}\\{target.admin_user}", target.password)
        session.require("NTLM bind")
    except LdapRefusedError as error:
        return _NTLM_IS_OFF.format(target.address) if target.ntlm and ntlm_blocked(error) else ""
    if not target.ntlm:
        return (
            f"{target.address} lets people in by NTLM, and the target says that it does not (ntlm = false in its file; "
            "a server of Galaxy's takes what smb.conf says at its next start)"
        )
    return ""


def _differs(key: str, given: str, told: str) -> str:
    if not told or given.lower() == told.lower():
        return ""
    return f"the target's {key} is {given}, and the domain controller says {told}"

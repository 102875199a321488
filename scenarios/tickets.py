"""Logging on with Kerberos tickets that are there already, from a KDC that cannot be asked any more."""

from typing import TYPE_CHECKING

from scenarios.partners import ticket_cache
from verify.target import Target

if TYPE_CHECKING:
    from verify.clients.kerberos import Kerberos
    from verify.clients.ldap import Ldap


def use_tickets(target: Target, kerberos: "Kerberos", ldap: "Ldap", cache: str, name: str) -> bytes:
    """Log on to LDAP and SMB with what is in a cache and nothing else; the SID that LDAP takes its owner for.

    The KDC is at an address where nobody answers.
    """
    from verify.clients import smb  # noqa: PLC0415 - see scenarios.partners

    config = kerberos.configuration()
    config.write_text(config.read_text(encoding="utf-8").replace(target.address, "127.0.0.1"), "utf-8")
    with ticket_cache(cache, config):
        known = ldap.gssapi(cache).sid()
        with smb.connected(target) as connection:
            login = smb.Login(user=name, password="", protocol="kerberos")
            smb.tree(smb.log_on(connection, target, login), target, "sysvol")
    return known

"""Which changes a domain controller makes by itself, so that those of people can be seen among them.

Restoring a state that lacks these loses nothing: the server makes them again, or they were about that state alone.
What is not recognised here counts as people's work.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from galaxy.server.config import ServerConfig

# Written at every logon or so; the password attributes of the server's own account come with its monthly change.
_LOGON = {"lastLogonTimestamp", "badPwdCount", "badPasswordTime", "lockoutTime", "logonCount"}
_OWN_ACCOUNT = {
    *(
        "servicePrincipalName",
        "dNSHostName",
        "operatingSystem",
        "operatingSystemVersion",
        "name",
        "whenChanged",
    ),
    *("unicodePwd", "ntPwdHistory", "lmPwdHistory", "supplementalCredentials", "pwdLastSet", "dBCSPwd"),
    *("msDS-SupportedEncryptionTypes", "msDS-KeyVersionNumber"),
}
_OWN_DSA = {"msDS-Behavior-Version", "options", "msDS-ReplicationEpoch", "msDS-HasMasterNCs", "hasMasterNCs"}
# Who computes a site's topology takes turns.
_SITE = {"interSiteTopologyGenerator"}
# The KCC's connections, RID blocks, keys that are made when first needed.
_OWN_KINDS = {"rIDSet", "rIDManager", "nTDSConnection", "secret"}
# A key that a DC makes when it is first needed, and that cannot be made again: what it protects is lost with it.
_BACKUP_KEY = "cn=bckupkey"
# What a DC registers of itself besides its name (Samba's dns_update_list), and the nodes that its zones begin with.
_OWN_RECORD = re.compile(
    r"DC=(gc|DomainDnsZones|ForestDnsZones|_msdcs|_sites|_tcp|_udp|_(ldap|kerberos|kpasswd|gc)\._(tcp|udp)(\.[^,]*)?"
    r"|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}),",
    re.IGNORECASE,
)
# The zone's own name: its serial number counts every other change, and with it are its name servers' addresses.
_APEX = "dc=@,"


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One object that is not what it was. `attributes`: those changed; `links`: added and removed values by name.

    `passing`: made and deleted again since. `dynamic`: a DNS name whose records its host refreshes; `manual`: one that
    has records of other kinds than a DC registers for a zone. `when`: ISO 8601.
    """

    dn: str
    kind: str
    what: str
    attributes: tuple[str, ...]
    links: dict[str, tuple[int, int]]
    passing: bool
    dynamic: bool
    manual: bool
    when: str


def by_machine(changed: Changed, config: ServerConfig) -> bool:
    """Whether the server did that by itself, or will do it again."""
    if changed.passing:
        return True
    if changed.kind in _OWN_KINDS:
        return not changed.dn.lower().startswith(_BACKUP_KEY)
    dn, host = changed.dn.lower(), config.hostname.lower()
    if changed.kind == "dnsNode":
        if dn.startswith(_APEX):
            return not changed.manual
        return changed.dynamic or dn.startswith(f"dc={host},") or bool(_OWN_RECORD.match(changed.dn))
    if changed.what != "changed" or changed.links:
        return False
    return set(changed.attributes) <= _by_itself(changed.kind, dn, host)


def _by_itself(kind: str, dn: str, host: str) -> AbstractSet[str]:
    """What a DC called `host` writes into an object without being asked."""
    if kind == "computer" and dn.startswith(f"cn={host},ou=domain controllers,"):
        return _LOGON | _OWN_ACCOUNT
    if kind == "nTDSDSA" and dn.startswith(f"cn=ntds settings,cn={host},"):
        return _OWN_DSA
    return _SITE if kind == "nTDSSiteSettings" else _LOGON

"""Functional levels: since 4.19 a DC refuses to start in a domain whose level is above its own.

The level that a Samba claims is smb.conf's `ad dc functional level`, which 4.18 and older do not know
(source4/dsdb/common/util.c, dsdb_check_and_update_fl).
"""

import re
from contextlib import ExitStack

from galaxy.host.errors import InputError, ServerError
from galaxy.host.journal import LOOK, journal
from galaxy.host.netns import inside_network
from galaxy.release.version import Version
from galaxy.server.config import Server
from galaxy.server.network import namespace_of
from galaxy.server.smbconf import smb_conf_text
from galaxy.upgrade.partners import look

LEVELS_SINCE = Version.parse("4.19.0")
# MS-ADTS 6.1.4.2 msDS-Behavior-Version, by the names of smb.conf(5).
LEVELS = {"2008_R2": 4, "2012": 5, "2012_R2": 6, "2016": 7}
_DEFAULT = "2008_R2"
_OPTION = re.compile(r"^\s*ad\s*dc\s*functional\s*level\s*=\s*(\S+)", re.IGNORECASE | re.MULTILINE)
_PATIENCE = 5  # ldap3 takes whole seconds
_ATTRIBUTES = ("domainFunctionality", "forestFunctionality")


def require_level(server: Server, version: str, *, running: bool) -> None:
    """InputError when a Samba of that version would refuse to start in the server's domain."""
    if Version.parse(version) < LEVELS_SINCE:
        return
    claimed = claimed_level(smb_conf_text(server))
    domain = _domain_level(server) if running else _stored_level(server)
    if domain > LEVELS[claimed]:
        needed = next(name for name, level in LEVELS.items() if level >= domain)
        raise InputError(
            f"the domain's functional level ({needed}) is above the one that {version} would claim ({claimed}): it "
            "would refuse to start",
            f"Add to [global] in {server.etc / 'smb.conf'}: ad dc functional level = {needed}",
        )


def claimed_level(smb_conf: str) -> str:
    """The level that a Samba with this smb.conf claims: `2008_R2` unless it says otherwise."""
    found = _OPTION.findall(smb_conf)
    named = {name.upper(): name for name in LEVELS}
    return named.get(found[-1].upper(), _DEFAULT) if found else _DEFAULT


def _stored_level(server: Server) -> int:
    """The domain's level, from a stopped server's database."""
    with journal(server.store, LOOK, server.name) as entry:
        return look(entry, server).level


def _domain_level(server: Server) -> int:
    """The higher one of the domain's and the forest's level, from the rootDSE, which anybody may read."""
    from ldap3 import BASE, NONE, Connection  # noqa: PLC0415 - 0.2 s that a dry plan of a stopped server need not pay
    from ldap3 import Server as Host  # noqa: PLC0415
    from ldap3.core.exceptions import LDAPException  # noqa: PLC0415

    path = namespace_of(server)
    try:
        with ExitStack() as stack:
            if path is not None:
                stack.enter_context(inside_network(path))
            host = Host(server.config.address, get_info=NONE, connect_timeout=_PATIENCE)
            session = stack.enter_context(Connection(host, receive_timeout=_PATIENCE))
            session.search("", "(objectClass=*)", BASE, attributes=list(_ATTRIBUTES))
            found = session.entries[0].entry_attributes_as_dict
    except (LDAPException, IndexError) as error:
        raise ServerError(
            f"cannot read the functional level of {server.name}'s domain: {error}",
            f"Look: galaxy status {server.name}",
        ) from None
    return max(int(found[name][0]) for name in _ATTRIBUTES)

"""What Samba's command line adds to the administrator's smb.conf, so that clients wait less for a start and find it.

Each is left alone when smb.conf says something of its own, and when it includes other files, which may. Samba's own
defaults, said or not, are no word of the administrator's.
"""

from collections.abc import Mapping
from pathlib import Path

from galaxy.server.config import Server
from galaxy.server.smbconf import plain, smb_settings
from galaxy.server.tls import DH_FILE

# Where a running server finds what it starts its own housekeeping by: etc-host/later.py.
LATER_FILE = "/run/galaxy/later.py"
# Samba's tasks look at the server's DNS records and SPNs as soon as they run, by two Python programs of 0.45 s each of
# a processor: those that SMB starts on, in the very second for which clients wait. What they would mend is due in
# ten minutes anyway, but for a new server's, which has no SPN for LDAP before. (A mere lower priority would starve them
# on a busy host, and Samba ends them after 20 s.)
LATER = """\
import os, sys, time
time.sleep(3)
os.execv(sys.argv[1], sys.argv[1:])
"""
_LATER = f"/usr/bin/python3 -IS {LATER_FILE}"
# Written by samba_dnsupdate when all records of the server have once been right.
_DONE_ONCE = "private/dns_update_cache"
# Where a server without NTLM finds what it registers its DNS records by: etc-host/dns_update.py.
DNS_UPDATE_FILE = "/run/galaxy/dns_update.py"
DNS_UPDATE = (Path(__file__).parent / "tools" / "dns_update.py").read_text(encoding="utf-8")
_BY_KERBEROS = f"/usr/bin/python3 -I {DNS_UPDATE_FILE}"
_DNS = "dns update command"
_DNS_UPDATE = "/usr/sbin/samba_dnsupdate"
# Samba's own. The first calls nsupdate, which no image has, unless it is told to do without.
_HOUSEKEEPING = {_DNS: _DNS_UPDATE, "spn update command": "/usr/sbin/samba_spnupdate"}
_BY_RPC = "--use-samba-tool"
_DH_PARAMETERS = "tls dh params file"


def samba_options(server: Server) -> tuple[str, ...]:
    """The words for the command line of a server's start."""
    given = smb_settings(server)
    if given is None:
        return ()
    options = {} if plain(_DH_PARAMETERS) in given else {_DH_PARAMETERS: DH_FILE}
    later = (_LATER,) if (server.state / _DONE_ONCE).exists() else ()
    for name, default in _HOUSEKEEPING.items():
        said = given.get(plain(name), default)
        if not said.startswith("/") or said.endswith("\\"):
            continue
        by = (*later, _BY_KERBEROS) if name == _DNS and _needs_kerberos(given, said) else later
        words = " ".join((*by, f"{said} {_BY_RPC}" if said == _DNS_UPDATE else said))
        options |= {name: words} if words != said else {}
    return tuple(f"--option={name}={value}" for name, value in options.items())


def _needs_kerberos(given: Mapping[str, str], command: str) -> bool:
    return (
        command.split(maxsplit=1)[0] == _DNS_UPDATE
        and given.get(plain("ntlm auth"), "").lower() == "disabled"
    )

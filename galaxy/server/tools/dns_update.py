"""Run samba_dnsupdate --use-samba-tool with Kerberos: it insists on NTLM, which a server may have switched off.

Called with the program and its words. It hands records to samba-tool within its own process, with the server's address
and `--use-kerberos off` (call_samba_tool); both are put right where samba-tool connects.
"""

import sys

from samba.credentials import MUST_USE_KERBEROS
from samba.netcmd import dns

connect = dns.dns_connect


def connect_by_kerberos(_address, parameters, credentials):
    """The server itself, by the name that tickets are for."""
    credentials.set_kerberos_state(MUST_USE_KERBEROS)
    name = "%s.%s" % (parameters.get("netbios name"), parameters.get("realm"))
    return connect(name.lower(), parameters, credentials)


dns.dns_connect = connect_by_kerberos
del sys.argv[0]
with open(sys.argv[0], encoding="utf-8") as program:
    exec(compile(program.read(), sys.argv[0], "exec"), {"__name__": "__main__"})

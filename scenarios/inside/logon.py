"""Runs inside a running DC: binds to its LDAP with each account, by Kerberos and by NTLM.

Standard input is JSON: {"host", "accounts": {name: password}}. Prints a line for each logon that fails, with why.
"""

import json
import sys

import ldb
from samba.credentials import DONT_USE_KERBEROS, MUST_USE_KERBEROS, Credentials
from samba.param import LoadParm
from samba.samdb import SamDB

WAYS = {"Kerberos": MUST_USE_KERBEROS, "NTLM": DONT_USE_KERBEROS}


def bind(lp, host, account, password, way):
    """Bind, and read the account's own object, which an anonymous session could not."""
    credentials = Credentials()
    credentials.guess(lp)
    credentials.set_username(account)
    credentials.set_password(password)
    credentials.set_kerberos_state(WAYS[way])
    samdb = SamDB(url="ldap://" + host, credentials=credentials, lp=lp)
    found = samdb.search(
        samdb.domain_dn(), ldb.SCOPE_SUBTREE, "(sAMAccountName=%s)" % account, attrs=["objectSid"]
    )
    return len(found) == 1


def main():
    asked = json.loads(sys.stdin.read())
    lp = LoadParm()
    lp.load_default()
    for account, password in sorted(asked["accounts"].items()):
        for way in WAYS:
            try:
                if not bind(lp, asked["host"], account, password, way):
                    print("%s by %s: bound, but cannot read itself" % (account, way))
            except Exception as error:
                print("%s by %s: %s" % (account, way, error))


main()

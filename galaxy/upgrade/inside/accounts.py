"""Which accounts match LDAP filters, read in a server's image from its database.

The arguments are the filters; prints one line of JSON, for each of them a list of account names.
"""

import json
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
import ldb


def main():
    parameters = LoadParm()
    parameters.load_default()
    samdb = SamDB(session_info=system_session(), lp=parameters)
    base = samdb.get_default_basedn()
    found = [
        samdb.search(base, ldb.SCOPE_SUBTREE, expression, attrs=["sAMAccountName"])
        for expression in sys.argv[1:]
    ]
    print(
        json.dumps([sorted(str(message["sAMAccountName"][0]) for message in messages) for messages in found])
    )


main()

"""Inside an image: add users to the stopped server's directory, through all of Samba's modules.

Arguments: the first number and the one after the last. Few at a time: Samba's memory grows by 200 kB with each.
"""

import sys

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

first, end = map(int, sys.argv[1:])
settings = LoadParm()
settings.load_default()
directory = SamDB(
    "/var/lib/samba/private/sam.ldb", session_info=system_session(), lp=settings, flags=ldb.FLG_NOSYNC
)
base = directory.domain_dn()
directory.transaction_start()
for number in range(first, end):
    directory.add(
        {
            "dn": f"CN=user{number},CN=Users,{base}",
            "objectClass": "user",
            "sAMAccountName": f"user{number}",
            "userAccountControl": "514",
            "givenName": "Given",
            "sn": f"Surname {number}",
            "description": "one of many",
        }
    )
directory.transaction_commit()

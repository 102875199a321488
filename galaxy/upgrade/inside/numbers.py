"""The numbers that a directory gives out, read in a server's image from its databases, or raised there.

Without words it prints one line of JSON: the lowest RID that no DC has been given yet, the last one given to an account
(-1 before the first), and the next xid. Called with these three of another state, it goes on after both.
"""

import json
import sys

from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB
import ldb

# As many as Samba gives a DC at a time (dsdb/samdb/ldb_modules/ridalloc.c).
BLOCK = 500
LOW = 0xFFFFFFFF


def one(samdb, dn, *names):
    return samdb.search(dn, ldb.SCOPE_BASE, attrs=list(names))[0]


def number(message, name):
    return int(str(message[name][0])) if name in message else -1


def write(database, dn, **values):
    """Replace an object's attributes; of the directory's, people may not write these."""
    message = ldb.Message()
    message.dn = ldb.Dn(database, str(dn))
    for name, value in values.items():
        message[name] = ldb.MessageElement(str(value), ldb.FLAG_MOD_REPLACE, name)
    database.modify(message)


class Rids:
    """The domain's free RIDs, and this DC's own block of them."""

    def __init__(self, samdb):
        self.samdb = samdb
        self.manager = ldb.Dn(samdb, "CN=RID Manager$,CN=System,%s" % samdb.domain_dn())
        server = one(samdb, samdb.get_serverName(), "serverReference")
        account = one(samdb, str(server["serverReference"][0]), "rIDSetReferences")
        self.block = str(account["rIDSetReferences"][0]) if "rIDSetReferences" in account else ""
        free = int(str(one(samdb, self.manager, "rIDAvailablePool")["rIDAvailablePool"][0]))
        self.low, self.high = free & LOW, free >> 32
        self.last = number(one(samdb, self.block, "rIDNextRID"), "rIDNextRID") if self.block else -1

    def go_on_after(self, low, last):
        """A block of its own that begins after what either state may have given; without one, the domain's next."""
        if (low, last) == (self.low, self.last):
            return
        first = max(self.low, low)
        if first + BLOCK >= self.high:
            raise SystemExit("no RIDs are left")
        block = first | (first + BLOCK - 1) << 32
        write(self.samdb, self.manager, rIDAvailablePool=first + BLOCK | self.high << 32)
        if self.block:
            write(
                self.samdb,
                self.block,
                rIDAllocationPool=block,
                rIDPreviousAllocationPool=block,
                rIDNextRID=first,
            )


def raise_xids(idmap, following):
    """The next account of a file system's is numbered after those of either state."""
    config = one(idmap, "CN=CONFIG", "xidNumber", "upperBound")
    if "upperBound" in config and following >= number(config, "upperBound"):
        raise SystemExit("no xids are left")
    if following > number(config, "xidNumber"):
        write(idmap, config.dn, xidNumber=following)


def main():
    parameters = LoadParm()
    parameters.load_default()
    samdb = SamDB(session_info=system_session(), lp=parameters)
    idmap = ldb.Ldb(parameters.private_path("idmap.ldb"))
    rids = Rids(samdb)
    if len(sys.argv) == 1:
        following = number(one(idmap, "CN=CONFIG", "xidNumber"), "xidNumber")
        print(json.dumps({"low": rids.low, "last": rids.last, "xid": following}))
        return
    low, last, following = (int(word) for word in sys.argv[1:])
    samdb.transaction_start()
    rids.go_on_after(low, last)
    samdb.transaction_commit()
    raise_xids(idmap, following)


main()

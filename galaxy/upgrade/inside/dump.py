"""Runs inside an image, on a copy of a server's state: writes down everything that an upgrade must keep.

The first argument is the file to write; standard input has the key of all secrets' digests, in hex. Prints what it
counted as JSON. Only Samba's own Python modules and the standard library's.
"""

import json
import sys
import time

import ldb
import samba
from databases import dump_directory, dump_ldbs, dump_tdbs, open_directory
from files import dump_files
from samba.param import LoadParm
from values import Sink


def header(samdb):
    """Which version wrote this, and the names of its domain and DC that expected changes are about."""
    ntds = samdb.get_dsServiceName()
    server = samdb.get_serverName()
    reference = samdb.search(server, ldb.SCOPE_BASE, attrs=["serverReference"])[0]["serverReference"][0]
    config = str(samdb.get_config_basedn())
    service = samdb.search(
        "CN=Directory Service,CN=Windows NT,CN=Services," + config,
        ldb.SCOPE_BASE,
        attrs=["tombstoneLifetime"],
    )[0]
    return {
        "area": "header",
        "version": samba.version,
        "taken": time.strftime("%Y%m%d%H%M%S.0Z", time.gmtime()),
        "tombstone_days": int(service.get("tombstoneLifetime", [b"180"])[0]),
        "domain": str(samdb.get_default_basedn()),
        "config": config,
        "schema_dn": str(samdb.get_schema_basedn()),
        "forest": str(samdb.get_root_basedn()),
        "ntds": ntds,
        "server": server,
        "account": reference.decode(),
        "dns_name": samdb.host_dns_name(),
    }


def main():
    key = bytes.fromhex(sys.stdin.read().strip())
    lp = LoadParm()
    lp.load_default()
    began = time.monotonic()
    with open(sys.argv[1], "w", encoding="utf-8") as stream:
        sink = Sink(stream, key)
        # The directory comes last: opening it writes to databases, and keeps some of them open (a process opens a TDB once).
        dump_files(sink)
        dump_tdbs(sink, "/var/lib/samba")
        samdb = open_directory(lp)
        sink.line(header(samdb))
        dump_directory(sink, samdb)
        dump_ldbs(sink, lp)
    print(json.dumps({"counts": sink.counts, "seconds": time.monotonic() - began}))


main()

"""Every object that has changed since a USN, and in what, read in a server's image from its database.

Called with the USN; prints one line of JSON for each object, after one with the highest USN that has been committed.
"""

import json
import re
import sys
from datetime import datetime, timezone

from samba.auth import system_session
from samba.dcerpc import dnsp, drsblobs
from samba.ndr import ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB
import ldb

CONTROLS = ["show_recycled:1", "show_deleted:1", "extended_dn:1:1", "reveal_internals:0"]
LINK = re.compile(rb"<RMD_FLAGS=(\d+)>|<RMD_LOCAL_USN=(\d+)>")
FIELDS = re.compile(r"^(?:<[^>]*>;)*")


def when(time):
    """A time of replication metadata (seconds since 1601, or NTTIME) in ISO 8601."""
    seconds = time / 10_000_000 if time > 10**12 else time
    return datetime.fromtimestamp(seconds - 11644473600, timezone.utc).isoformat(timespec="seconds")


def written(message):
    """When an object was last written to, for changes that carry no time of their own: whenChanged, in ISO 8601."""
    if "whenChanged" not in message:
        return ""
    seconds = ldb.string_to_time(str(message["whenChanged"][0]))
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")


def own_attributes(samdb, message, usn):
    """Attributes with metadata above the USN, by name, and the newest time."""
    names, newest = [], 0
    if "replPropertyMetaData" in message:
        blob = ndr_unpack(drsblobs.replPropertyMetaDataBlob, message["replPropertyMetaData"][0])
        for item in blob.ctr.array:
            if item.local_usn > usn:
                names.append(samdb.get_lDAPDisplayName_by_attid(item.attid) or "attribute %d" % item.attid)
                newest = max(newest, item.originating_change_time)
    return names, newest


def links(message, usn):
    """Linked attributes with values above the USN: name -> [added, removed]."""
    found = {}
    for name in list(message.keys()):
        if name == "dn":
            continue
        for value in message[name]:
            raw = bytes(value)
            if b"<RMD_LOCAL_USN=" not in raw:
                continue
            flags, local = 0, 0
            for flag, number in LINK.findall(raw):
                flags, local = (int(flag), local) if flag else (flags, int(number))
            if local > usn:
                found.setdefault(name, [0, 0])[flags & 1] += 1
    return found


# Of a zone itself: none, its serial number, its name servers and their addresses (MS-DNSP 2.2.2.1.1).
OF_ZONES = {0, dnsp.DNS_TYPE_A, dnsp.DNS_TYPE_AAAA, dnsp.DNS_TYPE_NS, dnsp.DNS_TYPE_SOA}


def records_of(message):
    """The records of a DNS node; None when one of them cannot be read."""
    try:
        return [ndr_unpack(dnsp.DnssrvRpcRecord, bytes(raw)) for raw in message.get("dnsRecord", [])]
    except Exception:
        return None


def dynamic(records):
    """Whether all records of a DNS node were written by their hosts: those have a time stamp (MS-DNSP 2.3.2.2)."""
    return bool(records) and all(record.dwTimeStamp for record in records)


def manual(records):
    """Whether a DNS node has records of other kinds than a DC registers for a zone."""
    return records is None or any(int(record.wType) not in OF_ZONES for record in records)


def plain(dn):
    """A DN without the GUID and SID that the control puts before it."""
    return FIELDS.sub("", str(dn))


def name_of(message):
    """The DN that an object has, or had before it was deleted."""
    dn = plain(message.dn.extended_str())
    if "isDeleted" in message and "lastKnownParent" in message:
        first = dn.partition(",")[0].partition("\\0A")[0]
        return "%s,%s" % (first, plain(message["lastKnownParent"][0]))
    return dn


def main():
    usn = int(sys.argv[1])
    parameters = LoadParm()
    parameters.load_default()
    samdb = SamDB(session_info=system_session(), lp=parameters)
    root = samdb.search("", ldb.SCOPE_BASE, attrs=["namingContexts", "highestCommittedUSN"])[0]
    print(json.dumps({"usn": int(str(root["highestCommittedUSN"]))}))
    seen = set()
    for context in root["namingContexts"]:
        found = samdb.search(
            str(context),
            expression="(uSNChanged>=%d)" % (usn + 1),
            attrs=["*", "replPropertyMetaData"],
            controls=CONTROLS,
        )
        for message in found:
            guid = bytes(message["objectGUID"][0])
            if guid in seen:
                continue
            seen.add(guid)
            names, newest = own_attributes(samdb, message, usn)
            records = records_of(message)
            deleted = "isDeleted" in message
            created = "uSNCreated" in message and int(message["uSNCreated"][0]) > usn
            print(
                json.dumps(
                    {
                        "dn": name_of(message),
                        "kind": str(message["objectClass"][-1]) if "objectClass" in message else "",
                        "what": "deleted" if deleted else "created" if created else "changed",
                        "passing": deleted and created,
                        "attributes": names,
                        "links": links(message, usn),
                        "dynamic": dynamic(records),
                        "manual": manual(records),
                        "when": when(newest) if newest else written(message),
                    }
                )
            )


main()

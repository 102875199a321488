"""What decides which way back is safe, read in a server's image from its database; prints one line of JSON.

Which other DCs there are and what is known of replication with them, and what an older Samba would not act upon.
"""

import json

from samba.auth import system_session
from samba.dcerpc import drsblobs
from samba.ndr import ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB
import ldb

NEVER = 0


def first(message, name):
    return str(message[name][0]) if name in message else ""


def guid(samdb, message, name):
    return samdb.schema_format_value(name, message[name][0]).decode() if name in message else ""


def replication(samdb, contexts):
    """By DSA GUID: last successes of pulling from it, and whether it is told of changes. By invocation: its USN here."""
    pulled, told, seen = {}, set(), {}
    for context in contexts:
        attributes = ["repsFrom", "repsTo", "replUpToDateVector"]
        message = samdb.search(context, ldb.SCOPE_BASE, attrs=attributes)[0]
        for raw in message.get("repsFrom", []):
            source = ndr_unpack(drsblobs.repsFromToBlob, raw).ctr
            dsa = str(source.source_dsa_obj_guid)
            pulled[dsa] = max(pulled.get(dsa, NEVER), source.last_success)
        for raw in message.get("repsTo", []):
            told.add(str(ndr_unpack(drsblobs.repsFromToBlob, raw).ctr.source_dsa_obj_guid))
        for raw in message.get("replUpToDateVector", []):
            for cursor in ndr_unpack(drsblobs.replUpToDateVectorBlob, raw).ctr.cursors:
                name = str(cursor.source_dsa_invocation_id)
                seen[name] = max(seen.get(name, 0), cursor.highest_usn)
    return pulled, told, seen


# Objects that only a newer Samba heeds; see galaxy/upgrade/ways.py.
HEEDED = {
    "authentication policies": "msDS-AuthNPolicy",
    "group managed service accounts": "msDS-GroupManagedServiceAccount",
}


def count(samdb, kind):
    """How many objects of a class there are, none if the schema does not know it."""
    found = samdb.search(
        "", expression="(objectClass=%s)" % kind, attrs=["cn"], controls=["search_options:1:2"]
    )
    return len(found)


def main():
    parameters = LoadParm()
    parameters.load_default()
    samdb = SamDB(session_info=system_session(), lp=parameters)
    root = samdb.search(
        "", ldb.SCOPE_BASE, attrs=["namingContexts", "highestCommittedUSN", "domainFunctionality"]
    )[0]
    pulled, told, seen = replication(samdb, [str(context) for context in root["namingContexts"]])
    own = samdb.get_ntds_GUID()
    found = samdb.search(
        samdb.get_config_basedn(),
        expression="(|(objectClass=nTDSDSA)(objectClass=nTDSDSARO))",
        attrs=["objectGUID", "invocationId", "objectClass", "whenCreated"],
    )
    partners = []
    for message in found:
        dsa, invocation = guid(samdb, message, "objectGUID"), guid(samdb, message, "invocationId")
        if dsa == own:
            continue
        host = samdb.search(message.dn.parent(), ldb.SCOPE_BASE, attrs=["dNSHostName", "cn"])[0]
        partners.append(
            {
                "name": first(host, "cn"),
                "fqdn": first(host, "dNSHostName"),
                "dn": str(message.dn),
                "dsa": dsa,
                "invocation": invocation,
                "read_only": "nTDSDSARO" in [str(word) for word in message["objectClass"]],
                "joined": first(message, "whenCreated"),
                "pulled": pulled.get(dsa, NEVER),
                "told": dsa in told,
                "usn": seen.get(invocation, 0),
            }
        )
    print(
        json.dumps(
            {
                "dsa": own,
                "usn": int(root["highestCommittedUSN"][0]),
                "level": int(root["domainFunctionality"][0]),
                "heeded": {words: count(samdb, kind) for words, kind in HEEDED.items()},
                "partners": partners,
            }
        )
    )


main()

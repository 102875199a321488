"""Runs inside an image: what the databases hold, read by the version's own modules."""

import os

import ldb
import tdb
from samba import Ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_unpack
from samba.samdb import SamDB
from values import PRESENCE, SECRET, dns_record, kvno, plain, sid

PRIVATE = "/var/lib/samba/private"
# Deleted and recycled objects too, links by GUID, and the versions that Samba keeps of every attribute.
PAGE = 500
CONTROLS = ["show_deleted:1", "show_recycled:1", "extended_dn:1:1"]
ATTRIBUTES = [
    "*", "nTSecurityDescriptor", "replPropertyMetaData", "unicodePwd", "dBCSPwd", "ntPwdHistory", "lmPwdHistory",
    "supplementalCredentials", "trustAuthIncoming", "trustAuthOutgoing", "initialAuthIncoming", "initialAuthOutgoing",
    "currentValue", "priorValue", "pekList", "msDS-ExecuteScriptPassword", "msKds-RootKeyData",
]  # fmt: skip
# The record's own key and name.
KNOWN_ALREADY = frozenset(("dn", "distinguishedName", "objectGUID"))
SIDS = frozenset(("objectsid", "sidhistory", "securityidentifier"))
AREAS = {"secrets.ldb": "secrets", "idmap.ldb": "idmap", "privilege.ldb": "privileges"}
# Databases of what is under way at the moment; each start makes them anew.
PASSING = frozenset(
    ("netlogon_creds_cli.tdb", "schannel_store.tdb", "netsamlogon_cache.tdb", "winbindd_cache.tdb")
)


def open_directory(lp):
    return SamDB(session_info=system_session(), lp=lp)


def confidential(samdb):
    """The attributes that the schema calls confidential (MS-ADTS 2.2.9, fCONFIDENTIAL), those of LAPS for one."""
    found = samdb.search(
        samdb.get_schema_basedn(),
        ldb.SCOPE_ONELEVEL,
        "(searchFlags:1.2.840.113556.1.4.803:=128)",
        attrs=["lDAPDisplayName"],
    )
    return {str(one["lDAPDisplayName"]).lower() for one in found}


def dump_directory(sink, samdb):
    """Every object of every partition; an object is known by its GUID, so that a rename is seen as one."""
    sink.confidential = SECRET | confidential(samdb)
    root = samdb.search("", ldb.SCOPE_BASE, attrs=["namingContexts"])[0]
    for base in sorted(str(dn) for dn in root["namingContexts"]):
        for message in pages(samdb, base):
            dump_object(sink, message)


def pages(samdb, base):
    """The objects of a partition, PAGE at a time: an unpaged search holds them all, 50 kB each."""
    cookie = ""
    while True:
        found = samdb.search(
            base,
            ldb.SCOPE_SUBTREE,
            "(objectClass=*)",
            attrs=ATTRIBUTES,
            controls=[*CONTROLS, "paged_results:1:%d%s" % (PAGE, cookie and ":" + cookie)],
        )
        yield from found
        # ldb writes it "paged_results:critical:cookie", on the last page without a cookie. An answer without the control
        # would leave open whether there is more.
        (control,) = [str(one) for one in found.controls if str(one).startswith("paged_results:")]
        cookie = "".join(control.split(":", 2)[2:])
        if not cookie:
            return


def dump_object(sink, message):
    dn = message.dn.extended_str(1)
    guid, plain_dn = dn[6:42], str(message.dn)
    values = {}
    for attribute in message:
        if attribute not in KNOWN_ALREADY:
            values.update(attribute_values(sink, attribute, message[attribute], guid))
    if "unicodePwd" in values:
        values["kvno"] = kvno(message["replPropertyMetaData"][0])
    sink.record("directory", guid, plain_dn, values)


def attribute_values(sink, attribute, element, label):
    """The values of one attribute as texts, in order; for DNS records a second attribute with their times."""
    lower = attribute.lower()
    raw = [bytes(value) for value in element]
    if lower in sink.confidential:
        texts = [sink.secret("%s %s" % (label, lower), value) for value in raw]
    elif lower == "ntsecuritydescriptor":
        texts = [
            sink.descriptor(value, lambda value=value: ndr_unpack(security.descriptor, value))
            for value in raw
        ]
    elif lower in PRESENCE:
        texts = ["present"]
    elif lower in SIDS:
        texts = [sid(value) for value in raw]
    elif lower == "dnsrecord":
        pairs = [dns_record(value) for value in raw]
        return {
            attribute: sorted(text for text, _ in pairs),
            "dnsRecord times": sorted(time for _, time in pairs),
        }
    else:
        texts = [plain(value) for value in raw]
    texts.sort()
    return {attribute: texts}


def dump_ldbs(sink, lp):
    """The databases without a directory's modules: secrets.ldb, idmap.ldb, privilege.ldb, the registry's."""
    for file in sorted(os.listdir(PRIVATE)):
        if file.endswith(".ldb") and file != "sam.ldb":
            dump_ldb(sink, lp, file)


def dump_ldb(sink, lp, file):
    database = Ldb(os.path.join(PRIVATE, file), lp=lp, session_info=system_session())
    for message in database.search(
        scope=ldb.SCOPE_SUBTREE, expression="(|(objectClass=*)(distinguishedName=*))"
    ):
        dn = str(message.dn)
        values = {}
        for attribute in message:
            if attribute not in KNOWN_ALREADY:
                values.update(attribute_values(sink, attribute, message[attribute], dn))
        sink.record(AREAS.get(file, "databases"), "%s %s" % (file, dn), "%s %s" % (file, dn), values)


def dump_tdbs(sink, folder):
    """Every key of every other lasting database: registry, share and account policies, group mappings, machine secrets."""
    for where, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in ("sysvol", "sam.ldb.d", "smbd.tmp"))
        for file in sorted(files):
            if file.endswith(".tdb") and file not in PASSING:
                dump_tdb(sink, os.path.join(where, file))


def dump_tdb(sink, path):
    database = tdb.open(path, flags=os.O_RDONLY)
    try:
        for key in database:
            name = "%s: %s" % (path, plain(bytes(key).rstrip(b"\0")) if bytes(key) else "(empty)")
            sink.record("databases", name, name, {"value": [sink.secret(name, bytes(database.get(key)))]})
    finally:
        database.close()

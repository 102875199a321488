"""Runs inside an image: how stored values are written down, so that two versions write equal ones alike.

Everything that two versions could print differently is compared by its bytes; what people read of it (SDDL) is kept
beside it. Secrets leave only as digests under a key that nobody keeps.
"""

import hashlib
import json
import os

from samba.dcerpc import dnsp, drsblobs, security
from samba.ndr import ndr_unpack

# Attributes that hold passwords, keys or what they are derived from; lower case.
SECRET = frozenset((
    "unicodepwd", "dbcspwd", "ntpwdhistory", "lmpwdhistory", "supplementalcredentials", "cleartextpassword",
    "userpassword", "unixuserpassword", "trustauthincoming", "trustauthoutgoing", "initialauthincoming",
    "initialauthoutgoing", "currentvalue", "priorvalue", "peklist", "secret", "priorsecret",
    "msds-executescriptpassword", "msds-managedpassword", "mskds-rootkeydata", "ms-mcs-admpwd", "mslaps-password",
    "mslaps-encryptedpassword", "mslaps-encryptedpasswordhistory", "mslaps-encrypteddsrmpassword",
    "mslaps-encrypteddsrmpasswordhistory", "msfve-recoverypassword", "msfve-keypackage", "mspkiaccountcredentials",
    "mspkidpapimasterkeys",
))  # fmt: skip
# Bookkeeping that every write renews: that it is there counts, not what it says.
PRESENCE = frozenset(("replpropertymetadata", "repluptodatevector", "repsfrom", "repsto"))
LONGEST = 200
DIGEST = "secret:"  # how the digest of a secret begins
DNS_HEADER = 24  # bytes before the data (MS-DNSP 2.3.2.2)
DNS_TYPES = {
    dnsp.DNS_TYPE_A: "A", dnsp.DNS_TYPE_AAAA: "AAAA", dnsp.DNS_TYPE_NS: "NS", dnsp.DNS_TYPE_CNAME: "CNAME",
    dnsp.DNS_TYPE_PTR: "PTR", dnsp.DNS_TYPE_SOA: "SOA", dnsp.DNS_TYPE_SRV: "SRV", dnsp.DNS_TYPE_MX: "MX",
    dnsp.DNS_TYPE_TXT: "TXT", dnsp.DNS_TYPE_TOMBSTONE: "tombstone",
}  # fmt: skip
UNICODE_PWD = 0x9005A  # attributeID_id of unicodePwd: its version is the account's kvno


class Sink:
    """Writes records, one JSON object a line, and counts them."""

    def __init__(self, stream, key):
        self.stream = stream
        self.key = key
        self.known = set()
        self.counts = {}
        self.confidential = SECRET

    def record(self, area, key, name, values):
        """Put one thing down: what it is known by, what people call it, and its values by attribute."""
        self.counts[area] = self.counts.get(area, 0) + 1
        self.counts["values"] = self.counts.get("values", 0) + len(values)
        self.line({"area": area, "key": key, "name": name, "values": values})

    def line(self, body):
        """One line; what is known of a record comes first in it, because members are sorted."""
        json.dump(body, self.stream, sort_keys=True, separators=(",", ":"))
        self.stream.write("\n")

    def keyed(self, label):
        """A keyed digest; the label keeps equal secrets in two places apart, so that none can be found by another."""
        return hashlib.blake2b(os.fsencode(label) + b"\0", key=self.key, digest_size=16)

    def secret(self, label, data):
        """A secret's digest, which nobody can repeat without the key."""
        digest = self.keyed(label)
        digest.update(data)
        return DIGEST + digest.hexdigest()

    def descriptor(self, raw, parsed):
        """A security descriptor by its bytes; its SDDL is written once, for people."""
        name = "sd:" + hashlib.sha256(raw).hexdigest()[:32]
        if name not in self.known:
            self.known.add(name)
            self.line(
                {"area": "descriptors", "key": name, "name": name, "values": {"sddl": [parsed().as_sddl()]}}
            )
        return name


def plain(data):
    """A value as text if it is short and printable, else by its digest."""
    if len(data) <= LONGEST:
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            text = ""
        if text.isprintable() and text:
            return text
    return "sha256:%s (%d bytes)" % (hashlib.sha256(data).hexdigest()[:32], len(data))


def sid(data):
    return str(ndr_unpack(security.dom_sid, data))


def kvno(data):
    """The version of an account's password, which is the number of its Kerberos keys."""
    blob = ndr_unpack(drsblobs.replPropertyMetaDataBlob, data)
    return [str(one.version) for one in blob.ctr.array if one.attid == UNICODE_PWD]


def dns_record(data):
    """A DNS record, and apart from it what any dynamic update renews."""
    record = ndr_unpack(dnsp.DnssrvRpcRecord, data)
    kind, words, times = dns_words(record, data)
    state = "dynamic" if record.dwTimeStamp else "static"
    text = "%s %s ttl=%d rank=%d %s" % (kind, words, record.dwTtlSeconds, record.rank, state)
    return text, "%s %s serial=%d%s time=%d" % (kind, words, record.dwSerial, times, record.dwTimeStamp)


def dns_words(record, raw):
    """A record's type, its data, and what of them any dynamic update renews."""
    data, kind = record.data, DNS_TYPES.get(record.wType, "TYPE%d" % record.wType)
    if kind == "SOA":
        words = "%s %s %d %d %d %d" % (
            data.mname,
            data.rname,
            data.refresh,
            data.retry,
            data.expire,
            data.minimum,
        )
        return kind, words, " soa=%d" % data.serial
    words = {
        "SRV": lambda: "%d %d %d %s" % (data.wPriority, data.wWeight, data.wPort, data.nameTarget),
        "MX": lambda: "%d %s" % (data.wPriority, data.nameTarget),
        "TXT": lambda: " ".join(json.dumps(word) for word in data.str),
        "tombstone": lambda: "",
    }.get(kind, lambda: str(data) if record.wType in DNS_TYPES else plain(raw[DNS_HEADER:]))
    return kind, words(), ""

"""Runs inside a running DC: fills its domain with what a real one has.

Standard input is JSON: {"users", "bound", "address", "administrator", "password", "seed"}. The last line printed is
JSON: what was made. Users, groups and descriptors go in by the directory's own modules in one transaction, which is
a hundred times faster than a process each; what samba-tool does elsewhere than in the directory, samba-tool does.
"""

import json
import os
import sys

import ldb
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

OU = "OU=Content"
POLICY = "Content policy"
STAFF = 50  # members of a group
DISABLED, NORMAL = "514", "512"
PHOTO = bytes(range(256)) * 24
# What a name may hold that a careless comparison stumbles over: other scripts, commas, quotes, a trailing sign.
NAMES = ("Jürgen Müßig", "Łukasz Żółć", "O'Brien, Ann", "山田 太郎", 'Bob "Bobby" Roe', "a+b=c #1")

# 1.3.6.1.4.1.32473 is IANA's number for examples (RFC 5612).
SCHEMA = (
    """dn: CN=Galaxy-Content-Note,%(folder)s
objectClass: attributeSchema
lDAPDisplayName: galaxyContentNote
attributeID: 1.3.6.1.4.1.32473.3.1
attributeSyntax: 2.5.5.12
oMSyntax: 64
isSingleValued: TRUE
searchFlags: 1
""",
    """dn: CN=Galaxy-Content-Thing,%(folder)s
objectClass: classSchema
lDAPDisplayName: galaxyContentThing
governsID: 1.3.6.1.4.1.32473.3.2
subClassOf: top
objectClassCategory: 1
mayContain: galaxyContentNote
possSuperiors: container
""",
)


def do(*words):
    """Do what samba-tool does with these words; the script ends when it cannot."""
    code = samba_tool(*words)  # noqa: F821 - put before this
    if code:
        sys.exit("samba-tool %s ended with %s" % (" ".join(words[:3]), code))


class Maker:
    """Makes the content of one domain."""

    def __init__(self, asked):
        self.asked = asked
        lp = LoadParm()
        lp.load_default()
        lp.set("dsdb:schema update allowed", "yes")
        self.samdb = SamDB(session_info=system_session(), lp=lp)
        self.base = str(self.samdb.get_default_basedn())
        self.domain = self.samdb.domain_dns_name()
        self.credentials = ["-U", "%s%%%s" % (asked["administrator"], asked["password"])]
        self.accounts = {}

    def schema(self):
        """An attribute and a class of one's own, as LAPS and mail servers bring them, and an object that has both."""
        folder = "CN=Schema,CN=Configuration," + self.base
        for ldif in SCHEMA:
            self.samdb.add_ldif(ldif % {"folder": folder})
            self.samdb.set_schema_update_now()
        thing = {"objectClass": "galaxyContentThing", "galaxyContentNote": "geprüft"}
        self.samdb.add({"dn": "CN=Content Thing,CN=Users," + self.base, **thing})

    def password(self, number):
        return "Aa1-%s-%d" % (self.asked["seed"], number)

    def dn(self, name, folder):
        dn = ldb.Dn(self.samdb, "OU=%s,%s,%s" % (folder, OU, self.base))
        dn.add_child(ldb.Dn(self.samdb, "CN=x"))
        dn.set_component(0, "CN", name)
        return dn

    def directory(self):
        """Organisational units, users and nested groups; all of it is there or none."""
        self.samdb.transaction_start()
        try:
            for folder in ("", "OU=People,", "OU=Groups,", "OU=Hosts,"):
                self.samdb.add(
                    {"dn": "%s%s,%s" % (folder, OU, self.base), "objectClass": "organizationalUnit"}
                )
            people = [self.user(number) for number in range(self.asked["users"])]
            self.groups(people)
            self.odd_ones()
        except BaseException:
            self.samdb.transaction_cancel()
            raise
        self.samdb.transaction_commit()

    def user(self, number):
        """A user; the first ones have a password and can log on, which is what takes the time."""
        account = "user%05d" % number
        name = NAMES[number] if number < len(NAMES) else "User %05d" % number
        dn = self.dn(name, "People")
        entry = {
            "dn": dn,
            "objectClass": "user",
            "sAMAccountName": account,
            "userPrincipalName": "%s@%s" % (account, self.domain),
            "displayName": name,
            "mail": "%s@%s" % (account, self.domain),
            "telephoneNumber": ["+49 30 %07d" % number],
            "uidNumber": str(20000 + number),
            "gidNumber": "20000",
            "userAccountControl": DISABLED,
        }
        if number < self.asked["bound"]:
            self.accounts[account] = self.password(number)
            entry["unicodePwd"] = ('"%s"' % self.accounts[account]).encode("utf-16-le")
            entry["userAccountControl"] = NORMAL
        self.samdb.add(entry)
        return dn

    def groups(self, people):
        """A group for every STAFF users, a tree over them, and a circle at its top, as directories allow."""
        made = []
        for start in range(0, max(len(people), 1), STAFF):
            made.append(self.group("staff%04d" % (start // STAFF), people[start : start + STAFF]))
        level = 0
        while len(made) > 1:
            level += 1
            made = [self.group("level%d-%03d" % (level, start // 10), made[start : start + 10])
                    for start in range(0, len(made), 10)]  # fmt: skip
        top = self.group("everybody", made)
        self.samdb.modify(change(self.samdb, made[0], "member", [str(top)]))

    def group(self, name, members):
        dn = self.dn(name, "Groups")
        entry = {"dn": dn, "objectClass": "group", "sAMAccountName": name}
        if members:
            entry["member"] = [str(member) for member in members]
        self.samdb.add(entry)
        return dn

    def odd_ones(self):
        """A photo, a contact, a secret, deleted objects."""
        first = self.dn(NAMES[0], "People") if self.asked["users"] else None
        if first is not None:
            self.samdb.modify(change(self.samdb, first, "thumbnailPhoto", PHOTO))
        self.samdb.add(
            {"dn": self.dn("A contact", "People"), "objectClass": "contact", "mail": "a@example.org"}
        )
        # As LSA keeps its secrets, the keys of the users' own data among them.
        secret = "CN=Content Secret,CN=System," + self.base
        self.samdb.add({"dn": secret, "objectClass": "secret", "currentValue": self.password(-2).encode()})
        for number in range(3):
            gone = self.dn("gone%d" % number, "People")
            self.samdb.add({"dn": gone, "objectClass": "user", "sAMAccountName": "gone%d" % number})
            self.samdb.delete(gone)

    def host(self):
        """A computer with a service name and a keytab of its own; it lies beside the server's, where root reads."""
        name = "files1"
        do("computer", "create", name, "--computerou=OU=Hosts,%s" % OU)
        # Created without one it has no keys, and newer versions refuse to export none.
        do("user", "setpassword", name + "$", "--newpassword=" + self.password(-1))
        do("spn", "add", "cifs/%s.%s" % (name, self.domain), name + "$")
        keytab = "/var/lib/samba/private/content.keytab"
        do("domain", "exportkeytab", keytab, "--principal=%s$" % name)
        return keytab

    def rights(self):
        """A right on an organisational unit that nobody gives by default: full control for everybody's group."""
        sid = self.samdb.search(self.dn("everybody", "Groups"), ldb.SCOPE_BASE, attrs=["objectSid"])[0][
            "objectSid"
        ][0]
        text = self.samdb.schema_format_value("objectSid", sid).decode()
        do("dsacl", "set", "--objectdn=OU=Hosts,%s,%s" % (OU, self.base), "--sddl=(A;CI;RPWPCR;;;%s)" % text)

    def policy(self):
        """A group policy object with files, linked to the users' unit, and a logon script."""
        where = ["-H", "ldap://" + self.asked["address"], *self.credentials]
        do("gpo", "create", POLICY, *where)
        found = self.samdb.search(
            "CN=Policies,CN=System," + self.base, expression="(displayName=%s)" % POLICY
        )
        guid = str(found[0]["cn"])
        do("gpo", "setlink", "OU=People,%s,%s" % (OU, self.base), guid, *where)
        sysvol = "/var/lib/samba/sysvol/%s" % self.domain
        files = {
            "%s/Policies/%s/User/Registry.pol" % (sysvol, guid): b"PReg\x01\x00\x00\x00",
            "%s/scripts/logon.cmd" % sysvol: b"@echo off\r\nnet use z: \\\\files1\\home\r\n",
        }
        for path, data in files.items():
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as sink:
                sink.write(data)
            do(
                "ntacl",
                "set",
                "O:LAG:BAD:P(A;;0x001f01ff;;;BA)(A;;0x001f01ff;;;SY)(A;;0x001200a9;;;AU)",
                path,
            )
        return {"guid": guid, "files": sorted(files)}

    def names(self):
        """DNS records of every kind, and a reverse zone."""
        zone = "0.0.10.in-addr.arpa"
        records = [
            (self.domain, "files1", "A", "10.0.0.7"),
            (self.domain, "files1", "AAAA", "2001:db8::7"),
            (self.domain, "www", "CNAME", "files1.%s" % self.domain),
            (self.domain, "@", "MX", "files1.%s 10" % self.domain),
            (self.domain, "_imap._tcp", "SRV", "files1.%s 143 0 100" % self.domain),
            (self.domain, "text", "TXT", "'v=spf1 -all'"),
            (zone, "7", "PTR", "files1.%s" % self.domain),
        ]
        do("dns", "zonecreate", self.asked["address"], zone, *self.credentials)
        for where, name, kind, data in records:
            do("dns", "add", self.asked["address"], where, name, kind, data, *self.credentials)
        return ["%s.%s %s" % (name, where, kind) for where, name, kind, _ in records]


def change(samdb, dn, attribute, values):
    message = ldb.Message(dn if isinstance(dn, ldb.Dn) else ldb.Dn(samdb, str(dn)))
    message[attribute] = ldb.MessageElement(values, ldb.FLAG_MOD_ADD, attribute)
    return message


def run():
    maker = Maker(json.loads(sys.stdin.read()))
    maker.schema()
    maker.directory()
    keytab = maker.host()
    maker.rights()
    policy, records = maker.policy(), maker.names()
    print()
    print(json.dumps({"accounts": maker.accounts, "keytab": keytab, "policy": policy, "records": records}))


run()

"""Ways to spoil a copy's data, one at a time, each with what a comparison must say of it.

A spoil is a Python script that runs in the copy's image after OPEN.
"""

OPEN = """
import os
import ldb
from samba.samdb import SamDB
from samba.auth import system_session
from samba.param import LoadParm
lp = LoadParm(); lp.load_default()
session = system_session()
P = "/var/lib/samba/private/"
def sam(): return SamDB(session_info=session, lp=lp)
def dn(db, what): return db.search(db.domain_dn(), ldb.SCOPE_SUBTREE, what, attrs=["1.1"])[0].dn
def replace(db, where, attribute, values):
    message = ldb.Message(where)
    message[attribute] = ldb.MessageElement(values, ldb.FLAG_MOD_REPLACE, attribute)
    db.modify(message)
ZONES = "DC=DomainDnsZones,"
def node(db, name):
    return db.search(ZONES + db.domain_dn(), ldb.SCOPE_SUBTREE, "(&(objectClass=dnsNode)(dc=%s))" % name)[0]
def sysvol(end):
    for where, _, files in os.walk("/var/lib/samba/sysvol"):
        for file in files:
            if file.endswith(end): return os.path.join(where, file)
"""
# name: (what is done, a regular expression for what must be said)
SPOILS: dict[str, tuple[str, str]] = {
    "user-deleted": (
        r"""
db = sam()
db.delete(dn(db, "(sAMAccountName=user00050)"))
""",
        "^CN=User 00050,OU=People,OU=Content,DC=data,DC=example,DC=org: is deleted$",
    ),
    "user-purged": (
        r"""
file = next(f for f in os.listdir(P + "sam.ldb.d") if f.upper() == "DC=DATA,DC=EXAMPLE,DC=ORG.LDB")
db = ldb.Ldb("tdb://" + P + "sam.ldb.d/" + file, options=["modules:"])
db.delete(db.search(expression="(sAMAccountName=user00050)", attrs=["cn"])[0].dn)
""",
        "^CN=User 00050,OU=People,OU=Content,DC=data,DC=example,DC=org: is lost$",
    ),
    "member-dropped": (
        r"""
db = sam()
db.add_remove_group_members("staff0001", ["user00050"], add_members_operation=False)
""",
        "CN=staff0001,OU=Groups,OU=Content,DC=data,DC=example,DC=org: member lost CN=User 00050,OU=People,",
    ),
    "nested-group-dropped": (
        r"""
db = sam()
db.add_remove_group_members("everybody", ["level1-000"], add_members_operation=False)
""",
        "CN=everybody,OU=Groups,OU=Content,DC=data,DC=example,DC=org: member is lost|member lost CN=level1-000",
    ),
    "user-renamed": (
        r"""
db = sam()
old = dn(db, "(sAMAccountName=user00050)")
db.rename(old, str(old).replace("User 00050", "Other"))
""",
        "CN=User 00050,OU=People,OU=Content,DC=data,DC=example,DC=org: is now called CN=Other",
    ),
    "attribute-changed": (
        r"""
db = sam()
replace(db, dn(db, "(sAMAccountName=user00000)"), "displayName", ["X"])
""",
        "displayName changed from Jürgen Müßig to X",
    ),
    "photo-lost": (
        r"""
db = sam()
replace(db, dn(db, "(sAMAccountName=user00000)"), "thumbnailPhoto", [])
""",
        "thumbnailPhoto lost sha256:",
    ),
    "password-changed": (
        r"""
db = sam()
db.setpassword("(sAMAccountName=user00001)", "Other.Passw0rd-1")
""",
        "CN=Łukasz Żółć,OU=People,OU=Content,DC=data,DC=example,DC=org: unicodePwd changed",
    ),
    "account-enabled": (
        r"""
db = sam()
replace(db, dn(db, "(sAMAccountName=user00050)"), "userAccountControl", ["546"])
""",
        "userAccountControl changed from 514 to 546",
    ),
    "right-given": (
        r"""
db = sam()
from samba.sd_utils import SDUtils
SDUtils(db).dacl_add_ace("OU=Hosts,OU=Content," + db.domain_dn(), "(A;;GA;;;AN)")
""",
        r"OU=Hosts,OU=Content,DC=data,DC=example,DC=org: nTSecurityDescriptor has new \(A;;[A-Z]+;;;AN\)$",
    ),
    "dns-record-dropped": (
        r"""
db = sam()
db.delete(node(db, "www").dn)
""",
        "^DC=www,DC=data.example.org,CN=MicrosoftDNS,DC=DomainDnsZones,DC=data,DC=example,DC=org: is deleted$",
    ),
    "dns-value-dropped": (
        r"""
db = sam()
found = node(db, "files1")
replace(db, found.dn, "dnsRecord", [found["dnsRecord"][0]])
""",
        "DC=files1,DC=data.example.org,.*: dnsRecord lost (A 10.0.0.7|AAAA)",
    ),
    "policy-changed": (
        r"""
db = sam()
replace(db, dn(db, "(displayName=Content policy)"), "versionNumber", ["65536"])
""",
        "CN=Policies,CN=System,DC=data,DC=example,DC=org: versionNumber changed from 0 to 65536",
    ),
    "policy-file-edited": (
        r"""
open(sysvol("Registry.pol"), "ab").write(b"x")
""",
        "User/Registry.pol: content changed",
    ),
    "script-lost": (
        r"""
os.unlink(sysvol("logon.cmd"))
""",
        "/scripts/logon.cmd: is lost",
    ),
    "ntacl-flipped": (
        r"""
p = sysvol("logon.cmd")
old = os.getxattr(p, "security.NTACL")
os.setxattr(p, "security.NTACL", old[:-1] + bytes([old[-1] ^ 1]))
""",
        r"/scripts/logon.cmd: NTACL lost .*;AU\), has new ",
    ),
    "ntacl-lost": (
        r"""
os.removexattr(sysvol("logon.cmd"), "security.NTACL")
""",
        "/scripts/logon.cmd: NTACL lost",
    ),
    "posix-acl-lost": (
        r"""
os.removexattr(sysvol("GPT.INI"), "system.posix_acl_access")
""",
        "GPT.INI: POSIX ACL lost",
    ),
    "owner-changed": (
        r"""
os.chown(sysvol("GPT.INI"), 12, 12)
""",
        "GPT.INI: owner changed from .* to 12:12",
    ),
    "keytab-entry-lost": (
        r"""
p = P + "content.keytab"
d = open(p, "rb").read()
n = int.from_bytes(d[2:6], "big")
open(p, "wb").write(d[:2] + d[6 + n:])
""",
        r"content.keytab: files1\$@DATA.EXAMPLE.ORG kvno [0-9]+ enctype [0-9]+: is lost",
    ),
    "keytab-key-changed": (
        r"""
p = P + "secrets.keytab"
d = bytearray(open(p, "rb").read())
n = int.from_bytes(d[2:6], "big")
d[6 + n - 9] ^= 1
open(p, "wb").write(d)
""",
        "secrets.keytab: .*: key changed",
    ),
    "idmap-changed": (
        r"""
db = ldb.Ldb(P + "idmap.ldb")
found = db.search(expression="(objectClass=sidMap)")[0]
replace(db, found.dn, "xidNumber", ["3999999"])
""",
        r"idmap\.ldb CN=S-1-.*: xidNumber changed from \d+ to 3999999",
    ),
    "idmap-lost": (
        r"""
db = ldb.Ldb(P + "idmap.ldb")
db.delete(db.search(expression="(objectClass=sidMap)")[0].dn)
""",
        r"idmap\.ldb CN=S-1-.*: is lost",
    ),
    "machine-secret-changed": (
        r"""
from samba import Ldb
db = Ldb(P + "secrets.ldb", lp=lp, session_info=session)
found = db.search(expression="(objectClass=primaryDomain)")[0]
replace(db, found.dn, "secret", ["other"])
""",
        r"secrets\.ldb flatname=DATA,cn=Primary Domains: secret changed",
    ),
    "machine-kvno-changed": (
        r"""
db = sam()
db.setpassword("(sAMAccountName=DC1$)", "Other.Passw0rd-1")
""",
        "CN=DC1,OU=Domain Controllers,DC=data,DC=example,DC=org: kvno changed from 1 to 2",
    ),
    "trust-secret-changed": (
        r"""
import tdb
db = tdb.open(P + "secrets.tdb")
key = [k for k in db if b"SECRETS/SID" in k][0]
db.store(key, b"x", tdb.REPLACE)
db.close()
""",
        "secrets.tdb: SECRETS/SID/.*: value changed",
    ),
    "tls-key-replaced": (
        r"""
open(P + "tls/key.pem", "w").write("other")
""",
        "private/tls/key.pem: content changed",
    ),
    "configuration-edited": (
        r"""
open("/etc/samba/smb.conf", "a").write("#")
""",
        "/etc/samba/smb.conf: content changed",
    ),
}

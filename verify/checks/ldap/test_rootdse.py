"""What a server tells about itself, to anybody and to those it knows."""

from verify.check import check
from verify.clients.ldap import Ldap, refused
from verify.target import Target

# MS-ADTS 3.1.1.3.4.3: Active Directory, and its versions up to 2008 R2.
_CAPABILITIES = {"1.2.840.113556.1.4.800", "1.2.840.113556.1.4.1670", "1.2.840.113556.1.4.1935"}
# Paged results, DirSync, tree delete, show deleted: clients look for these before they use them.
_CONTROLS = {
    "1.2.840.113556.1.4.319",
    "1.2.840.113556.1.4.841",
    "1.2.840.113556.1.4.805",
    "1.2.840.113556.1.4.417",
}


@check("ldap.rootdse", loses="no client could find out which domain this server serves", tier="smoke")
def test_rootdse(ldap: Ldap, target: Target) -> None:
    root = ldap.anonymous().read("", ["defaultNamingContext", "dnsHostName", "isSynchronized"])
    assert root.one("defaultNamingContext").lower() == target.base_dn.lower()
    assert root.one("dnsHostName").lower() == target.fqdn
    assert root.one("isSynchronized") == "TRUE", "the server says that it is not synchronized yet"


@check("ldap.naming-contexts", loses="the schema, the configuration or the DNS zones could not be found")
def test_naming_contexts(ldap: Ldap, target: Target) -> None:
    root = ldap.anonymous().read("", ["namingContexts"])
    base = target.base_dn.lower()
    configuration = f"cn=configuration,{base}"
    wanted = {
        base,
        configuration,
        f"cn=schema,{configuration}",
        f"dc=domaindnszones,{base}",
        f"dc=forestdnszones,{base}",
    }
    missing = wanted - {name.lower() for name in root.all("namingContexts")}
    assert not missing, f"rootDSE names no {sorted(missing)}"


@check("ldap.capabilities", loses="Windows clients would not take this server for a domain controller")
def test_capabilities(ldap: Ldap) -> None:
    root = ldap.anonymous().read("", ["supportedCapabilities", "supportedControl", "supportedSASLMechanisms"])
    assert set(root.all("supportedCapabilities")) >= _CAPABILITIES
    assert set(root.all("supportedControl")) >= _CONTROLS
    assert set(root.all("supportedSASLMechanisms")) >= {"GSSAPI", "GSS-SPNEGO"}


@check("ldap.whoami", loses="applications could not ask as whom they are logged in")
def test_whoami(ldap: Ldap, target: Target) -> None:
    if not target.since("4.21"):
        with refused(2, saying="not supported"):
            ldap.admin.whoami()
        return
    answer = ldap.admin.whoami()
    assert answer.lower() == f"u:{target.domain}\\{target.admin_user}".lower(), (
        f"the server calls us {answer}"
    )


@check("ldap.anonymous-refused", loses="anybody on the network could read the directory", tier="smoke")
def test_anonymous_refused(ldap: Ldap, target: Target) -> None:
    session = ldap.anonymous()
    with refused(1, saying="Operation unavailable without authentication"):
        session.search(target.base_dn, "(objectClass=user)", ["cn"])


@check("ldap.schema", loses="clients that read the schema before they write could not work")
def test_schema(ldap: Ldap) -> None:
    where = ldap.admin.read("", ["subschemaSubentry"]).one("subschemaSubentry")
    schema = ldap.admin.read(where, ["objectClasses", "attributeTypes"])
    classes, types = schema.all("objectClasses"), schema.all("attributeTypes")
    assert any("NAME 'user'" in definition for definition in classes), f"no class user among {len(classes)}"
    assert any("NAME 'sAMAccountName'" in definition for definition in types), (
        f"no sAMAccountName among {len(types)} attributes"
    )

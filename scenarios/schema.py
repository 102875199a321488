"""A schema of one's own, as LAPS and mail servers bring it: an attribute and a class, made at one DC."""

import secrets

from scenarios.partners import Partner

# The number that IANA keeps for examples (RFC 5612).
_OID = "1.3.6.1.4.1.32473"
# Samba asks who extends a schema to say that they mean it, and to do it at the schema master itself.
_ALLOWED = "--option=dsdb:schema update allowed=true"
_UNICODE = {"attributeSyntax": "2.5.5.12", "oMSyntax": "64"}


def extend(master: Partner) -> tuple[str, str]:
    """Add an indexed attribute, and a class that may have it, to the schema; their LDAP names."""
    number = secrets.randbelow(2**28)
    attribute, kind = f"galaxyNote{number}", f"galaxyThing{number}"
    _add(
        master,
        attribute,
        {
            "objectClass": "attributeSchema",
            "attributeID": f"{_OID}.1.{number}",
            "isSingleValued": "TRUE",
            "searchFlags": "1",
            **_UNICODE,
        },
    )
    _heed(master)
    _add(
        master,
        kind,
        {
            "objectClass": "classSchema",
            "governsID": f"{_OID}.2.{number}",
            "subClassOf": "top",
            "objectClassCategory": "1",
            "mayContain": attribute,
            "possSuperiors": "container",
        },
    )
    _heed(master)
    return attribute, kind


def extended(a: Partner, b: Partner) -> None:
    """Both DCs know what was added at the schema master `a`: objects made at either are found at the other."""
    attribute, kind = extend(a)
    b.pull(a, [f"CN=Schema,CN=Configuration,{a.target.base_dn}"])
    for source, other in ((a, b), (b, a)):
        name, word = f"thing-{secrets.token_hex(3)}", secrets.token_hex(8)
        dn = f"CN={name},CN=Users,{source.target.base_dn}"
        source.admin.add(dn, {"objectClass": kind, attribute: word})
        other.pull(source)
        found = other.admin.search(other.target.base_dn, f"({attribute}={word})", ["cn"])
        assert [entry.one("cn") for entry in found] == [name], (
            f"{kind} of {source.hostname} is not found at {other.hostname} by its {attribute}"
        )


def _add(master: Partner, name: str, attributes: dict[str, str]) -> None:
    assert master.target.shell is not None
    lines = {
        "dn": f"CN={name},CN=Schema,CN=Configuration,{master.target.base_dn}",
        "lDAPDisplayName": name,
        **attributes,
    }
    text = "".join(f"{key}: {value}\n" for key, value in lines.items())
    done = master.target.shell("ldbadd", "-H", "/var/lib/samba/private/sam.ldb", _ALLOWED, stdin=text)
    assert done.returncode == 0, f"{name} cannot be added to the schema: {done.output.strip()}"


def _heed(master: Partner) -> None:
    """Let the DC read its schema anew (MS-ADTS 3.1.1.3.3.13, schemaUpdateNow)."""
    import ldap3  # noqa: PLC0415 - see scenarios.partners

    master.admin.modify("", {"schemaUpdateNow": (ldap3.MODIFY_ADD, ["1"])})

"""Finding things: the controls and filters that applications and other domain controllers rely on."""

import re

from verify.bench import Bench, unique
from verify.check import check
from verify.clients import controls
from verify.clients.descriptor import sid_text
from verify.clients.ldap import Ldap, refused
from verify.target import Target

_IN_CHAIN = "1.2.840.113556.1.4.1941"
_BIT_AND = "1.2.840.113556.1.4.803"


@check("ldap.paged", loses="lists longer than a page would be cut short")
def test_paged_results(bench: Bench) -> None:
    ou = f"OU={unique('go')},{bench.ou}"
    wanted = {f"CN={unique('gc')},{ou}" for _ in range(5)}
    bench.admin.add(ou, {"objectClass": "organizationalUnit"})
    for dn in wanted:
        bench.admin.add(dn, {"objectClass": "contact"})
    found: list[str] = []
    cookie, pages = b"", 0
    while pages == 0 or (cookie and pages < 10):
        page = bench.admin.search(ou, "(objectClass=contact)", ["cn"], controls=[controls.paged(2, cookie)])
        assert len(page) <= 2, f"a page of at most 2 has {len(page)} objects"
        cookie, pages = controls.page_cookie(bench.admin), pages + 1
        found += [entry.dn for entry in page]
    assert not cookie, f"5 objects do not end with {pages} pages of 2"
    assert sorted(found) == sorted(wanted), (
        f"{len(wanted - set(found))} of 5 are on no page, and there are {found}"
    )


@check("ldap.sort", loses="address books would come in no order")
def test_server_side_sort(bench: Bench) -> None:
    dn = _family(bench)
    found = bench.admin.search(
        dn, "(objectClass=contact)", ["cn"], controls=[controls.sort("cn", reverse=True)]
    )
    assert [entry.one("cn") for entry in found] == ["delta", "charlie", "bravo", "alpha"]


@check("ldap.vlv", loses="address books could not be scrolled", tier="full")
def test_virtual_list_view(bench: Bench) -> None:
    dn = _family(bench)
    found = bench.admin.search(
        dn, "(objectClass=contact)", ["cn"], controls=[controls.sort("cn"), controls.window(2, after=1)]
    )
    assert [entry.one("cn") for entry in found] == ["bravo", "charlie"]
    assert controls.window_position(bench.admin) == (2, 4, 0), "expected place 2 of 4 and success"


@check("ldap.in-chain", loses="members of nested groups would not get what the outer group may")
def test_nested_membership(bench: Bench) -> None:
    user = bench.user
    outer = bench.group(bench.group(bench.group(user.dn)))
    query = f"(&(sAMAccountName={user.name})(memberOf:{_IN_CHAIN}:={outer}))"
    assert len(bench.admin.search(bench.ou, query, ["cn"])) == 1, "three groups deep, and not found"
    direct = f"(&(sAMAccountName={user.name})(memberOf={outer}))"
    assert bench.admin.search(bench.ou, direct, ["cn"]) == [], "found without the in-chain rule"


@check("ldap.bitwise", loses="tools could not tell disabled accounts from enabled ones")
def test_bitwise_rule(bench: Bench) -> None:
    enabled, disabled = bench.account(), bench.account(control=0x202)
    query = f"(userAccountControl:{_BIT_AND}:=2)"
    names = {entry.one("sAMAccountName") for entry in bench.admin.search(bench.ou, query, ["sAMAccountName"])}
    assert disabled.name in names, "a disabled account is not found"
    assert enabled.name not in names, "an enabled account is found as disabled"


@check("ldap.anr", loses="people could not be found by part of their name")
def test_ambiguous_name_resolution(bench: Bench) -> None:
    user = bench.account(givenName="Galaxina", sn="Verify")
    found = bench.admin.search(bench.ou, "(anr=galaxina ver)", ["sAMAccountName"])
    assert user.name in {entry.one("sAMAccountName") for entry in found}


@check("ldap.guid-and-sid", loses="references by GUID or SID, as in group policies, would lead nowhere")
def test_base_by_guid_and_sid(bench: Bench, target: Target) -> None:
    user = bench.user
    guid = bench.admin.read(user.dn, ["objectGUID"]).raw("objectGUID")
    for base in (f"<GUID={guid.hex()}>", f"<SID={user.sid.hex()}>"):
        assert bench.admin.read(base, ["cn"]).dn.lower() == user.dn.lower(), f"{base} is another object"
    found = bench.admin.search(target.base_dn, f"(objectSid={sid_text(user.sid)})", ["cn"])
    assert [entry.dn.lower() for entry in found] == [user.dn.lower()]


@check("ldap.extended-dn", loses="replication tools and Windows consoles could not follow references")
def test_extended_dn(bench: Bench) -> None:
    user = bench.user
    group = bench.group(user.dn)
    member = bench.admin.read(group, ["member"], controls=[controls.extended_dn()]).one("member")
    assert re.match(r"<GUID=[0-9a-f-]{36}>;<SID=S-1-5-21-[0-9-]+>;CN=", member), f"member is {member}"


@check("ldap.sd-flags", loses="administrators could not read or delegate permissions")
def test_security_descriptor_flags(bench: Bench) -> None:
    name = "nTSecurityDescriptor"
    whole = bench.admin.read(bench.ou, [name], controls=[controls.sd_flags(0x7)]).raw(name)
    owner = bench.admin.read(bench.ou, [name], controls=[controls.sd_flags(0x1)]).raw(name)
    assert _offsets(owner)[0] != 0, "asked for the owner, got none"
    assert _offsets(owner)[3] == 0, "asked for the owner only, got a DACL too"
    assert all(_offsets(whole)[place] for place in (0, 1, 3)), "owner, group or DACL is missing"


def _offsets(descriptor: bytes) -> tuple[int, int, int, int]:
    """Where owner, group, SACL and DACL are in a security descriptor, 0 when absent (MS-DTYP 2.4.6)."""
    words = [int.from_bytes(descriptor[place : place + 4], "little") for place in (4, 8, 12, 16)]
    return (words[0], words[1], words[2], words[3])


@check("ldap.dirsync", loses="identity systems that follow changes would see none", tier="full")
def test_dirsync(bench: Bench, target: Target) -> None:
    user = bench.account(description="made")
    # Naming the account keeps the first round small; the cookie covers everything all the same.
    query = f"(sAMAccountName={user.name})"
    first = bench.admin.search(target.base_dn, query, ["description"], controls=[controls.dirsync()])
    assert [entry.dn.lower() for entry in first] == [user.dn.lower()]
    cookie = controls.dirsync_cookie(bench.admin)
    bench.admin.set(user.dn, description="changed")
    second = bench.admin.search(target.base_dn, query, ["description"], controls=[controls.dirsync(cookie)])
    assert [entry.one("description") for entry in second] == ["changed"], "the change did not come"
    cookie = controls.dirsync_cookie(bench.admin)
    third = bench.admin.search(target.base_dn, query, ["description"], controls=[controls.dirsync(cookie)])
    assert third == [], "nothing changed, and something came"


@check("ldap.dirsync-refused", loses="any user could follow all changes of the directory, secrets too")
def test_dirsync_refused_to_users(ldap: Ldap, bench: Bench, target: Target) -> None:
    user = bench.user
    session = ldap.login(user.principal, user.password)
    with refused(50):
        session.search(target.base_dn, "(sAMAccountName=*)", ["cn"], controls=[controls.dirsync()])


@check("ldap.attribute-scope", loses="members' attributes would need a question for each member", tier="full")
def test_attribute_scoped_query(bench: Bench) -> None:
    users = [bench.account(), bench.account()]
    group = bench.group(*(user.dn for user in users))
    found = bench.admin.search(
        group,
        "(objectClass=user)",
        ["sAMAccountName"],
        scope="BASE",
        controls=[controls.attribute_scope("member")],
    )
    assert {entry.one("sAMAccountName") for entry in found} == {user.name for user in users}


@check("ldap.range", loses="big groups would lose members in clients that read them in ranges")
def test_range_retrieval(bench: Bench) -> None:
    group = bench.group(*(bench.group() for _ in range(4)))
    first = bench.admin.read(group, ["member;range=0-1"])
    assert len(first.all("member;range=0-1")) == 2, f"asked for two members, got {dict(first.attributes)}"
    rest = bench.admin.read(group, ["member;range=2-*"])
    assert len(rest.all("member;range=2-*")) == 2, f"two members are left, got {dict(rest.attributes)}"


@check("ldap.constructed", loses="tools that show lockouts, token groups and paths would show nothing")
def test_constructed_attributes(bench: Bench, target: Target) -> None:
    user = bench.user
    group = bench.group(user.dn)
    sid = bench.admin.read(group, ["objectSid"]).raw("objectSid")
    names = ["tokenGroups", "canonicalName", "msDS-User-Account-Control-Computed", "createTimeStamp"]
    entry = bench.admin.read(user.dn, names)
    assert sid in entry.attributes["tokengroups"], "tokenGroups lacks a group of the user"
    assert entry.one("canonicalName").startswith(f"{target.dns_domain}/"), entry.one("canonicalName")
    assert entry.one("msDS-User-Account-Control-Computed") == "0", "a good account is locked or expired"
    assert entry.one("createTimeStamp").endswith("Z")


@check("ldap.gc-subset", loses="the global catalogue would hold more or less than the schema says")
def test_global_catalogue_subset(ldap: Ldap, bench: Bench) -> None:
    user = bench.account(displayName="In the catalogue", roomNumber="Not in the catalogue")
    session = ldap.as_admin(port=3268)
    entry = session.read(user.dn, ["displayName", "roomNumber"])
    assert entry.one("displayName") == "In the catalogue"
    assert entry.one("roomNumber") == "", "an attribute outside the partial attribute set is in the catalogue"


@check("ldap.confidential", loses="any user could read what the schema calls confidential")
def test_confidential_attribute(ldap: Ldap, bench: Bench) -> None:
    secret, reader = bench.account(), bench.user
    # unixUserPassword is confidential in the shipped schema (searchFlags bit 0x80).
    bench.admin.set(secret.dn, unixUserPassword="hidden")
    assert bench.admin.read(secret.dn, ["unixUserPassword"]).one("unixUserPassword") == "hidden"
    session = ldap.login(reader.principal, reader.password)
    entry = session.read(secret.dn, ["unixUserPassword", "cn"])
    assert entry.one("cn") == secret.name
    assert entry.one("unixUserPassword") == "", "a user reads another's confidential attribute"
    assert session.search(bench.ou, "(unixUserPassword=hid*)", ["cn"]) == [], "and may search by it"


@check("ldap.secrets-hidden", loses="password hashes could be read over LDAP")
def test_secrets_never_leave(bench: Bench) -> None:
    user = bench.user
    names = ["unicodePwd", "supplementalCredentials", "ntPwdHistory", "dBCSPwd", "cn"]
    entry = bench.admin.read(user.dn, names)
    assert entry.one("cn") == user.name
    leaked = [name for name in names[:-1] if entry.raw(name)]
    assert not leaked, f"the administrator reads {leaked}"


def _family(bench: Bench) -> str:
    """An OU with four contacts."""
    dn = f"OU={unique('gf')},{bench.ou}"
    bench.admin.add(dn, {"objectClass": "organizationalUnit"})
    for name in ("charlie", "alpha", "delta", "bravo"):
        bench.admin.add(f"CN={name},{dn}", {"objectClass": "contact"})
    return dn

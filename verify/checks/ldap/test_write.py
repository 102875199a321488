"""Changing things, and what must not be changed."""

import ldap3

from verify.bench import Bench, unique
from verify.check import check
from verify.clients.descriptor import sid_text
from verify.clients.ldap import SHOW_DELETED, Ldap, refused
from verify.target import Target


@check("ldap.round-trip", loses="nothing in the directory could be changed", tier="smoke")
def test_add_modify_delete(bench: Bench) -> None:
    dn = f"CN={unique('gc')},{bench.ou}"
    bench.admin.add(dn, {"objectClass": "contact", "description": "made"})
    bench.admin.modify(
        dn,
        {
            "description": (ldap3.MODIFY_REPLACE, ["chängéd"]),
            "telephoneNumber": (ldap3.MODIFY_ADD, ["+49 30 1"]),
        },
    )
    entry = bench.admin.read(dn, ["description", "telephoneNumber"])
    assert (entry.one("description"), entry.one("telephoneNumber")) == ("chängéd", "+49 30 1")
    bench.admin.delete(dn)
    with refused(32):
        bench.admin.read(dn)


@check("ldap.errors", loses="clients would take failed changes for good ones")
def test_refusals_have_their_codes(bench: Bench) -> None:
    dn = f"CN={unique('gc')},{bench.ou}"
    bench.admin.add(dn, {"objectClass": "contact"})
    with refused(68):
        bench.admin.add(dn, {"objectClass": "contact"})
    with refused(32):
        bench.admin.delete(f"CN=nobody,{dn}")
    with refused(16, 19):
        bench.admin.set(dn, noSuchAttributeAtAll="x")
    with refused(65):
        bench.admin.set(dn, sAMAccountName="contacts-have-none")
    with refused(19, 21):
        bench.admin.modify(dn, {"objectGUID": (ldap3.MODIFY_REPLACE, [bytes(16)])})


@check("ldap.unprivileged-write", loses="any user could change the directory", tier="smoke")
def test_users_may_not_write(ldap: Ldap, bench: Bench, target: Target) -> None:
    user, other = bench.user, bench.account()
    session = ldap.login(user.principal, user.password)
    with refused(50):
        session.add(f"CN={unique('gx')},{bench.ou}", {"objectClass": "contact"})
    with refused(50):
        session.set(other.dn, description="changed by another user")
    with refused(50):
        session.modify(
            f"CN=Domain Admins,CN=Users,{target.base_dn}", {"member": (ldap3.MODIFY_ADD, [user.dn])}
        )


@check("ldap.self-write", loses="users could not keep their own phone number up to date")
def test_users_may_write_their_own(ldap: Ldap, bench: Bench) -> None:
    user = bench.account()
    ldap.login(user.principal, user.password).set(user.dn, telephoneNumber="+49 30 2")
    assert bench.admin.read(user.dn, ["telephoneNumber"]).one("telephoneNumber") == "+49 30 2"


@check("ldap.rename-subtree", loses="moving a department would lose the people in it")
def test_rename_subtree(bench: Bench) -> None:
    old, new = unique("go"), unique("gn")
    bench.admin.add(f"OU={old},{bench.ou}", {"objectClass": "organizationalUnit"})
    bench.admin.add(f"CN=inside,OU={old},{bench.ou}", {"objectClass": "contact"})
    group = bench.group(f"CN=inside,OU={old},{bench.ou}")
    bench.admin.rename(f"OU={old},{bench.ou}", f"OU={new}")
    moved = f"CN=inside,OU={new},{bench.ou}"
    assert bench.admin.read(moved, ["cn"]).one("cn") == "inside"
    assert bench.admin.read(group, ["member"]).all("member") == [moved], "the group did not follow"


@check("ldap.move", loses="accounts could not be moved to another department")
def test_move_to_another_parent(bench: Bench) -> None:
    name = unique("gc")
    home = f"OU={unique('go')},{bench.ou}"
    bench.admin.add(home, {"objectClass": "organizationalUnit"})
    bench.admin.add(f"CN={name},{bench.ou}", {"objectClass": "contact"})
    before = bench.admin.read(f"CN={name},{bench.ou}", ["objectGUID"]).raw("objectGUID")
    bench.admin.rename(f"CN={name},{bench.ou}", f"CN={name}", under=home)
    assert bench.admin.read(f"CN={name},{home}", ["objectGUID"]).raw("objectGUID") == before


@check("ldap.linked-attributes", loses="deleted people would stay in groups, and groups would lose others")
def test_linked_attributes_follow(bench: Bench) -> None:
    leaving, staying = bench.account(), bench.account()
    group = bench.group(leaving.dn, staying.dn)
    assert bench.admin.read(leaving.dn, ["memberOf"]).all("memberOf") == [group], "no back link"
    bench.admin.delete(leaving.dn)
    assert bench.admin.read(group, ["member"]).all("member") == [staying.dn]


@check("ldap.reanimate", loses="an account that was deleted by mistake could not be brought back")
def test_reanimation(bench: Bench) -> None:
    user = bench.account()
    bench.admin.delete(user.dn)
    query = f"(&(isDeleted=TRUE)(objectSid={sid_text(user.sid)}))"
    gone = bench.admin.search(bench.target.base_dn, query, ["isDeleted"], controls=[SHOW_DELETED])
    assert len(gone) == 1, f"expected one deleted object with the account's SID, got {len(gone)}"
    # MS-ADTS 3.1.1.5.3.7: isDeleted removed and the DN replaced, in one operation.
    bench.admin.modify(
        gone[0].dn,
        {"isDeleted": (ldap3.MODIFY_DELETE, []), "distinguishedName": (ldap3.MODIFY_REPLACE, [user.dn])},
        controls=[SHOW_DELETED],
    )
    assert bench.admin.read(user.dn, ["objectSid"]).raw("objectSid") == user.sid, "back, but as somebody else"


@check("ldap.tombstones-hidden", loses="any user could read what was deleted (CVE-2018-14628)")
def test_deleted_objects_hidden_from_users(ldap: Ldap, bench: Bench, target: Target) -> None:
    user, gone = bench.user, bench.account()
    bench.admin.delete(gone.dn)
    session = ldap.login(user.principal, user.password)
    where = f"CN=Deleted Objects,{target.base_dn}"
    query = f"(objectSid={sid_text(gone.sid)})"
    seen = bench.admin.search(target.base_dn, query, ["cn"], controls=[SHOW_DELETED])
    assert [entry.dn.lower().endswith(where.lower()) for entry in seen] == [True], "it was not deleted"
    found = session.search(target.base_dn, query, ["cn"], controls=[SHOW_DELETED])
    assert found == [], f"a user sees {found[0].dn}"


@check("ldap.increment-usn", loses="other domain controllers would not notice a change")
def test_change_raises_the_usn(bench: Bench) -> None:
    user = bench.account()
    before = bench.admin.read(user.dn, ["uSNChanged"]).one("uSNChanged")
    bench.admin.set(user.dn, description="another")
    after = bench.admin.read(user.dn, ["uSNChanged"]).one("uSNChanged")
    assert int(after) > int(before), f"uSNChanged was {before} and is {after}"
    highest = bench.admin.read("", ["highestCommittedUSN"]).one("highestCommittedUSN")
    assert int(highest) >= int(after), f"highestCommittedUSN {highest} is behind {after}"


@check("ldap.notification", loses="programs that wait for changes would never wake up", tier="full")
def test_change_notification(bench: Bench) -> None:
    ou = bench.ou
    assert bench.watcher is not None
    change = bench.watcher.next_change()
    assert change.dn.lower() == ou.lower(), f"told of {change.dn}"
    assert change.one("description").startswith("changed"), f"told of an old state: {dict(change.attributes)}"

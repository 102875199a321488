"""Comparing dumps: every loss is said, in words; only what a rule explains is not."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy.host.errors import InputError
from galaxy.upgrade.compare import all_differences, compare, differences
from galaxy.upgrade.dumpfile import DataDump
from galaxy.upgrade.expected import Rule, load_rules

DELETED = r"CN=B\0ADEL:11111111-1111-1111-1111-111111111111,CN=Deleted Objects,DC=ad"
BASE = "DC=ad,DC=example,DC=org"
BOB, ANN = f"CN=Bob,CN=Users,{BASE}", f"CN=Ann,CN=Users,{BASE}"
GUIDS = {BOB: "11111111-1111-1111-1111-111111111111", ANN: "22222222-2222-2222-2222-222222222222"}
HEADER = {
    "area": "header",
    "version": "4.17.12-Debian",
    "taken": "20260601000000.0Z",
    "tombstone_days": 180,
    "domain": BASE,
    "config": f"CN=Configuration,{BASE}",
    "schema_dn": f"CN=Schema,CN=Configuration,{BASE}",
    "forest": BASE,
    "ntds": f"CN=NTDS Settings,CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,{BASE}",
    "server": f"CN=DC1,CN=Servers,CN=Default-First-Site-Name,CN=Sites,CN=Configuration,{BASE}",
    "account": f"CN=DC1,OU=Domain Controllers,{BASE}",
    "dns_name": "dc1.ad.example.org",
}


def record(name: str, area: str = "directory", key: str = "", **values: list[str]) -> dict:
    return {
        "area": area,
        "key": key or GUIDS.get(name, name),
        "name": name,
        "values": {attribute.replace("_", " "): texts for attribute, texts in values.items()},
    }


def link(name: str, guid: str = "", sid: str = "") -> str:
    return f"<GUID={guid or GUIDS[name]}>;{sid and f'<SID={sid}>;'}{name}"


@pytest.fixture
def dumped(tmp_path: Path):
    def dumped(*records: dict) -> DataDump:
        lines = [{**HEADER}, *records]
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        text = "".join(json.dumps(one, sort_keys=True, separators=(",", ":")) + "\n" for one in lines)
        path.write_text(text, encoding="utf-8")
        return DataDump(path=path, counts={"directory": len(records), "files": 1, "values": 3}, seconds=0)

    return dumped


def said(before: DataDump, after: DataDump) -> list[str]:
    return [str(one) for one in differences(before, after, load_rules())]


def test_equal_data_have_no_difference(dumped) -> None:
    data = dumped(
        record(BOB, member=[link(ANN)]), record("/etc/samba/smb.conf", "files", content=["sha256:1"])
    )
    comparison = compare(data, data, load_rules())
    assert (comparison.unexpected, comparison.expected) == ((), ())
    assert str(comparison).startswith("nothing lost or changed: 2 objects and entries, 1 files, 3 attributes")


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ({"title": ["x"]}, {}, "title lost x"),
        ({}, {"title": ["x"]}, "title has new x"),
        ({"title": ["x"]}, {"title": ["y"]}, "title changed from x to y"),
        ({"mail": ["x", "y"]}, {"mail": ["y", "z"]}, "mail lost x, has new z"),
        ({"mail": list("abcde")}, {"mail": ["e"]}, "mail lost a; b; c and 1 more"),
        ({"member": [link(ANN)]}, {}, f"member lost {ANN}"),
        ({"member": [f"B:8:0000000A:{link(ANN)}"]}, {}, f"member lost {ANN}"),
        ({"unicodePwd": ["secret:1"]}, {"unicodePwd": ["secret:2"]}, "unicodePwd changed"),
        ({"unicodePwd": ["secret:1"]}, {}, "unicodePwd is lost"),
        ({}, {"unicodePwd": ["secret:1"]}, "unicodePwd is new"),
        ({"objectSid": ["S-1-5-21-1-2-3-1000"]}, {"objectSid": ["S-1-5-21-1-2-3-1001"]}, "objectSid changed from"),
        ({"description": ["x" * 500]}, {}, f"description lost {'x' * 160}..."),
    ],
)  # fmt: skip
def test_a_difference_is_said_in_words(dumped, before: dict, after: dict, words: str) -> None:
    (line,) = said(dumped(record(BOB, **before)), dumped(record(BOB, **after)))
    assert line.startswith(f"{BOB}: {words}")
    assert "secret:" not in line


def test_lost_and_new_things_are_said(dumped) -> None:
    assert said(dumped(record(BOB), record(ANN)), dumped(record(BOB))) == [f"{ANN}: is lost"]
    assert said(dumped(record(BOB)), dumped(record(BOB), record(ANN))) == [f"{ANN}: is new"]


def test_a_renamed_object_is_one_difference_and_the_links_to_it_none(dumped) -> None:
    other = BOB.replace("Bob", "Robert")
    before = dumped(record(ANN, member=[link(BOB, sid="S-1-5-21-1-2-3-1000")]), record(BOB))
    after = dumped(record(ANN, member=[link(other, GUIDS[BOB].upper())]), record(other, key=GUIDS[BOB]))
    assert said(before, after) == [f"{BOB}: is now called {other}"]


def test_an_object_of_the_same_name_is_another_one(dumped) -> None:
    before, after = dumped(record(BOB)), dumped(record(BOB, key="3" * 36))
    assert sorted(said(before, after)) == [f"{BOB}: is lost", f"{BOB}: is new"]


def test_a_deleted_object_is_one_difference(dumped) -> None:
    away = f"CN=Bob\\0ADEL:{GUIDS[BOB]},CN=Deleted Objects,{BASE}"
    before = dumped(record(BOB, mail=["b"], title=["x"]))
    after = dumped(record(away, key=GUIDS[BOB], isDeleted=["TRUE"], lastKnownParent=["y"]))
    assert said(before, after) == [f"{BOB}: is deleted"]


def test_of_a_changed_dns_record_the_times_are_not_said_too(dumped) -> None:
    node = f"DC=www,DC=ad.example.org,CN=MicrosoftDNS,DC=DomainDnsZones,{BASE}"
    before = dumped(record(node, dnsRecord=["A 10.0.0.1 ttl=900"], dnsRecord_times=["A 10.0.0.1 serial=1"]))
    after = dumped(record(node, dnsRecord=["A 10.0.0.2 ttl=900"], dnsRecord_times=["A 10.0.0.2 serial=2"]))
    assert said(before, after) == [f"{node}: dnsRecord changed from A 10.0.0.1 ttl=900 to A 10.0.0.2 ttl=900"]


def descriptor(number: int, sddl: str) -> dict:
    return record(f"sd:{number}", "descriptors", sddl=[sddl])


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("O:BAG:BAD:(A;;GA;;;SY)(A;;RPWP;;;AU)", "O:BAG:BAD:(A;;GA;;;SY)", "lost (A;;RPWP;;;AU)"),
        ("O:BAG:BAD:(A;;GA;;;SY)", "O:SYG:BAD:(A;;GA;;;SY)", "lost owner BA, has new owner SY"),
        ("D:(A;;RPWP;;;AU)", "D:AI(A;;WPRP;;;AU)S:(AU;SA;WD;;;WD)", "has new DACL AI; SACL (AU;SA;WD;;;WD)"),
        ("D:(A;OICI;0x001f01ff;;;AU)", "D:(A;CIOI;FA;;;AU)(A;;FX;;;WD)", "has new (A;;0x1200a0;;;WD)"),
        ("D:(A;;RPWP;;;AU)(A;;0x001200a9;;;BA)", "D:(A;;WPRP;;;AU)(A;;0x1200a9;;;BA)", "is written differently"),
    ],
)  # fmt: skip
def test_of_a_descriptor_the_entries_are_said(dumped, before: str, after: str, words: str) -> None:
    old = dumped(record(BOB, nTSecurityDescriptor=["sd:1"]), descriptor(1, before))
    new = dumped(record(BOB, nTSecurityDescriptor=["sd:2"]), descriptor(2, after))
    (line,) = said(old, new)
    assert line.startswith(f"{BOB}: nTSecurityDescriptor {words}")


def test_descriptors_alone_are_no_difference(dumped) -> None:
    """The same bytes, which another version prints otherwise."""
    old, new = (
        dumped(record(BOB, nTSecurityDescriptor=["sd:1"]), descriptor(1, sddl))
        for sddl in ("D:(A;;GA;;;SY)", "D:x")
    )
    assert said(old, new) == []


HOST = "DC=_ldap._tcp,DC=ad.example.org,CN=MicrosoftDNS,DC=DomainDnsZones," + BASE
OWN = "SRV 0 100 389 dc1.ad.example.org ttl=900 rank=240 static"
CACHE = "/var/lib/samba/private/dns_update_cache"
OTHER = "SRV 0 100 389 dc2.ad.example.org ttl=900 rank=240 static"


@pytest.mark.parametrize(
    ("area", "name", "before", "after", "expected"),
    [
        ("directory", BOB, {"uSNChanged": ["1"]}, {"uSNChanged": ["2"]}, True),
        ("directory", BOB, {"uSNChanged": ["1"]}, {}, False),
        ("directory", BOB, {"uSNCreated": ["1"]}, {"uSNCreated": ["2"]}, False),
        ("directory", BOB, {}, {"lastLogonTimestamp": ["5"]}, True),
        ("directory", BOB, {"lastLogonTimestamp": ["5"]}, {}, False),
        ("directory", BOB, {"pwdLastSet": ["5"]}, {"pwdLastSet": ["6"]}, False),
        ("directory", HOST, {"dnsRecord_times": ["a"]}, {"dnsRecord_times": ["b"]}, True),
        ("directory", BOB, {"dnsRecord_times": ["a"]}, {"dnsRecord_times": ["b"]}, False),
        ("directory", HOST, {"dnsRecord": [OTHER]}, {"dnsRecord": [OTHER, OWN]}, True),
        ("directory", HOST, {"dnsRecord": [OWN]}, {"dnsRecord": [OWN, OTHER]}, False),
        ("directory", HOST, {"dnsRecord": [OTHER]}, {"dnsRecord": [OWN]}, False),
        ("directory", HOST, None, {"dnsRecord": [OWN]}, True),
        ("directory", HOST, None, {"dnsRecord": [OWN, OTHER]}, False),
        ("directory", HOST, {"dnsRecord": [OWN]}, None, False),
        ("idmap", "idmap.ldb CN=S-1-5-15", None, {"xidNumber": ["3000020"]}, True),
        ("idmap", "idmap.ldb CN=S-1-5-15", {"xidNumber": ["3000020"]}, None, False),
        ("idmap", "idmap.ldb CN=S-1-5-15", {"xidNumber": ["1"]}, {"xidNumber": ["2"]}, False),
        ("idmap", "idmap.ldb CN=CONFIG", {"xidNumber": ["1"]}, {"xidNumber": ["2"]}, True),
        ("idmap", "idmap.ldb CN=CONFIG", {"xidNumber": ["3000025"]}, {"xidNumber": ["3000000"]}, False),
        ("idmap", "idmap.ldb CN=CONFIG", {"upperBound": ["1"]}, {"upperBound": ["2"]}, False),
        ("files", "/etc/samba/smb.conf", {"content": ["1"]}, {"content": ["2"]}, False),
        ("files", CACHE, None, {"content": ["1"], "mode": ["-rw-r--r--"]}, True),
        ("files", CACHE, {"content": ["1"]}, {"content": ["2"]}, True),
        ("files", CACHE, {"owner": ["0:0"]}, {"owner": ["1:0"]}, False),
        ("files", CACHE, {"content": ["1"]}, None, False),
        ("directory", HEADER["account"], {}, {"servicePrincipalName": ["ldap/dc1.ad.example.org"]}, True),
        ("directory", HEADER["account"], {}, {"servicePrincipalName": ["cifs/dc1.ad.example.org"]}, False),
        ("directory", HEADER["account"], {"servicePrincipalName": ["ldap/dc1"]}, {}, False),
        ("directory", BOB, {}, {"servicePrincipalName": ["ldap/dc1.ad.example.org"]}, False),
        ("secrets", "secrets.ldb a", {"uSNChanged": ["1"]}, {"uSNChanged": ["2"]}, False),
        ("directory", DELETED, {"whenChanged": ["20251001000000.0Z"]}, None, True),
        ("directory", DELETED, {"whenChanged": ["20260401000000.0Z"]}, None, False),
        ("directory", DELETED, {}, None, False),
        ("directory", BOB, {"whenChanged": ["20251001000000.0Z"]}, None, False),
        ("directory", BASE, {"repsTo": ["present"]}, {}, True),
        ("directory", BASE, {"repsFrom": ["present"]}, {}, False),
        ("directory", BOB, {"repsTo": ["present"]}, {}, False),
    ],
)  # fmt: skip
def test_the_stated_list_is_narrow(dumped, area: str, name: str, before, after, expected) -> None:
    old = dumped(*([record(name, area, **before)] if before is not None else []))
    new = dumped(*([record(name, area, **after)] if after is not None else []))
    comparison = compare(old, new, load_rules())
    assert len(comparison.expected) == expected, comparison
    assert len(comparison.unexpected) == (not expected)
    assert all(len(one.reason) > 20 for one in comparison.expected)


def test_names_of_the_server_are_taken_literally(dumped) -> None:
    rule = Rule(
        area="directory", name="{account}", attributes=("a",), added=".*", reason="because it is a test"
    )
    near = HEADER["account"].replace("Domain Controllers", "Domain.Controllers")
    for name, count in ((HEADER["account"], 0), (near, 1)):
        assert len(differences(dumped(record(name)), dumped(record(name, a=["1"])), (rule,))) == count


def test_a_rule_without_a_reason_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "expected.toml"
    file.write_text('[[rule]]\narea = "files"\nname = ".*"\nreason = ""\n', encoding="utf-8")
    with pytest.raises(InputError, match="reason"):
        load_rules(file)


NAMES = st.text(alphabet='ab",:{}\\\n\u00fc', max_size=8)
VALUES = st.dictionaries(
    st.sampled_from(["x", "y"]), st.lists(NAMES, min_size=1, max_size=2, unique=True), max_size=2
)
DATA = st.dictionaries(NAMES, VALUES, max_size=4)


@given(before=DATA, after=DATA)
def test_data_differ_or_are_equal(
    tmp_path_factory: pytest.TempPathFactory, before: dict, after: dict
) -> None:
    """Whatever names and values there are: no difference is said exactly when there is none."""
    folder = tmp_path_factory.mktemp("dumps")
    dumps = []
    for number, data in enumerate((before, after)):
        lines = [HEADER, *({"area": "a", "key": k, "name": k, "values": v} for k, v in data.items())]
        path = folder / str(number)
        path.write_text(
            "".join(json.dumps(x, sort_keys=True, separators=(",", ":")) + "\n" for x in lines),
            encoding="utf-8",
        )
        dumps.append(DataDump(path=path, counts={}, seconds=0))

    def sets(data: dict) -> dict:
        return {key: {name: set(texts) for name, texts in values.items()} for key, values in data.items()}

    assert bool(list(all_differences(*dumps))) == (sets(before) != sets(after))

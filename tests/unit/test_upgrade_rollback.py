"""What decides a way back: history, what people changed, partners, and the offers that follow from them."""

import json
from datetime import UTC, datetime

import pytest

from galaxy.host.errors import InputError, PolicyError
from galaxy.host.store import Store
from galaxy.server.config import Server
from galaxy.server.history import UpgradeRecord, forget, history, last_upgrade, record
from galaxy.server.kept import Snapshot
from galaxy.upgrade import since
from galaxy.upgrade.changes import Changes, _setting_changes, committed, late, parse
from galaxy.upgrade.noise import Changed, by_machine
from galaxy.upgrade.partners import Directory, Partner
from galaxy.upgrade.partners import parse as parse_directory
from galaxy.upgrade.plan import ImageChoice
from galaxy.upgrade.rollback import RollbackPlan, RollbackRequest, _chosen, require_way
from galaxy.upgrade.since import require_no_more
from galaxy.upgrade.ways import Situation, Way, offers

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


@pytest.fixture
def server(tmp_path, config_with):
    made = Server(store=Store(root=tmp_path).ensure(), config=config_with(image_id="b" * 64, created=NOW))
    made.folder.mkdir()
    return made


def with_image(server, letter):
    return Server(store=server.store, config=server.config.model_copy(update={"image_id": letter * 64}))


def change(source, target, way="", snapshot="s1"):
    return UpgradeRecord(
        from_image=source * 64, to_image=target * 64, snapshot=snapshot, committed=NOW, way=way
    )


class TestHistory:
    def test_no_upgrade_is_no_history(self, server):
        assert history(server) == ()
        assert last_upgrade(server) is None

    def test_the_same_twice_counts_once(self, server):
        record(server, change("a", "b"))
        record(server, change("a", "b"))
        assert history(server) == (change("a", "b"),)

    def test_the_last_upgrade_is_the_one_that_led_here(self, server):
        record(server, change("a", "b"))
        assert last_upgrade(server) == change("a", "b")
        assert last_upgrade(with_image(server, "a")) is None

    def test_after_a_rollback_the_upgrade_before_is_the_last(self, server):
        record(server, change("a", "b", snapshot="s1"))
        record(server, change("b", "c", snapshot="s2"))
        record(server, change("c", "b", way="downgrade", snapshot="s3"))
        assert last_upgrade(server) == change("a", "b", snapshot="s1")
        record(server, change("b", "a", way="snapshot", snapshot="s4"))
        assert last_upgrade(with_image(server, "a")) is None

    def test_back_over_two_upgrades_and_forward_again(self, server):
        record(server, change("a", "b", snapshot="s1"))
        record(server, change("b", "c", snapshot="s2"))
        record(server, change("c", "a", way="snapshot", snapshot="s3"))
        record(server, change("a", "b", snapshot="s4"))
        assert last_upgrade(server) == change("a", "b", snapshot="s4")

    def test_what_was_interrupted_at_its_end_is_forgotten(self, server):
        record(server, change("a", "b", snapshot="s1"))
        forget(server, "s1")
        assert history(server) == ()

    def test_a_broken_line_is_named(self, server):
        (server.folder / "upgrades.jsonl").write_text(change("a", "b").model_dump_json() + "\n{}\n")
        with pytest.raises(InputError, match="line 2 of"):
            history(server)


def changed(dn, kind="user", what="changed", **more):
    values = {
        "attributes": (),
        "links": {},
        "passing": False,
        "dynamic": False,
        "manual": False,
        "when": "2026-01-02T03:04:05+00:00",
    }
    return Changed(dn=dn, kind=kind, what=what, **{**values, **more})


BASE = "DC=ad,DC=example,DC=org"
ZONE = f"DC=ad.example.org,CN=MicrosoftDNS,DC=DomainDnsZones,{BASE}"


@pytest.mark.parametrize(
    "item",
    [
        changed(f"CN=anna,CN=Users,{BASE}", attributes=("lastLogonTimestamp",)),
        changed(f"CN=anna,CN=Users,{BASE}"),
        changed(f"CN=DC1,OU=Domain Controllers,{BASE}", "computer", attributes=("unicodePwd", "pwdLastSet")),
        changed(
            f"CN=NTDS Settings,CN=DC1,CN=Servers,{BASE}", "nTDSDSA", attributes=("msDS-Behavior-Version",)
        ),
        changed(f"CN=RID Set,CN=DC1,OU=Domain Controllers,{BASE}", "rIDSet", attributes=("rIDNextRID",)),
        changed(f"DC=dc1,{ZONE}", "dnsNode", attributes=("dnsRecord",)),
        changed(f"DC=_ldap._tcp,{ZONE}", "dnsNode", "created", attributes=("dnsRecord",), manual=True),
        changed(
            f"DC=_ldap._tcp.Default-First-Site-Name._sites.dc,{ZONE}", "dnsNode", attributes=("dnsRecord",)
        ),
        changed(f"DC=@,{ZONE}", "dnsNode", attributes=("dnsRecord",)),
        changed(f"DC=laptop,{ZONE}", "dnsNode", "created", attributes=("dnsRecord",), dynamic=True),
        changed(f"CN=gone,CN=Users,{BASE}", what="deleted", passing=True),
    ],
    ids=lambda item: f"{item.kind}-{item.dn.partition(',')[0]}-{item.what}",
)
def test_the_machines_own_changes_are_known(server, item):
    assert by_machine(item, server.config)


@pytest.mark.parametrize(
    "item",
    [
        changed(f"CN=anna,CN=Users,{BASE}", attributes=("unicodePwd", "pwdLastSet")),
        changed(f"CN=anna,CN=Users,{BASE}", attributes=("lastLogonTimestamp", "description")),
        changed(f"CN=anna,CN=Users,{BASE}", what="created"),
        changed(f"CN=anna,CN=Users,{BASE}", what="deleted"),
        changed(f"CN=staff,CN=Users,{BASE}", "group", links={"member": (1, 0)}),
        changed(f"CN=DC1,OU=Domain Controllers,{BASE}", "computer", attributes=("description",)),
        changed(f"CN=PC1,CN=Computers,{BASE}", "computer", attributes=("unicodePwd",)),
        changed(f"DC=www,{ZONE}", "dnsNode", "created", attributes=("dnsRecord",)),
        changed(f"DC=dc10,{ZONE}", "dnsNode", "created", attributes=("dnsRecord",)),
        changed(BASE, "domainDNS", attributes=("minPwdLength",)),
        changed(f"DC=@,{ZONE}", "dnsNode", attributes=("dnsRecord",), manual=True),
        changed(f"DC=_sip._tls,{ZONE}", "dnsNode", "created", attributes=("dnsRecord",), manual=True),
        changed(f"CN=BCKUPKEY_9d3f Secret,CN=System,{BASE}", "secret", "created"),
    ],
    ids=lambda item: f"{item.kind}-{item.dn.partition(',')[0]}-{item.what}",
)
def test_what_people_did_is_never_taken_for_the_machines(server, item):
    assert not by_machine(item, server.config)


def nothing_changed(**more):
    return Changes(**{"objects": (), "machine": 0, "files": (), "settings": (), **more})


class TestChanges:
    def test_samba_may_say_what_it_likes_between_the_lines(self):
        told = {
            "dn": "CN=x", "kind": "group", "what": "changed", "passing": False, "attributes": ["cn"],
            "links": {"member": [2, 1]}, "dynamic": False, "manual": False, "when": "",
        }  # fmt: skip
        found = tuple(parse(f"a warning\n{json.dumps(told)}\n{{no json}}\n"))
        assert [item.dn for item in found] == ["CN=x"]
        assert found[0].links == {"member": (2, 1)}

    def test_lines_tell_a_password_once_and_count_links(self):
        item = changed("CN=x", attributes=("unicodePwd", "pwdLastSet", "mail"), links={"manager": (1, 1)})
        assert "(password, mail, manager +1 -1)" in next(
            line for line in nothing_changed(objects=(item,)).lines() if "CN=x" in line
        )

    def test_a_long_list_is_cut_and_says_so(self):
        many = tuple(changed(f"CN={number}") for number in range(50))
        lines = list(nothing_changed(objects=many).lines(most=10))
        assert len([line for line in lines if "CN=" in line]) == 10
        assert "  ... and 40 more" in lines

    def test_what_came_after_the_list_is_seen(self):
        before = nothing_changed(objects=(changed("CN=a"),), machine=1)
        now = nothing_changed(objects=(changed("CN=a"), changed("CN=b")), machine=7)
        assert [line.strip().split()[-1] for line in late(before, now)] == ["CN=b"]
        assert late(before, before) == []
        again = changed("CN=a", when="2026-01-02T03:04:59+00:00")
        assert len(late(before, nothing_changed(objects=(again,), machine=1))) == 1, "the same minute"

    def test_settings_are_a_difference(self, tmp_path):
        old, new = tmp_path / "old", tmp_path / "new"
        old.write_text("[global]\n\trealm = X\n")
        new.write_text("[global]\n\trealm = X\n\tlog level = 3\n")
        assert list(_setting_changes(old, new)) == ["+\tlog level = 3"]


PARTNER = Partner(
    name="DC2", fqdn="dc2.ad.example.org", dn="CN=NTDS Settings,CN=DC2", read_only=False, joined="", pulled=None,
    told=False, usn=0,
)  # fmt: skip
RODC = Partner(
    name="DC3", fqdn="dc3.ad.example.org", dn="CN=NTDS Settings,CN=DC3", read_only=True, joined="", pulled=None,
    told=False, usn=0,
)  # fmt: skip
SNAPSHOT = Snapshot(
    id="s1", name="dc1", reason="", taken=NOW, image_id="a" * 64, version="4.17.12", running=True, size=1,
    seconds=1.0, held=0.0, path="/none",
)  # fmt: skip


def choice(version):
    return ImageChoice(ref=version, id="a" * 64, version=version)


def directory(*partners, level=4, heeded=None):
    return Directory(usn=100, level=level, heeded=heeded or {}, partners=partners)


def situation(**more):
    values = {
        "name": "dc1", "source": choice("4.24.7"), "target": choice("4.17.12"), "why_not": "", "snapshot": SNAPSHOT,
        "chosen": False, "directory": directory(), "then": directory(),
        "unreadable": "", "changes": nothing_changed(), "usn": 90,
        "smb_conf": "[global]\n", "tool": True, "running": True, "sound": True,
    }  # fmt: skip
    return Situation(**{**values, **more})


def open_ways(**more):
    return [one.way for one in offers(situation(**more)) if one.open]


def offer(way, **more):
    return next(one for one in offers(situation(**more)) if one.way is way)


class TestOffers:
    def test_an_only_dc_has_its_snapshot_and_the_downgrade(self):
        assert open_ways() == [Way.SNAPSHOT, Way.DOWNGRADE]

    def test_with_a_partner_the_snapshot_is_closed_and_the_reason_told(self):
        assert open_ways(directory=directory(PARTNER)) == [Way.DOWNGRADE, Way.REJOIN]
        assert "USNs" in offer(Way.SNAPSHOT, directory=directory(PARTNER)).refused

    def test_a_read_only_partner_has_seen_usns_but_gives_no_data_back(self):
        assert open_ways(directory=directory(RODC)) == [Way.DOWNGRADE]

    def test_what_was_written_since_is_lost_by_the_snapshot_alone(self):
        written = nothing_changed(objects=(changed("CN=x"),))
        assert offer(Way.SNAPSHOT, changes=written).loses
        assert not offer(Way.DOWNGRADE, changes=written).loses

    def test_an_unreadable_database_leaves_the_snapshot_with_a_loss_that_nobody_can_list(self):
        broken = {"changes": None, "unreadable": "it is corrupt"}
        assert open_ways(**broken) == [Way.SNAPSHOT]
        assert "cannot be read: it is corrupt" in offer(Way.SNAPSHOT, **broken).loses[0]

    def test_without_any_word_of_partners_no_snapshot(self):
        assert open_ways(directory=None, changes=None, unreadable="corrupt") == []

    def test_without_the_old_image_nothing(self):
        assert open_ways(target=None, why_not="the image is not in the store") == []
        assert offer(Way.DOWNGRADE, target=None, why_not="gone").refused == "gone"

    def test_a_snapshot_that_was_pruned_leaves_the_downgrade(self):
        assert open_ways(snapshot=None, changes=None) == [Way.DOWNGRADE]

    @pytest.mark.parametrize(
        ("old", "smb_conf", "there"),
        [
            ("4.17.12", "", True),  # knows no levels, and starts in any domain
            ("4.22.11", "", False),
            ("4.22.11", "ad dc functional level = 2016\n", True),
        ],
    )
    def test_a_raised_level_closes_the_downgrade_to_a_version_that_would_refuse_to_start(
        self, old, smb_conf, there
    ):
        found = open_ways(target=choice(old), directory=directory(level=7), smb_conf=f"[global]\n{smb_conf}")
        assert (Way.DOWNGRADE in found) is there

    def test_a_format_that_an_old_version_cannot_read_needs_the_tool(self):
        assert Way.DOWNGRADE in open_ways(target=choice("4.10.18"))
        assert Way.DOWNGRADE not in open_ways(target=choice("4.10.18"), tool=False)
        assert Way.DOWNGRADE in open_ways(tool=False)

    def test_what_the_older_one_does_not_act_upon_is_to_be_confirmed(self):
        known = directory(heeded={"authentication policies": 2, "group managed service accounts": 0})
        assert (
            offer(Way.DOWNGRADE, directory=known)
            .loses[0]
            .startswith("2 authentication policies would not be")
        )
        assert offer(Way.DOWNGRADE, directory=known, target=choice("4.22.11")).loses == ()

    def test_a_dc_that_has_left_since_is_named_for_it_comes_back(self):
        notes = offer(Way.SNAPSHOT, then=directory(PARTNER)).notes
        assert any("dc2.ad.example.org has left" in note for note in notes)

    def test_a_server_that_is_not_well_cannot_deliver_what_it_has(self):
        partner = directory(PARTNER)
        assert not offer(Way.REJOIN, directory=partner).loses
        assert "cannot deliver" in offer(Way.REJOIN, directory=partner, sound=False).loses[0]

    def test_a_named_snapshot_is_the_only_way(self):
        assert open_ways(chosen=True) == [Way.SNAPSHOT]


def plan(request, **more):
    found = offers(situation(**more))
    return RollbackPlan(
        server="dc1", source=choice("4.24.7"), target=choice("4.17.12"), snapshot="s1", usn=90, changes=None,
        running=True, sound=True, offers=found, way=_chosen(found, request),
    )  # fmt: skip


class TestChoice:
    def test_nothing_written_since_goes_back_by_the_snapshot(self):
        assert plan(RollbackRequest(name="dc1")).way is Way.SNAPSHOT

    def test_a_loss_is_a_persons_decision(self):
        found = plan(RollbackRequest(name="dc1"), changes=nothing_changed(settings=("+x",)))
        assert found.way is None
        with pytest.raises(PolicyError, match="without a decision") as caught:
            require_way(found, RollbackRequest(name="dc1"))
        assert "--way snapshot, --way downgrade" in caught.value.hint

    def test_the_only_open_way_is_taken(self):
        assert plan(RollbackRequest(name="dc1"), directory=directory(RODC)).way is Way.DOWNGRADE

    def test_two_open_ways_with_a_partner_are_a_persons_choice(self):
        assert plan(RollbackRequest(name="dc1"), directory=directory(PARTNER)).way is None

    def test_a_closed_way_is_refused_with_its_reason(self):
        request = RollbackRequest(name="dc1", way=Way.SNAPSHOT)
        with pytest.raises(PolicyError, match="USNs"):
            require_way(plan(request, directory=directory(PARTNER)), request)

    def test_a_rejoin_wants_another_dc_and_a_password(self):
        request = RollbackRequest(name="dc1", way=Way.REJOIN)
        with pytest.raises(InputError, match="another DC"):
            require_way(plan(request, directory=directory(PARTNER)), request)

    @pytest.mark.parametrize("way", [Way.DOWNGRADE, Way.REJOIN])
    def test_a_snapshot_is_named_for_the_way_that_takes_one(self, way):
        with pytest.raises(InputError, match="without one"):
            RollbackRequest(name="dc1", way=way, to="s1")
        assert RollbackRequest(name="dc1", way=Way.SNAPSHOT, to="s1").to == "s1"

    def test_the_password_is_in_no_words(self):
        assert "secret" not in repr(RollbackRequest(name="dc1", password="secret"))


def test_a_directory_is_what_its_script_printed():
    told = {
        "dsa": "x", "usn": 4091, "level": 4, "heeded": {},
        "partners": [
            {
                "name": "DC2", "fqdn": "dc2.x", "dn": "CN=NTDS Settings,CN=DC2", "dsa": "y", "invocation": "z",
                "read_only": False, "joined": "", "pulled": 134083224000000000, "told": True, "usn": 7,
            }
        ],
    }  # fmt: skip
    found = parse_directory(f"a warning of Samba's\n{json.dumps(told)}\n")
    assert found.usn == 4091
    assert found.partners[0].replicated
    assert found.partners[0].in_words() == "dc2.x (read 2025-11-22 22:00 UTC)"


@pytest.mark.parametrize("wrong", [{"to": ""}, {"user": ""}, {"user": "two\nlines"}])
def test_an_empty_name_chooses_nothing(wrong):
    with pytest.raises(InputError):
        RollbackRequest(name="dc1", **wrong)


def test_only_what_came_after_the_list_is_looked_at_again(server, monkeypatch):
    asked = {}

    def changes(*words, **more):
        asked.update(since=words[2], **more)
        return nothing_changed()

    monkeypatch.setattr(since, "changes_since", changes)
    require_no_more(None, server, nothing_changed(usn=4711, read=5 * 10**9), None, "Again.")
    assert asked == {"since": 4711, "touched": 3 * 10**9, "in_place": True}


def test_the_highest_number_is_read_among_what_samba_says():
    assert committed('INFO: x\n{"usn": 4711}\n{"dn": "CN=a"}\n') == 4711

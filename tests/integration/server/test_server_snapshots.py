"""Snapshots of a real Samba that people write to: consistent, quick, and the way back to them whole."""

import json
import os
import shutil
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from ldap3 import MODIFY_REPLACE, Connection, Tls
from ldap3 import Server as LdapServer
from ldap3.core.exceptions import LDAPException

from galaxy.host import netns
from galaxy.server.config import load
from galaxy.server.writers import writers_held

# Milliseconds; the goal is for a domain as it is after its creation.
PAUSE = 100


@pytest.fixture(scope="module")
def dc(machine):
    answer = machine.create("dc1", "--address", machine.addresses[0])
    assert answer.code == 0, answer.err
    answer = machine.galaxy("start", "dc1")
    assert answer.code == 0, answer.err
    yield machine
    machine.galaxy("rm", "dc1", "--force")
    remains = machine.remains()
    assert remains.pop("links") == ["lan0", "lo"]
    assert not any(remains.values()), remains


_OPEN: list[Connection] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    """Each test's connections end with it."""
    yield
    while _OPEN:
        with suppress(LDAPException, OSError):
            _OPEN.pop().unbind()


def connect(machine, name="dc1") -> Connection:
    """The administrator over LDAPS."""
    server = load(machine.store, name)
    word = (server.secrets / "admin-password").read_text().strip()
    secure = Tls(validate=ssl.CERT_NONE)
    with netns.inside_network(machine.network):
        client = Connection(
            LdapServer(server.config.address, port=636, use_ssl=True, tls=secure, connect_timeout=10),
            user=f"Administrator@{server.config.realm}",
            password=word,
            auto_bind=True,
            receive_timeout=20,
        )
    _OPEN.append(client)
    return client


BASE = "DC=ad,DC=example,DC=org"


def add(client: Connection, name: str, base: str = BASE) -> bool:
    return bool(client.add(f"CN={name},CN=Users,{base}", "group", {"sAMAccountName": name}))


def groups(client: Connection, pattern: str, base: str = BASE) -> set[str]:
    client.search(base, f"(&(objectClass=group)(cn={pattern}))", attributes=["cn"], paged_size=900)
    return {str(entry.cn) for entry in client.entries}


def describe(client: Connection, text: str) -> bool:
    change = {"description": [(MODIFY_REPLACE, [text])]}
    return bool(client.modify(f"CN=Administrator,CN=Users,{BASE}", change))


def ok(answer):
    assert answer.code == 0, answer.err + answer.out
    return answer.out


def take(machine, name="dc1", *words) -> dict[str, object]:
    return json.loads(ok(machine.galaxy("snapshot", name, "--json", *words)))  # type: ignore[no-any-return]


def clean(machine, name="dc1") -> None:
    """Samba's own checks of the database and of SYSVOL's ACLs."""
    said = ok(machine.galaxy("exec", name, "--", "samba-tool", "dbcheck", "--cross-ncs"))
    assert "(0 errors)" in said, said
    ok(machine.galaxy("exec", name, "--", "samba-tool", "ntacl", "sysvolcheck"))


@dataclass(slots=True)
class Writer:
    """A client that adds groups and notes when each was begun and acknowledged (time.monotonic)."""

    begun: dict[str, float] = field(default_factory=dict)
    done: dict[str, float] = field(default_factory=dict)
    slowest: float = 0.0

    def before(self, moment: float) -> set[str]:
        return {name for name, at in self.done.items() if at < moment}

    def after(self, moment: float) -> set[str]:
        return {name for name, at in self.begun.items() if at > moment}


@contextmanager
def writing(machine, tag: str) -> Iterator[Writer]:
    writer, stop = Writer(), threading.Event()

    def write() -> None:
        client = connect(machine)
        with suppress(LDAPException, OSError):  # the server goes away under it in some tests
            while not stop.is_set():
                name = f"{tag}-{len(writer.begun)}"
                began = writer.begun[name] = time.monotonic()
                assert add(client, name), client.result
                writer.done[name] = time.monotonic()
                writer.slowest = max(writer.slowest, writer.done[name] - began)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        until(lambda: len(writer.done) > 5, "the writer's first groups")
        yield writer
    finally:
        stop.set()
        thread.join(30)


def until(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.002)


def test_while_writers_are_held_searches_answer_and_writes_wait(dc) -> None:
    reader, writer = connect(dc), connect(dc)
    acknowledged = threading.Event()

    def write() -> None:
        assert describe(writer, "waited")
        acknowledged.set()

    thread = threading.Thread(target=write)
    with writers_held(load(dc.store, "dc1")):
        for _ in range(20):
            assert groups(reader, "Domain Admins") == {"Domain Admins"}
        thread.start()
        assert not acknowledged.wait(0.5), "a write went on while writers were held"
    assert acknowledged.wait(10), "a write did not go on when writers were let go"
    thread.join()


def test_a_snapshot_under_a_writer_is_whole_and_hardly_noticed(dc) -> None:
    """What was acknowledged before is in it, what was begun after it is not, and the database is consistent."""
    with writing(dc, "live") as writer:
        began = time.monotonic()
        taken = [take(dc) for _ in range(3)]
        ended = time.monotonic()
        until(lambda: len(writer.after(ended)) > 3, "writes after the snapshots")
    assert min(float(str(one["held"])) for one in taken) * 1000 <= PAUSE, taken
    assert all(one["running"] for one in taken)
    ok(dc.galaxy("restore", "dc1", str(taken[0]["id"]), "--yes"))
    client = connect(dc)
    there = groups(client, "live-*")
    assert there >= writer.before(began)
    assert not there & writer.after(ended)
    assert there < set(writer.done)
    clean(dc)
    assert add(client, "after-restore"), client.result


def test_restoring_brings_the_old_back_forgets_the_new_and_can_be_undone(dc) -> None:
    client = connect(dc)
    folder = dc.folder("dc1")
    assert add(client, "old")
    assert describe(client, "then")
    policy = folder / "state/sysvol/ad.example.org/scripts/logon.bat"
    policy.write_text("then")
    conf = (folder / "etc/smb.conf").read_text()
    taken = take(dc, "dc1", "--reason", "before the change")
    assert client.delete(f"CN=old,CN=Users,{BASE}")
    assert add(client, "new")
    assert describe(client, "now")
    policy.unlink()
    (folder / "etc/smb.conf").write_text(conf.replace("[sysvol]", "\tlog level = 1\n\n[sysvol]"))
    done = json.loads(ok(dc.galaxy("restore", "dc1", str(taken["id"]), "--yes", "--json")))
    client = connect(dc)
    assert groups(client, "old") == {"old"}
    assert groups(client, "new") == set()
    assert policy.read_text() == "then"
    assert (folder / "etc/smb.conf").read_text() == conf
    clean(dc)
    ok(dc.galaxy("restore", "dc1", done["kept"], "--yes"))
    client = connect(dc)
    assert groups(client, "old") == set()
    assert groups(client, "new") == {"new"}
    assert not policy.exists()
    listed = ok(dc.galaxy("snapshots", "dc1"))
    assert "before the change" in listed
    assert f"before restore of {taken['id']}" in listed


def given(machine, name: str) -> tuple[int, int]:
    """The RID of a group, and the gid that files of its members get."""
    client = connect(machine)
    client.search(BASE, f"(sAMAccountName={name})", attributes=["objectSid"])
    sid = str(client.entries[0].objectSid)
    gid = ok(machine.galaxy("exec", "dc1", "--", "wbinfo", "--sid-to-gid", sid))
    return int(sid.rpartition("-")[2]), int(gid)


def test_numbers_that_were_given_since_are_not_given_again(dc) -> None:
    """Files and other hosts grant by them, and know nothing of a restore: neither way leads to a number twice."""
    taken = take(dc)
    assert add(connect(dc), "given-then")
    lost = given(dc, "given-then")
    done = json.loads(ok(dc.galaxy("restore", "dc1", str(taken["id"]), "--yes", "--json")))
    assert add(connect(dc), "given-later")
    later = given(dc, "given-later")
    ok(dc.galaxy("restore", "dc1", done["kept"], "--yes"))
    assert given(dc, "given-then") == lost
    assert add(connect(dc), "given-last")
    last = given(dc, "given-last")
    assert lost[0] < later[0] < last[0]
    assert lost[1] < later[1] < last[1]
    clean(dc)


def test_a_stopped_server_is_restored_and_stays_stopped(dc) -> None:
    ok(dc.galaxy("stop", "dc1"))
    taken = take(dc)
    assert taken["running"] is False
    ok(dc.galaxy("restore", "dc1", str(taken["id"]), "--yes"))
    assert dc.status("dc1")["state"] == "stopped"
    ok(dc.galaxy("start", "dc1"))
    clean(dc)


MOMENTS = {
    "copying": lambda folder: (folder / ".restoring/state").exists(),
    "stopping": lambda folder: (folder / "switch.json").exists(),
    "stopped": lambda folder: not (folder / "running.json").exists(),
    "exchanging": lambda folder: (folder / ".replaced").exists(),
    "exchanged": lambda folder: (folder / ".replaced/server.toml").exists(),
    "starting": lambda folder: (
        (folder / ".replaced/server.toml").exists() and (folder / "running.json").exists()
    ),
}


@pytest.mark.parametrize("moment", list(MOMENTS))
def test_killed_in_the_middle_it_is_the_one_or_the_other_whole_and_runs(dc, moment) -> None:
    client = connect(dc)
    assert describe(client, "then")
    taken = take(dc)
    assert describe(client, "now")
    folder = dc.folder("dc1")
    restoring = dc.begin("restore", "dc1", str(taken["id"]), "--yes")
    until(lambda: MOMENTS[moment](folder) or restoring.poll() is not None, moment)
    restoring.kill()
    restoring.communicate()
    ok(dc.galaxy("recover"))
    assert dc.status("dc1")["state"] == "running"
    client = connect(dc)
    client.search(BASE, "(sAMAccountName=Administrator)", attributes=["description"])
    assert str(client.entries[0].description) == "now", "killed before the commit point, it is as before"
    if moment == "exchanging":
        clean(dc)
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]
    assert not (folder / "switch.json").exists()
    assert not list(dc.store.journal.iterdir())


def test_a_state_that_does_not_start_is_taken_back(dc) -> None:
    taken = take(dc)
    client = connect(dc)
    assert describe(client, "kept")
    snapshot = Path(str(taken["path"]))
    conf = snapshot / "etc/smb.conf"
    conf.write_text(conf.read_text().replace("[global]", "[global]\n\tserver services = +nonsense"))
    answer = dc.galaxy("restore", "dc1", str(taken["id"]), "--yes")
    assert answer.code == 5, answer.err
    assert "nonsense" in answer.err
    assert dc.status("dc1")["state"] == "running"
    client = connect(dc)
    client.search(BASE, "(sAMAccountName=Administrator)", attributes=["description"])
    assert str(client.entries[0].description) == "kept"
    assert not list(dc.store.journal.iterdir())


def test_a_damaged_snapshot_is_named_and_nothing_changed(dc) -> None:
    taken = take(dc)
    snapshot = Path(str(taken["path"]))
    file = next(
        path for path in (snapshot / "state/private/sam.ldb.d").iterdir() if path.name.startswith("DC=")
    )
    os.truncate(file, 100_000)
    answer = dc.galaxy("restore", "dc1", str(taken["id"]), "--yes")
    assert answer.code == 5, answer.err
    assert f"the snapshot {taken['id']} of dc1 is damaged: {file}: " in answer.err
    assert dc.status("dc1")["state"] == "running"
    assert not list(dc.store.journal.iterdir())


def test_snapshots_hold_secrets_and_only_root_reads_them(dc) -> None:
    taken = take(dc)
    for path in (dc.folder("dc1") / "snapshots", Path(str(taken["path"]))):
        assert path.stat().st_mode & 0o777 == 0o700
    secret = Path(str(taken["path"])) / "secrets/admin-password"
    assert secret.stat().st_mode & 0o777 == 0o600
    assert "security.NTACL" in os.listxattr(Path(str(taken["path"])) / "state/sysvol")


def test_wrong_use_is_told(dc) -> None:
    assert dc.galaxy("snapshot", "dc9").code == 2
    answer = dc.galaxy("restore", "dc1", "20010101-000000", "--yes")
    assert answer.code == 2
    assert "no snapshot 20010101-000000" in answer.err
    taken = take(dc)
    ok(dc.galaxy("exec", "dc1", "samba-tool", "user", "create", "later", "--random-password"))
    answer = dc.galaxy("restore", "dc1", str(taken["id"]))
    assert answer.code == 6
    assert f"CN=later,CN=Users,{BASE}" in answer.err
    assert "--yes" in answer.err
    assert "later" in ok(dc.galaxy("exec", "dc1", "samba-tool", "user", "list"))
    shutil.rmtree(Path(str(taken["path"])) / "state")
    answer = dc.galaxy("restore", "dc1", str(taken["id"]), "--yes")
    assert answer.code == 6
    assert "it has no state" in answer.err
    assert "damaged" in ok(dc.galaxy("snapshots", "dc1"))
    assert dc.galaxy("prune", "dc1", "x", "--keep", "1").code == 2


def test_pruning_leaves_the_newest_and_the_pinned(dc) -> None:
    pinned, loose, newest = take(dc, "dc1", "--pin"), take(dc), take(dc)
    ok(dc.galaxy("prune", "dc1", "--keep", "1"))
    left = {
        one["id"] for one in json.loads(ok(dc.galaxy("snapshots", "dc1", "--json"))) if "damaged" not in one
    }
    assert left == {pinned["id"], newest["id"]}
    assert loose["id"] not in left
    ok(dc.galaxy("prune", "dc1", str(pinned["id"])))
    assert f"{pinned['id']} " not in ok(dc.galaxy("snapshots", "dc1"))


def test_a_directory_in_lmdb_is_copied_too(dc) -> None:
    words = ("--address", dc.addresses[1], "--domain", "LMDB", "--backend-store", "mdb")
    ok(dc.create("dc2", *words, realm="MDB.EXAMPLE.ORG"))
    base = "DC=mdb,DC=example,DC=org"
    try:
        ok(dc.galaxy("start", "dc2"))
        client = connect(dc, "dc2")
        assert add(client, "old", base)
        taken = take(dc, "dc2")
        assert float(str(taken["held"])) * 1000 <= PAUSE
        assert not list(Path(str(taken["path"])).rglob("*.ldb-lock"))
        assert add(client, "new", base)
        ok(dc.galaxy("restore", "dc2", str(taken["id"]), "--yes"))
        client = connect(dc, "dc2")
        assert groups(client, "old", base) == {"old"}
        assert groups(client, "new", base) == set()
        clean(dc, "dc2")
    finally:
        dc.galaxy("rm", "dc2", "--force")

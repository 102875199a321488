"""Snapshots on disk: found, refused, pruned, and exchanged for a state so that a kill leaves one or the other whole."""

import errno
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from galaxy.host.errors import InputError, PolicyError, ServerError
from galaxy.host.store import Store
from galaxy.server import restore
from galaxy.server import snapshot as snapshot_module
from galaxy.server.config import Server, ServerConfig, servers
from galaxy.server.copying import PARTS
from galaxy.server.history import UpgradeRecord, record
from galaxy.server.kept import Snapshot, damaged, find_snapshot, snapshots
from galaxy.server.snapshot import adopt_written, free_id, prune, snapshot
from galaxy.server.sound import require_sound_snapshot
from galaxy.server.swap import exchange, swap_back

OLD, NEW = "aa" * 32, "bb" * 32


def config(**changes: object) -> ServerConfig:
    values: dict[str, object] = {
        "name": "dc1",
        "image_id": NEW,
        "realm": "AD.EXAMPLE.ORG",
        "domain": "AD",
        "hostname": "dc1",
        "address": "192.0.2.10",
        "created": datetime(2026, 1, 2, tzinfo=UTC),
    }
    return ServerConfig.model_validate({**values, **changes})


def fill(folder: Path, word: str, image: str) -> None:
    for part in PARTS:
        (folder / part).mkdir(parents=True)
        (folder / part / "word").write_text(word)
    (folder / "server.toml").write_text(config(image_id=image).to_toml())


def words(folder: Path) -> set[str]:
    """What the parts of a state say: one word when it is whole."""
    said = {(folder / part / "word").read_text() for part in PARTS}
    return said | {"new" if NEW in (folder / "server.toml").read_text() else "old"}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    found = Server(store=Store(root=tmp_path).ensure(), config=config())
    fill(found.folder, "new", NEW)
    return found


def keep(server: Server, name: str, *, age: float = 0.0, pinned: bool = False) -> Snapshot:
    folder = server.snapshots / name
    fill(folder, "old", OLD)
    made = Snapshot(
        id=name,
        name=server.name,
        reason="by hand",
        taken=datetime.now(UTC) - timedelta(days=age),
        image_id=OLD,
        version="4.17.12",
        running=True,
        pinned=pinned,
        size=1,
        seconds=0.1,
        held=0.01,
        path=folder,
    )
    made.write()
    return made


def test_snapshots_are_found_by_id_and_by_its_beginning(server: Server) -> None:
    one, other = keep(server, "20260101-100000"), keep(server, "20260102-100000")
    assert snapshots(server) == (one, other)
    assert find_snapshot(server, "20260102-100000") == other
    assert find_snapshot(server, "20260101") == one
    with pytest.raises(InputError, match="beginning of 2 snapshots"):
        find_snapshot(server, "2026")


@pytest.mark.parametrize("wanted", ["x", "", "..", "../dc1"])
def test_an_unknown_one_is_told_with_those_there_are(server: Server, wanted: str) -> None:
    with pytest.raises(InputError, match="no snapshot") as none:
        find_snapshot(server, wanted)
    assert "galaxy snapshot dc1" in none.value.hint
    keep(server, "20260101-100000")
    with pytest.raises(InputError) as one:
        find_snapshot(server, wanted)
    assert "20260101-100000" in one.value.hint


def test_a_half_made_one_is_none(server: Server) -> None:
    keep(server, ".20260101-100000.making")
    assert snapshots(server) == ()
    assert damaged(server) == {}


def change(folder: Path, **values: object) -> None:
    file = folder / "snapshot.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: (f / "snapshot.json").unlink(), "no snapshot.json"),
        (lambda f: (f / "snapshot.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "snapshot.json").write_text("[]"), "cannot be read"),
        (lambda f: change(f, schema_version=2), "schema_version"),
        (lambda f: change(f, surprise=1), "surprise"),
        (lambda f: change(f, id="20250101-100000"), "another snapshot's"),
        (lambda f: change(f, image_id=NEW), "another snapshot's"),
        (lambda f: (f / "state").rename(f / "elsewhere"), "no state"),
        (lambda f: (f / "server.toml").unlink(), "no server.toml"),
        (
            lambda f: (f / "server.toml").write_text(config(image_id=OLD, realm="B.EXAMPLE.ORG").to_toml()),
            "dc1 of B.EXAMPLE.ORG",
        ),
    ],
)
def test_what_is_not_whole_or_anothers_is_refused(server: Server, spoil, says: str) -> None:
    made = keep(server, "20260101-100000")
    spoil(made.path)
    with pytest.raises(PolicyError, match=says.replace(".", r"\.")):
        find_snapshot(server, made.id)
    assert snapshots(server) == ()
    assert says in damaged(server)[made.id].message


@pytest.mark.parametrize("part", ["etc", "state", "state/private/sam.ldb", "etc/smb.conf"])
def test_nothing_is_kept_of_a_server_without_its_data(server: Server, part: str) -> None:
    for file in (server.state / "private/sam.ldb", server.etc / "smb.conf"):
        file.parent.mkdir(exist_ok=True)
        file.touch()
    (server.folder / part).rename(server.store.root / "elsewhere")
    with pytest.raises(ServerError, match=rf"dc1 cannot be kept in a snapshot: .*{part} is missing"):
        snapshot(server)
    assert not server.snapshots.exists()


def test_snapshots_are_no_servers(server: Server) -> None:
    keep(server, "20260101-100000")
    assert servers(server.store) == (server,)


def test_ids_of_one_second_differ_and_sort_by_age(server: Server) -> None:
    ids = []
    for _ in range(12):
        ids.append(free_id(server))
        keep(server, ids[-1])
    assert len(set(ids)) == 12
    assert [one.id for one in snapshots(server)] == ids


@pytest.mark.parametrize("left", ["20991231-235959", ".20991231-235959-02.making"])
def test_ids_sort_by_age_though_the_clock_was_put_back(server: Server, left: str) -> None:
    (server.snapshots / left).mkdir(parents=True)
    first = free_id(server)
    keep(server, first)
    assert first == "21000101-000000"
    assert free_id(server) == "21000101-000001"


def test_an_id_that_was_pruned_is_not_given_again(server: Server) -> None:
    record(
        server,
        UpgradeRecord(
            from_image="a" * 64,
            to_image="b" * 64,
            snapshot="20991231-235959",
            committed=datetime.now(UTC),
        ),
    )
    assert free_id(server) == "21000101-000000"


def test_pruning_leaves_the_newest_the_young_and_the_pinned(server: Server) -> None:
    for day in range(9, 0, -1):
        keep(server, f"2026010{9 - day}-000000", age=day, pinned=day == 8)
    gone = prune(server, keep=2, days=4.5)
    assert [one.id for one in gone] == [f"2026010{n}-000000" for n in (0, 2, 3, 4)]
    assert [one.id for one in snapshots(server)] == [f"2026010{n}-000000" for n in (1, 5, 6, 7, 8)]
    assert len(prune(server, keep=2, days=0)) == 2
    assert prune(server, keep=2, days=0) == ()
    assert not list(server.store.journal.iterdir())
    assert sorted(path.name for path in server.snapshots.iterdir()) == [one.id for one in snapshots(server)]


def test_removing_one_removes_what_was_left_of_removing_another(server: Server) -> None:
    made = keep(server, "20260101-100000", age=2)
    (server.snapshots / ".20250101-100000.removing/state").mkdir(parents=True)
    assert prune(server, keep=0, days=1) == (made,)
    assert list(server.snapshots.iterdir()) == []


def test_the_configuration_is_put_aside_without_taking_space(server: Server) -> None:
    aside, incoming = server.folder / "aside", server.folder / "incoming"
    fill(incoming, "old", OLD)
    before = (server.folder / "server.toml").stat().st_ino
    exchange(server.folder, incoming, aside)
    assert (aside / "server.toml").stat().st_ino == before
    assert (words(server.folder), words(aside)) == ({"old"}, {"new"})


def test_going_back_uses_the_snapshot_up(server: Server) -> None:
    made = keep(server, "20260101-100000")
    swap_back(server, made.id)
    assert words(server.folder) == {"old"}
    assert list(server.snapshots.iterdir()) == []
    swap_back(server, made.id)
    assert words(server.folder) == {"old"}


class Cut(BaseException):
    """The moment at which a process was killed."""


@pytest.fixture
def cut(monkeypatch):
    """Let the n-th change of a name from now on be the last thing that happens."""
    left = [10**6]
    real = {name: getattr(os, name) for name in ("rename", "replace", "unlink", "rmdir", "mkdir")}

    def counted(name: str):
        def call(*args, **how):
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return real[name](*args, **how)

        return call

    for name in real:
        monkeypatch.setattr(os, name, counted(name))

    def after(count: int) -> None:
        left[0] = count

    return after


@pytest.mark.parametrize("count", range(40))
def test_going_back_can_be_cut_off_anywhere_and_done_again(server: Server, cut, count: int) -> None:
    made = keep(server, "20260101-100000")
    cut(count)
    try:
        swap_back(server, made.id)
    except Cut:
        cut(10**6)
        swap_back(server, made.id)
    cut(10**6)
    assert words(server.folder) == {"old"}
    assert list(server.snapshots.iterdir()) == []


@pytest.mark.parametrize("count", range(16))
@pytest.mark.parametrize("again", range(0, 16, 3))
def test_an_exchange_cut_off_anywhere_can_be_undone(server: Server, cut, count: int, again: int) -> None:
    incoming, outgoing = server.folder / ".restoring", server.folder / ".replaced"
    fill(incoming, "old", OLD)
    cut(count)
    try:
        exchange(server.folder, incoming, outgoing)
    except Cut:
        pass
    else:
        cut(10**6)
        assert words(server.folder) == {"old"}
        assert words(outgoing) == {"new"}
    cut(again)
    try:
        exchange(server.folder, outgoing, incoming)
    except Cut:
        cut(10**6)
        exchange(server.folder, outgoing, incoming)
    cut(10**6)
    assert words(server.folder) == {"new"}


@pytest.mark.parametrize("committed", [True, False])
def test_what_a_committed_restore_replaced_is_kept_also_when_it_was_cut_off(
    server: Server, *, committed: bool
) -> None:
    keep(server, "20260101-100000").path.rename(server.folder / ".replaced")
    if not committed:
        (server.folder / ".replaced/snapshot.json").unlink()
    restore._settle(str(server.folder / ".replaced"))
    assert not (server.folder / ".replaced").exists()
    assert [one.id for one in snapshots(server)] == (["20260101-100000"] if committed else [])
    restore._settle(str(server.folder / ".replaced"))


@pytest.mark.parametrize("place", ["", "copy"])
def test_a_damaged_database_of_a_snapshot_is_named_as_the_snapshots(
    server: Server, tmp_path: Path, place: str
) -> None:
    made = keep(server, "s1")
    copy = tmp_path / place if place else None
    private = (copy or made.path) / "state/private"
    private.mkdir(parents=True)
    with pytest.raises(ServerError, match=f"{made.path}/state/private/sam.ldb: it is missing"):
        require_sound_snapshot(server, made, copy)
    (private / "secrets.tdb").write_bytes(b"TDB file" + bytes(200))
    with pytest.raises(ServerError, match=f"{made.path}/state/private/secrets.tdb: .*header") as told:
        require_sound_snapshot(server, made, copy)
    assert "galaxy snapshots dc1" in told.value.hint


def test_a_damaged_history_keeps_nobody_from_a_snapshot(server: Server) -> None:
    (server.folder / "upgrades.jsonl").write_text("{")
    assert free_id(server) > "2026"


def test_what_cannot_be_made_a_snapshot_stays_and_is_told_of_as_often_as_asked(server, monkeypatch, capsys):
    def full(_server, _made):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(snapshot_module, "ref_of", lambda _server: "4.22.11")
    monkeypatch.setattr(snapshot_module, "shelve", full)
    aside = server.folder / ".aside"
    fill(aside, "written", NEW)
    for told in ("No space left", "the hold on clients was gone"):
        adopt_written(server, aside, "20260102T000000.0")
        assert told in capsys.readouterr().err
        assert words(server.folder / "written-20260102T000000.0") == {"written", "new"}
    assert snapshots(server) == ()

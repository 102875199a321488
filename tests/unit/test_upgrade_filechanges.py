"""Which files count as changed by people when somebody wants to go back."""

import os

import pytest

from galaxy.upgrade.filechanges import FileChange, file_changes


def test_files_are_compared_by_what_is_in_them(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        (folder / "state/sysvol/Policies").mkdir(parents=True)
        (folder / "state/sysvol/same").write_text("same")
        (folder / "state/sysvol/Policies/GPT.INI").write_text(f"Version={len(folder.name)}{folder.name}")
        (folder / "etc").mkdir()
        (folder / "etc/extra.conf").write_text(folder.name)
        (folder / "etc/smb.conf").write_text(folder.name)  # a list of its own
    (old / "state/sysvol/gone").touch()
    (new / "state/sysvol/scripts").mkdir()
    (new / "state/data").mkdir()
    (new / "state/data/important.txt").touch()
    assert list(file_changes(old, new)) == [
        FileChange(path="etc/extra.conf", what="changed"),
        FileChange(path="state/data", what="created"),
        FileChange(path="state/data/important.txt", what="created"),
        FileChange(path="state/sysvol/Policies/GPT.INI", what="changed"),
        FileChange(path="state/sysvol/gone", what="deleted"),
        FileChange(path="state/sysvol/scripts", what="created"),
    ]


@pytest.mark.parametrize(
    "own",
    [
        "state/account_policy.tdb",
        "state/private/sam.ldb.d/DC=X.ldb",
        "state/private/secrets.keytab",
        "state/private/msg.sock/17",
        "state/private/krb5.conf",
        "state/private/named.conf.update",
        "state/ntp_signd/socket",
    ],
)
def test_what_samba_writes_for_itself_is_nobodys_change(tmp_path, own):
    (tmp_path / "old").mkdir()
    (tmp_path / "new" / own).parent.mkdir(parents=True)
    (tmp_path / "new" / own).write_text("x")
    (tmp_path / "old/state/private").mkdir(parents=True)
    (tmp_path / "new/state/private").mkdir(parents=True, exist_ok=True)
    assert list(file_changes(tmp_path / "old", tmp_path / "new")) == []


def test_a_database_in_a_share_is_somebodys(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name / "state/data").mkdir(parents=True)
    (tmp_path / "new/state/data/mine.tdb").touch()
    assert list(file_changes(tmp_path / "old", tmp_path / "new")) == [
        FileChange(path="state/data/mine.tdb", what="created")
    ]


def test_a_certificate_of_ones_own_is(tmp_path):
    for name in ("old", "new"):
        (tmp_path / name / "state/private/tls").mkdir(parents=True)
        (tmp_path / name / "state/private/tls/cert.pem").write_text(name)
    assert list(file_changes(tmp_path / "old", tmp_path / "new")) == [
        FileChange(path="state/private/tls/cert.pem", what="changed")
    ]


def test_a_file_that_goes_while_it_is_compared_is_deleted(tmp_path, monkeypatch):
    for name in ("old", "new"):
        (tmp_path / name / "state/data").mkdir(parents=True)
        (tmp_path / name / "state/data/open.tmp").write_text("same")

    def gone(_one, other, shallow):
        raise FileNotFoundError(other)

    monkeypatch.setattr("filecmp.cmp", gone)
    assert list(file_changes(tmp_path / "old", tmp_path / "new")) == [
        FileChange(path="state/data/open.tmp", what="deleted")
    ]


def test_a_change_that_hides_behind_size_and_time_is_found(tmp_path):
    for name, version in (("old", "0"), ("new", "7")):
        (tmp_path / name / "state/sysvol").mkdir(parents=True)
        file = tmp_path / name / "state/sysvol/GPT.INI"
        file.write_text(f"Version={version}")
        os.utime(file, (1, 1))
    assert list(file_changes(tmp_path / "old", tmp_path / "new")) == [
        FileChange(path="state/sysvol/GPT.INI", what="changed")
    ]


def test_what_nobody_has_touched_since_is_not_compared_again(settle, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        (folder / "state").mkdir(parents=True)
        for name in ("a", "b", "gone"):
            (folder / "state" / name).write_text(folder.name)
    first = (new / "state/a").stat().st_ctime_ns
    settle()
    (new / "state/b").write_text("again")
    (new / "state/gone").unlink()
    assert [change.path for change in file_changes(old, new)] == ["state/a", "state/b", "state/gone"]
    assert [change.path for change in file_changes(old, new, first + 10**7)] == ["state/b", "state/gone"]


def test_pipes_and_devices_are_compared_by_their_kind(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        (folder / "state").mkdir(parents=True)
        os.mkfifo(folder / "state/pipe")
    os.mkfifo(old / "state/other")
    (new / "state/other").write_text("a file now")
    assert list(file_changes(old, new)) == [FileChange(path="state/other", what="changed")]

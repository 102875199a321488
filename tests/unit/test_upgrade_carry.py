"""What goes over when a DC joins anew: people's things, and none of the old databases that the join has made anew."""

import pytest

from galaxy.upgrade import carry
from galaxy.upgrade.carry import take_over

# By path: what is in the old folder, and what has to be in the new one afterwards.
GOES = {
    "state/sysvol/ad.example.org/script.bat": "people's",
    "state/shares/team/plan.txt": "people's",
    "state/private/tls/key.pem": "people's",
    "state/private/webserver.keytab": "people's",
    "state/private/idmap.ldb": "ids",
    "state/registry.tdb": "shares",
    "cache/samba-backup.tar.bz2": "a backup",
}
STAYS = {
    "state/private/sam.ldb": "the newer version's",
    "state/private/secrets.keytab": "the old account's",
    "state/share_info.tdb": "damaged",
    "state/winbindd_cache.tdb": "Samba's",
    "cache/gencache.tdb": "Samba's",
}
JOINED = (
    "state/private/sam.ldb",
    "state/private/secrets.keytab",
    "state/private/idmap.ldb",
    "state/share_info.tdb",
)


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.setattr(carry, "is_readable", lambda file: file.read_text() != "damaged")
    old, new = tmp_path / "old", tmp_path / "new"
    for root, files in ((old, {**GOES, **STAYS}), (new, dict.fromkeys(JOINED, "the join's"))):
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        (root / "cache").mkdir(exist_ok=True)
    (new / "state/sysvol/ad.example.org").mkdir(parents=True)
    return old, new


def test_all_that_is_peoples_goes_over_and_nothing_else(folders, capsys):
    old, new = folders
    take_over(old, new)
    for path, text in GOES.items():
        assert (new / path).read_text() == text
        assert not (old / path).exists()
    for path, text in STAYS.items():
        assert (old / path).read_text() == text
        assert (new / path).exists() == (path in JOINED)
    assert "share_info.tdb is damaged, and is not taken over" in capsys.readouterr().err


def test_what_was_cut_off_goes_on(folders, monkeypatch):
    old, new = folders
    with monkeypatch.context() as patch:
        seen = []

        def cut(folder):
            seen.append(folder)
            raise KeyboardInterrupt

        patch.setattr(carry, "sync_folder", cut)
        with pytest.raises(KeyboardInterrupt):
            take_over(old, new)
    (new / "state/sysvol/ad.example.org/written-later").touch()
    take_over(old, new)
    assert (new / "state/sysvol/ad.example.org/written-later").exists()
    assert all((new / path).read_text() == text for path, text in GOES.items())

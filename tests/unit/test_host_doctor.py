"""Doctor says what is missing, and what to do about it."""

import json
import os
import shutil
from types import SimpleNamespace

import pytest

from galaxy.host import doctor
from galaxy.host.doctor import attempt, examine, packages
from galaxy.host.errors import HostError
from galaxy.host.process import BASE_ENV
from galaxy.host.store import default_store


@pytest.fixture
def well(fake_bin, monkeypatch):
    """A host on which everything is there, as far as can be looked at without root."""
    for package in packages():
        if package.program:
            fake_bin(package.program)
    fake_bin("apt-get", 'echo "http://mirror.example/debian bookworm"')
    monkeypatch.setitem(BASE_ENV, "PATH", str(fake_bin.folder) + ":/bin")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(doctor, "_has_capability", lambda _number: True)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**10))
    return fake_bin


def findings():
    return {finding.name: finding for finding in examine(default_store())}


def test_a_well_host(well) -> None:
    assert [finding.name for finding in findings().values() if finding.necessary and not finding.ok] == []
    assert findings()["apt sources"].found == "1, the first: http://mirror.example/debian bookworm"


def test_a_missing_program_names_its_package(well, monkeypatch) -> None:
    (well.folder / "mksquashfs").unlink()
    monkeypatch.setitem(BASE_ENV, "PATH", str(well.folder))
    finding = findings()["mksquashfs"]
    assert (finding.found, finding.remedy) == ("missing", "apt-get install squashfs-tools")


def test_no_apt_source(well) -> None:
    well("apt-get")
    assert findings()["apt sources"].found == "apt has no sources"
    assert not findings()["apt sources"].ok


def test_apt_that_fails(well) -> None:
    well("apt-get", "echo E: broken list >&2; exit 100")
    assert "broken list" in findings()["apt sources"].found


def test_a_small_disk(well, monkeypatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: SimpleNamespace(free=10**9))
    finding = findings()["disk space"]
    assert finding.found.startswith("1.0 GB free")
    assert not finding.ok


def test_settings_that_cannot_be_taken(well, monkeypatch, tmp_path) -> None:
    assert findings()["settings"].ok
    file = tmp_path / "galaxy.toml"
    file.write_text("job = 1\n")
    monkeypatch.setenv("GALAXY_SETTINGS", str(file))
    assert findings()["settings"].found == f"{file}: job: unknown key"
    assert not findings()["settings"].ok


def test_what_fails_when_it_is_tried() -> None:
    def probe() -> str:
        raise HostError("no\nluck", "hint")

    finding = attempt("x", "y", "do z", probe)
    assert (finding.ok, finding.found, finding.remedy) == (False, "no luck", "do z")


def test_not_root_is_told_with_exit_code_3(well, monkeypatch, galaxy_command) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, out, err = galaxy_command("doctor")
    assert code == 3
    assert "MISSING  root" in out
    assert err.startswith("error: this host lacks: root")


def test_a_store_that_cannot_be_written_is_a_finding(monkeypatch, galaxy_command, well, tmp_path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("GALAXY_ROOT", str(tmp_path / "file/store"))
    code, out, err = galaxy_command("doctor")
    assert code == 3
    assert "MISSING  store" in out
    assert "store: Make the store writable." in out
    assert err.startswith("error: this host lacks: store")


def test_json(well, monkeypatch, galaxy_command) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    code, out, _ = galaxy_command("doctor", "--json")
    lines = {line["name"]: line for line in json.loads(out)}
    assert code == 3
    assert lines["root"]["ok"] is False
    assert lines["python"] == {
        "name": "python",
        "found": lines["python"]["found"],
        "needed": "3.11",
        "remedy": "",
        "necessary": True,
        "ok": True,
    }

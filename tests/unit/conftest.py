"""Unit tests need no root, no network and no Samba, and cannot run the real thing by accident.

An audit hook, active during each test, refuses programs that change a machine and connections that leave it.
A test that needs such a program puts a fake one in PATH with `fake_bin` and looks at what it was called with.
"""

import os
import stat
import subprocess  # noqa: TID251 - a process to be believed and to be ended
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from galaxy.cli.process import run_command_line
from galaxy.host import process
from galaxy.host.store import Store
from galaxy.server.config import HostNetwork, Server, ServerConfig
from galaxy.server.copying import PARTS

# Programs that touch nothing beyond the files they are given, so real ones do no harm.
HARMLESS = """
    sh bash dash cat cp mv rm ls ln mkdir chmod touch head tail sort tr sed grep cut echo printf env
    true false test sleep tar gzip xz bzip2 zstd gpg gpgv gpgconf gpg-agent sqv gcc cc ld as strip objcopy readelf
    mksquashfs unsquashfs dpkg dpkg-deb dpkg-query dpkg-source perl python3 openssl git uname ldconfig timeout
"""
_watched: list[Path] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watched:
        return
    if event in {"subprocess.Popen", "os.exec"}:
        tied = arguments[0] == process.TIE[0]
        _check_program(os.fspath(arguments[1][len(process.TIE)] if tied else arguments[0]))
    elif event == "socket.connect":
        _check_address(arguments[1])


def _check_program(program: str | bytes) -> None:
    path = Path(os.fsdecode(program))
    if (
        path.name not in HARMLESS.split()
        and not path.is_relative_to(_watched[0])
        and path != Path(sys.executable)
    ):
        found = [Path(folder) / path.name for folder in process.BASE_ENV["PATH"].split(":")]
        real = next((place for place in found if place.exists()), path)
        if not real.is_relative_to(_watched[0]):
            raise AssertionError(f"a unit test wants to run the real {path}: give it a fake_bin")


def _check_address(address: Any) -> None:
    if isinstance(address, tuple) and not str(address[0]).startswith(("127.", "::1", "localhost")):
        raise AssertionError(f"a unit test wants to connect to {address}")


sys.addaudithook(_audit)


@pytest.fixture(autouse=True)
def nothing_real(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Watch programs and connections; point the store and the settings at nothing."""
    place = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("GALAXY_ROOT", str(tmp_path_factory.mktemp("store") / "galaxy"))
    settings = place / "settings.toml"
    settings.touch()
    monkeypatch.setenv("GALAXY_SETTINGS", str(settings))
    _watched.append(place)
    yield
    _watched.clear()


class FakeBin:
    """Fake programs first in PATH; `calls(name)` is the argv of each call, without the program's name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, name: str, script: str = "") -> Path:
        """Put a program there: a shell script that notes its arguments and then does `script`."""
        path = self.folder / name
        note = f'for word; do printf "%s\\0" "$word"; done >>"{path}.calls"; printf "\\n\\0" >>"{path}.calls"'
        path.write_text(f"#!/bin/sh\n{note}\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return path

    def calls(self, name: str) -> list[list[str]]:
        """What the program was called with, oldest first."""
        file = self.folder / f"{name}.calls"
        text = file.read_text() if file.exists() else ""
        return [call.split("\0")[:-1] for call in text.split("\n\0")[:-1]]


@pytest.fixture
def fake_bin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeBin:
    folder = tmp_path / "fake-bin"
    folder.mkdir()
    path = f"{folder}:{process.BASE_ENV['PATH']}"
    monkeypatch.setitem(process.BASE_ENV, "PATH", path)  # type: ignore[arg-type]
    monkeypatch.setenv("PATH", path)
    return FakeBin(folder)


Runner = Callable[..., tuple[int, str, str]]


@pytest.fixture
def galaxy_command(capsys: pytest.CaptureFixture[str]) -> Runner:
    """Run galaxy's command line in this process: exit code, stdout, stderr."""

    def command(*arguments: str) -> tuple[int, str, str]:
        code = run_command_line(arguments)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture
def config_with() -> Callable[..., ServerConfig]:
    """A server's configuration; what is given replaces what it has."""
    usual = {
        "name": "dc1",
        "image_id": "ab" * 32,
        "realm": "AD.EXAMPLE.ORG",
        "domain": "AD",
        "hostname": "dc1",
        "address": "192.0.2.10",
        "created": datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    }
    return lambda **changes: ServerConfig.model_validate({**usual, **changes})


@pytest.fixture
def server(tmp_path: Path, config_with: Callable[..., ServerConfig]) -> Server:
    """A server on the host's network, in a store of its own, which has never run."""
    made = config_with(address="127.0.0.1", network=HostNetwork())
    found = Server(store=Store(root=tmp_path).ensure(), config=made)
    found.log.mkdir(parents=True)
    found.write()
    return found


@pytest.fixture
def bare_state(tmp_path: Path) -> Path:
    """The folders of a state, empty."""
    root = tmp_path / "source"
    for part in PARTS:
        (root / part).mkdir(parents=True)
    return root


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """An empty folder to copy into."""
    folder = tmp_path / "target"
    folder.mkdir()
    return folder


@pytest.fixture
def settle() -> Callable[[], None]:
    """Waits until a change would certainly get a later time than all before it."""

    def wait() -> None:
        deadline = time.monotonic() + 0.15
        while time.monotonic() < deadline:
            time.sleep(0.02)

    return wait


@pytest.fixture
def netcmd(tmp_path: Path) -> Path:
    """The folder of a package samba.netcmd below tmp_path, for a main.py of the test's own."""
    package = tmp_path / "samba" / "netcmd"
    package.mkdir(parents=True)
    (tmp_path / "samba" / "__init__.py").touch()
    (package / "__init__.py").touch()
    return package


@pytest.fixture
def sleeper() -> "Iterator[subprocess.Popen[bytes]]":
    """A process that is there."""
    argv = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as sleeping:
        assert sleeping.stdout is not None
        sleeping.stdout.readline()
        yield sleeping
        sleeping.kill()

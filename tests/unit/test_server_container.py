"""The OCI runtime's verbs, with a runtime that only notes what it is told."""

import pytest

from galaxy.host.errors import CommandTimeoutError, HostError
from galaxy.host.store import Store
from galaxy.server import config, container
from galaxy.server.config import HostNetwork, Server


@pytest.fixture
def server(tmp_path, config_with, monkeypatch):
    monkeypatch.setattr(config, "RUNTIME_ROOT", tmp_path / "runtime")
    return Server(store=Store(root=tmp_path).ensure(), config=config_with(network=HostNetwork()))


def test_no_runtime_is_told(monkeypatch):
    monkeypatch.setattr(container.shutil, "which", lambda *_args, **_kwargs: None)
    with pytest.raises(HostError, match="no OCI runtime"):
        container.runtime()


def test_a_container_that_is_not_there_is_deleted_already(server, fake_bin):
    fake_bin("runc")
    container.delete(server)
    assert fake_bin.calls("runc") == []


def test_what_does_not_end_in_time_is_ended_with_its_container(server, fake_bin):
    folder = server.runtime_root / server.container
    fake_bin("runc", f'case "$*" in *" run "*) mkdir -p "{folder}"; exec sleep 60;; esac')
    with pytest.raises(CommandTimeoutError):
        container.run_once(server, server.bundle, "", 0.5)
    assert fake_bin.calls("runc")[-1][-3:] == ["delete", "--force", server.container]

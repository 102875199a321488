"""Whether a server's configuration is known to start: what nothing has started with is no way back."""

import os

import pytest

from galaxy.host.errors import InputError
from galaxy.upgrade.preflight import require_tried

NOW = 1_700_000_000


@pytest.fixture
def started(server):
    """The server has started after everything in its configuration was written."""

    def with_conf(text):
        server.etc.mkdir(parents=True)
        (server.etc / "smb.conf").write_text(text)
        (server.etc / "extra.conf").write_text("")
        server.record.write_text("{}")
        for path in (server.etc / "smb.conf", server.etc / "extra.conf", server.etc):
            os.utime(path, (NOW, NOW))
        os.utime(server.record, (NOW + 1, NOW + 1))
        require_tried(server)
        return server

    return with_conf


def test_what_has_been_written_since_is_named(started):
    server = started("[global]\n")
    os.utime(server.etc / "smb.conf", (NOW + 2, NOW + 2))
    with pytest.raises(InputError, match=r"smb\.conf has been written to since dc1 started"):
        require_tried(server)


def test_what_nothing_includes_does_not_count(started):
    server = started("[global]\n")
    os.utime(server.etc / "extra.conf", (NOW + 2, NOW + 2))
    (server.etc / "new").touch()
    require_tried(server)


@pytest.mark.parametrize("name", ["extra.conf", "."])
def test_of_a_configuration_with_includes_all_counts(started, name):
    """A file that was removed shows in its folder."""
    server = started("[global]\ninclude = /etc/samba/extra.conf\n")
    os.utime(server.etc / name, (NOW + 2, NOW + 2))
    with pytest.raises(InputError, match="has been written to since dc1 started"):
        require_tried(server)

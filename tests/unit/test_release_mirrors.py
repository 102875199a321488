"""The host's mirrors, read from its apt configuration in both formats."""

import pytest

from galaxy.host.errors import HostError
from galaxy.release.mirrors import host_mirrors

DEB822 = """\
# a comment
Types: deb deb-src
# one inside
URIs: http://mirror.test/debian
Suites: bookworm
  bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def write(tmp_path, name, text):
    folder = tmp_path / "sources.list.d"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text)
    return tmp_path


def test_deb822_sources_are_read_with_their_keyring(tmp_path):
    mirrors = host_mirrors(write(tmp_path, "debian.sources", DEB822))
    keyring = "[signed-by=/usr/share/keyrings/debian-archive-keyring.gpg]"
    assert mirrors.line("deb", "trixie") == f"deb {keyring} http://mirror.test/debian trixie main"
    assert mirrors.line("deb-src", "trixie-security") == (
        f"deb-src {keyring} http://mirror.test/debian-security trixie-security main"
    )


def test_one_line_sources_are_read_without_a_keyring(tmp_path):
    (tmp_path / "sources.list").write_text(
        "# deb http://old.test/debian stretch main\n"
        "deb [arch=amd64 trusted=yes] http://mirror.test/debian/ stable main # ours\n"
        "deb http://mirror.test/debian-security/ stable-security main\n"
    )
    mirrors = host_mirrors(tmp_path)
    assert mirrors.line("deb", "sid") == "deb [trusted=yes] http://mirror.test/debian/ sid main"
    assert mirrors.line("deb", "trixie-security").startswith("deb http://mirror.test/debian-security/ ")


def test_other_peoples_archives_are_not_taken_for_debian(tmp_path):
    (tmp_path / "sources.list").write_text(
        "deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://vendor.test/apt bookworm main\n"
        "deb https://vendor.test/debian nodistro main\n"
        "deb http://mirror.test/debian bookworm contrib\n"
    )
    with pytest.raises(HostError, match="no Debian archive"):
        host_mirrors(tmp_path)


def test_a_disabled_archive_does_not_count(tmp_path):
    text = DEB822.replace("Types: deb\n", "Enabled: no\nTypes: deb\n")
    with pytest.raises(HostError, match="no mirror of this host serves trixie-security"):
        host_mirrors(write(tmp_path, "debian.sources", text)).line("deb", "trixie-security")


def test_a_host_without_apt_sources_is_told_what_is_missing(tmp_path):
    with pytest.raises(HostError) as caught:
        host_mirrors(tmp_path)
    assert caught.value.hint.startswith("Add a Debian mirror")

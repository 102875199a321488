"""A build root that lacks its suite's newer packages is told of, and made anew when that is wanted."""

from pathlib import Path

import pytest

from galaxy.build.renew import renew_root, tell_age
from galaxy.build.root import BuildRoot, ensure_root
from galaxy.build.sandbox import layered
from galaxy.host.errors import InputError
from galaxy.host.journal import journal
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release.apt import apt_state

SUITE, PACKAGES = "bookworm", ("dash",)


@pytest.fixture
def own(tmp_path: Path, store: Store) -> Store:
    """A store with roots of its own; the package indexes are the shared store's."""
    own = Store(root=tmp_path / "store").ensure()
    own.apt.symlink_to(store.apt)
    return own


def made(store: Store, settings: Settings) -> BuildRoot:
    apt_state(store, settings).ensure()
    return ensure_root(store, settings, SUITE, PACKAGES)


def age(root: BuildRoot) -> None:
    """Let the root's dpkg have an older dash, as if it had been made before that was updated."""
    status = root.path / "var/lib/dpkg/status"
    head, found, rest = status.read_text(encoding="utf-8").partition("Package: dash\n")
    assert found
    version, newline, rest = rest.partition("Version: ")[2].partition("\n")
    assert version
    fields = "Status: install ok installed\nArchitecture: amd64\nMaintainer: nobody\nDescription: shell\nVersion: 0.1"
    rest = rest.partition("\n\n")[2]
    status.write_text(f"{head}{found}{fields}{newline}\n{rest}", encoding="utf-8")
    (root.path.parent / "packages.json").touch()


def test_a_root_that_has_aged_is_told_of_and_renewed(
    own: Store, settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = made(own, settings)
    tell_age(own, settings, root, "renew it")
    assert "newer packages" not in capsys.readouterr().err
    age(root)
    tell_age(own, settings, root, "renew it")
    assert "lacks 1 newer packages: dash=" in (told := capsys.readouterr().err)
    assert "renew it" in told
    with (
        journal(own, "build", "test") as entry,
        layered(root.path, tmp_path / "work", entry),
        pytest.raises(InputError, match="a build is at work"),
    ):
        renew_root(own, settings, root, PACKAGES)
    renew_root(own, settings, root, PACKAGES)
    tell_age(own, settings, made(own, settings), "renew it")
    assert "newer packages" not in capsys.readouterr().err
    assert made(own, settings).packages == root.packages
    assert [path.name for path in own.roots.iterdir()] == [root.path.parent.name]
    assert list(own.journal.iterdir()) == []

"""A source tree on disk."""

import os

import pytest

from galaxy.host.errors import InputError
from galaxy.host.journal import journal
from galaxy.host.store import Store
from galaxy.release.directory import DirectorySource
from galaxy.release.stated import version_in

VERSION = (
    "SAMBA_VERSION_MAJOR=4\nSAMBA_VERSION_MINOR=23\nSAMBA_VERSION_RELEASE=0\nSAMBA_VERSION_RC_RELEASE=\n"
)


@pytest.fixture
def tree(tmp_path):
    top = tmp_path / "samba"
    (top / "buildtools").mkdir(parents=True)
    (top / "VERSION").write_text(VERSION)
    (top / "source4").mkdir()
    (top / "source4" / "a.c").write_text("int a;\n")
    (top / "link").symlink_to("source4/a.c")
    return top


def digest(tree):
    source = DirectorySource(tree)
    return source.describe(source.releases()[0]).digest


def test_the_tree_says_which_version_it_is(tree):
    assert [str(release.version) for release in DirectorySource(tree).releases()] == ["4.23.0"]
    assert str(version_in(VERSION.replace("RC_RELEASE=", "RC_RELEASE=2"))) == "4.23.0rc2"


def test_a_folder_that_is_no_samba_source_is_refused(tmp_path):
    with pytest.raises(InputError, match="not a Samba source tree"):
        DirectorySource(tmp_path).releases()


def test_times_and_left_overs_of_a_build_do_not_count(tree):
    before = digest(tree)
    os.utime(tree / "VERSION", (1, 1))
    (tree / "bin").mkdir()
    (tree / "bin" / "smbd").write_text("made")
    (tree / "source4" / "__pycache__").mkdir()
    (tree / "source4" / "__pycache__" / "x.pyc").write_text("made")
    assert digest(tree) == before


@pytest.mark.parametrize("change", ["content", "mode", "name", "link", "deep bin"])
def test_whatever_the_build_would_see_counts(tree, change):
    before = digest(tree)
    file = tree / "source4" / "a.c"
    if change == "content":
        file.write_text("int b;\n")
    elif change == "mode":
        file.chmod(0o755)
    elif change == "name":
        file.rename(tree / "source4" / "b.c")
    elif change == "link":
        (tree / "link").unlink()
        (tree / "link").symlink_to("VERSION")
    else:
        (tree / "source4" / "bin").mkdir()
        (tree / "source4" / "bin" / "tool").write_text("part of the source")
    assert digest(tree) != before


def test_a_copy_is_taken_without_what_is_no_source(tree, tmp_path):
    (tree / ".git").mkdir()
    (tree / ".git" / "HEAD").write_text("ref")
    (tree / "source4" / "bin").mkdir()
    (tree / "source4" / "bin" / "tool").write_text("part of the source")
    source = DirectorySource(tree)
    spec = source.describe(source.releases()[0])
    with journal(Store(root=tmp_path / "store"), "build", "test") as entry:
        copy = source.fetch(spec, entry, tmp_path / "work" / "samba").path
    assert (copy / "link").is_symlink()
    assert (copy / "source4" / "bin" / "tool").exists()
    assert not (copy / ".git").exists()


def test_a_tree_that_changes_while_it_is_read_is_refused_and_the_copy_goes(tree, tmp_path):
    source = DirectorySource(tree)
    spec = source.describe(source.releases()[0])
    (tree / "source4" / "a.c").write_text("int other;\n")
    into = tmp_path / "work" / "samba"
    store = Store(root=tmp_path / "store")
    with (
        pytest.raises(InputError, match="was changed while it was read"),
        journal(store, "build", "test") as entry,
    ):
        source.fetch(spec, entry, into)
    assert not into.exists()


def test_names_of_any_bytes_count(tree):
    before = digest(tree)
    (tree / os.fsdecode(b"caf\xe9.c")).write_text("int b;")
    assert digest(tree) != before


def test_a_file_that_cannot_be_read_is_named(tree, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("galaxy.release.directory.sha256_file", refuse)
    with pytest.raises(InputError, match="cannot be read: Permission denied"):
        digest(tree)

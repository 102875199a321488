"""The recipes cover every Samba from 4.0 on, without gaps and overlaps."""

import re

import pytest

from galaxy.host.errors import BuildError, InputError
from galaxy.release.recipe import recipe_for, recipes
from galaxy.release.version import Version


def test_ranges_meet_without_gap_or_overlap():
    rows = recipes()
    assert rows[0].since == "4.0.0"
    assert [row.before for row in rows[:-1]] == [row.since for row in rows[1:]]
    assert rows[-1].before == ""


@pytest.mark.parametrize(
    ("version", "suite"),
    [
        ("4.0.0", "jessie"),
        ("4.10.18", "buster"),
        ("4.13.17", "bullseye"),
        ("4.17.12", "bookworm"),
        ("4.19.9", "bookworm"),
        ("4.20.0rc1", "trixie"),
        ("4.22.11", "trixie"),
        ("4.24.7", "trixie"),
    ],
)
def test_a_version_is_built_in_the_suite_of_its_range(version, suite):
    assert recipe_for(Version.parse(version)).suite == suite


def test_a_version_before_the_first_row_has_no_recipe():
    with pytest.raises(BuildError, match=r"no recipe covers Samba 3\.6\.25"):
        recipe_for(Version.parse("3.6.25"))


def test_rows_that_nobody_could_try_are_marked_and_say_why():
    unexercised = [row for row in recipes() if not row.exercised]
    assert {row.covers for row in unexercised} >= {"4.0 to 4.2", "4.11 to 4.13"}
    assert all(row.note for row in unexercised)


def test_every_recipe_builds_with_the_paths_that_all_images_share():
    shared = {
        "--with-statedir=/var/lib/samba",
        "--with-privatedir=/var/lib/samba/private",
        "--with-piddir=/run/samba",
    }
    assert all(shared <= set(row.options) for row in recipes())


def left_out(name):
    return any(re.search(pattern, name) for pattern in recipes()[-1].left_out)


@pytest.mark.parametrize(
    "name",
    [
        "smbtorture",
        "fuzz_ndr_drsuapi",
        "ldbtest",
        "test_oLschema2ldif",
        "replace_testsuite",
        "rpc_torture",
        "nmbd/nmbd",
        "client/cifsdd",
        "dlz_bind9_18",
        "vfs_snapper",
        "nss_winbind",
        "ctdbd",
    ],
)
def test_what_no_domain_controller_needs_is_left_out(name):
    assert left_out(name)


@pytest.mark.parametrize(
    "name",
    [
        "samba",
        "smbd/smbd",
        "winbindd",
        "testparm",
        "rpcd_classic",
        "samba-dcerpcd",
        "net",
        "ntlm_auth",
        "ldbsearch",
        "tdbbackup",
        "vfs_acl_xattr",
        "vfs_shadow_copy2",
        "vfs_recycle",
        "vfs_fruit",
        "idmap_ad",
        "ldb_password_hash",
        "python_dsdb",
        "service_ntp_signd",
        "ctdb-system",
        "pdbedit",
        "client/smbclient",
        "wbinfo",
    ],
)
def test_what_a_domain_controller_needs_stays(name):
    assert not left_out(name)


def test_a_row_may_be_like_another():
    rows = {row.covers: row for row in recipes()}
    assert rows["4.23 to 4.24.6"].dependencies == rows["4.20 to 4.22.10"].dependencies
    assert not rows["4.23 to 4.24.6"].exercised
    assert {"4.22 from 4.22.11 on", "4.24.7 and later", "4.14 to 4.16"} <= set(rows)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ('like = "4.9.0"', "no row of its own"),
        ('like = "4.0.0"\nsuite = "sid"', "says"),
        ("", "has no suite"),
    ],
)
def test_a_row_that_is_like_nothing_is_refused(tmp_path, more, why):
    file = tmp_path / "recipes.toml"
    common = '[common]\ndependencies=[]\noptions=[]\ncflags=""\nldflags=""\nleft_out=[]\n'
    first = '[[recipe]]\nsince="4.0.0"\nbefore="4.5.0"\nsuite="jessie"\nexercised=false\n'
    file.write_text(f'{common}{first}[[recipe]]\nsince="4.5.0"\nexercised=false\n{more}\n')
    with pytest.raises(InputError, match=why):
        recipes(file)


def test_an_unknown_key_in_a_recipe_file_is_named(tmp_path):
    file = tmp_path / "recipes.toml"
    file.write_text(
        'recipe = []\n[common]\ndependencies=[]\noptions=[]\ncflags=""\nldflags=""\nleft_out=[]\ncolour="red"\n'
    )
    with pytest.raises(InputError, match=r"common\.colour"):
        recipes(file)

"""The list of checks: ids, areas, and the rules that hold for all of them."""

from pathlib import Path

import pytest

from galaxy.host.errors import InputError
from verify.check import check
from verify.expected import KNOWN_FOLDER, load_expected
from verify.listing import all_checks


def written(folder: Path, area: str, *ids: str) -> Path:
    body = "from verify.check import check\n"
    for number, name in enumerate(ids):
        body += f'@check("{name}", loses="much")\ndef test_{number}(): pass\n'
    (folder / area).mkdir()
    (folder / area / "test_some.py").write_text(body)
    return folder


def test_the_suite_is_as_large_as_promised() -> None:
    checks = all_checks()
    assert len(checks) >= 70
    assert len({info.area for info in checks}) >= 9


def test_a_checkpoint_ends_with_the_database() -> None:
    assert "health.dbcheck" in {info.id for info in all_checks() if info.last}


def test_known_failures_name_checks_that_exist() -> None:
    rows = load_expected(KNOWN_FOLDER, {info.id for info in all_checks()}).rows
    assert all(row.reason and row.reference for row in rows)


def test_checks_are_read_without_running_them(tmp_path: Path) -> None:
    [info] = all_checks(written(tmp_path, "ldap", "ldap.one"))
    assert (info.id, info.area, info.loses, info.tier) == ("ldap.one", "ldap", "much", "standard")


def test_two_checks_may_not_share_an_id(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ldap\.one"):
        all_checks(written(tmp_path, "ldap", "ldap.one", "ldap.one"))


def test_a_check_stands_in_its_areas_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dns\.one"):
        all_checks(written(tmp_path, "ldap", "dns.one"))


@pytest.mark.parametrize("name", ["ldap", "LDAP.one", "ldap.", "ldap.one.two", "ldap.one_two"])
def test_ids_have_one_form(name: str) -> None:
    with pytest.raises(InputError, match="not a check id"):
        check(name, loses="much")


def test_a_check_says_what_is_lost() -> None:
    with pytest.raises(InputError, match="lose"):
        check("ldap.one", loses="")


def test_tiers_contain_each_other() -> None:
    smoke = next(info for info in all_checks() if info.tier == "smoke")
    full = next(info for info in all_checks() if info.tier == "full")
    assert smoke.within("full")
    assert not full.within("smoke")

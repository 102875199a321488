"""What is being checked: the target's file, and expectations by version."""

from dataclasses import replace
from pathlib import Path

import pytest

from galaxy.host.errors import InputError
from galaxy.release.version import Version
from verify.clients.descriptor import sid_text
from verify.target import Target, load_target, prefix_shell

GOOD = """
address = "192.0.2.7"
fqdn = "DC1.Example.test"
realm = "example.test"
domain = "example"
password_file = "password"
"""


def written(folder: Path, text: str, password: str = "Secret-1\n") -> Path:
    (folder / "password").write_text(password)
    file = folder / "target.toml"
    file.write_text(text)
    return file


def test_a_file_says_little_and_the_rest_follows(tmp_path: Path) -> None:
    target = load_target(written(tmp_path, GOOD))
    assert (target.realm, target.domain, target.fqdn) == ("EXAMPLE.TEST", "EXAMPLE", "dc1.example.test")
    assert (target.base_dn, target.hostname) == ("DC=example,DC=test", "dc1")
    assert (target.admin_principal, target.password) == ("Administrator@EXAMPLE.TEST", "Secret-1")
    assert target.version is None
    assert target.shell is None


def test_the_password_is_not_shown(tmp_path: Path) -> None:
    assert "Secret-1" not in repr(load_target(written(tmp_path, GOOD)))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (GOOD + 'colour = "red"\n', "colour: unknown key"),
        (GOOD.replace('realm = "example.test"\n', ""), "realm"),
        (GOOD + 'shell = "nsenter"\n', "shell"),
        (GOOD + 'shell = ["/nonexistent"]\n', "shell: there is no program /nonexistent"),
        (GOOD + 'log_folder = "nonexistent"\n', "log_folder: there is no .*nonexistent"),
        (GOOD + 'forwarder = "ns1"\n', "forwarder: 'ns1' is not an IPv4 address"),
        (GOOD + "pid = 999999999\n", "pid: there is no /proc/999999999"),
        (GOOD + "version = 4.22\n", "version"),
        ("this is not TOML", "is not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused_by_name(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        load_target(written(tmp_path, text))


@pytest.mark.parametrize("password", ["", "\n"])
def test_an_empty_password_is_refused(tmp_path: Path, password: str) -> None:
    with pytest.raises(InputError, match="has no password in it"):
        load_target(written(tmp_path, GOOD, password))


def test_a_missing_password_file_is_named(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD)
    (tmp_path / "password").unlink()
    with pytest.raises(InputError, match="password"):
        load_target(file)


def at(version: str) -> Target:
    return Target(
        address="192.0.2.7",
        fqdn="dc1.example.test",
        realm="EXAMPLE.TEST",
        domain="EXAMPLE",
        base_dn="DC=example,DC=test",
        admin_user="Administrator",
        password="x",
        version=Version.parse(version) if version else None,
    )


@pytest.mark.parametrize(
    ("version", "expected"), [("4.17.12", "old"), ("4.20.99", "old"), ("4.21.0", "new"), ("4.24.7", "new")]
)
def test_a_version_gate_is_an_expectation(version: str, expected: str) -> None:
    assert at(version).expect(old="old", new="new", since="4.21") == expected


def test_another_vendor_counts_as_the_newest() -> None:
    assert at("").since("4.99")


def test_a_shell_puts_its_prefix_before_the_command(tmp_path: Path) -> None:
    done = prefix_shell(["env", "WHERE=inside"])("sh", "-c", "echo $WHERE")
    assert done.stdout == "inside\n"


def test_one_server_is_one_target_whatever_the_shell(tmp_path: Path) -> None:
    """What the checks of a place share is found by the target, and a scenario makes a new shell for each check."""
    server = load_target(written(tmp_path, GOOD))
    assert replace(server, shell=prefix_shell(["a"])) == replace(server, shell=prefix_shell(["a"]))


def test_a_sid_reads_as_text() -> None:
    raw = bytes.fromhex("01050000000000051500000056683b0d772ebd53d6942d94f4010000")
    assert sid_text(raw) == "S-1-5-21-221997142-1404907127-2486015190-500"

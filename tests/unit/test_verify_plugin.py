"""The plugin with checks of its own making: outcomes, order, results, secrets, workers."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest

import verify.plugin  # its libraries take long to load: once for all runs, not once a run
from verify.clients import reach

pytest_plugins = ["pytester"]

HEADER = """
import os, pytest
from verify.check import check, Blocked, NotApplicable
"""
BORROWED = "ldap.rootdse"  # rows of known failures must name a check of the real suite


@pytest.fixture(autouse=True)
def only_the_plugins_that_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as galaxy runs pytest, and without the seconds that other plugins take to load."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


def run(pytester: pytest.Pytester, body: str, *options: str) -> tuple[pytest.RunResult, dict[str, Any]]:
    """Run checks; returns pytest's result and the lines of results.jsonl by check id."""
    pytester.makepyfile(test_made=HEADER + body)
    folder = pytester.path / "results"
    done = pytester.runpytest(
        "-p", "verify.plugin", "-p", "no:cacheprovider", "--results", str(folder), *options
    )
    file = folder / "results.jsonl"
    lines = file.read_text().splitlines() if file.exists() else []
    return done, {line["id"]: line for line in map(json.loads, lines)}


def made(name: str, does: str, **more: object) -> str:
    arguments = "".join(f", {key}={value!r}" for key, value in more.items())
    function = "test_" + name.replace(".", "_").replace("-", "_")
    return f'@check("{name}", loses="much"{arguments})\ndef {function}():\n    {does}\n'


def known(folder: Path, **row: object) -> str:
    body = {
        "check": BORROWED,
        "kind": "known",
        "reason": "because",
        "reference": "bug 1",
        "saying": "",
        **row,
    }
    folder.mkdir()
    lines = [f"{key} = {json.dumps(value)}" for key, value in body.items()]
    (folder / "rows.toml").write_text("[[row]]\n" + "\n".join(lines))
    return str(folder)


def test_each_outcome_has_its_word(pytester: pytest.Pytester) -> None:
    body = (
        made("a.passes", "pass")
        + made("a.fails", "assert 1 == 2, 'one is not two'")
        + made("a.cannot", "raise NotApplicable('no shell')")
        + made("a.after", "raise Blocked('step failed')")
        + made("a.skips", "pytest.skip('not today')")
        + made("a.breaks", "raise OSError('wire cut')")
    )
    done, lines = run(pytester, body)
    assert {name: line["outcome"] for name, line in lines.items()} == {
        "a.passes": "passed",
        "a.fails": "failed",
        "a.cannot": "not-applicable",
        "a.after": "blocked",
        "a.skips": "failed",
        "a.breaks": "failed",
    }
    assert lines["a.fails"]["message"].startswith("one is not two")
    assert lines["a.cannot"]["message"] == "no shell"
    assert "may not skip" in lines["a.skips"]["message"]
    assert lines["a.breaks"]["message"] == "OSError: wire cut"
    assert (lines["a.passes"]["cell"], lines["a.passes"]["checkpoint"]) == ("target", "now")
    assert done.ret == pytest.ExitCode.TESTS_FAILED


def test_what_is_not_applicable_does_not_fail_a_run(pytester: pytest.Pytester) -> None:
    done, _lines = run(pytester, made("a.cannot", "raise NotApplicable('no shell')"))
    assert done.ret == pytest.ExitCode.OK


def test_a_run_without_checks_fails(pytester: pytest.Pytester) -> None:
    done, lines = run(pytester, "")
    assert done.ret == pytest.ExitCode.NO_TESTS_COLLECTED
    assert lines == {}


@pytest.mark.parametrize("workers", [(), ("-p", "xdist.plugin", "-n", "1")])
@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("import no_such_module", "no_such_module"),
        ("import pytest\npytest.skip('not today', allow_module_level=True)", "not today"),
    ],
)
def test_a_file_of_checks_that_cannot_be_loaded_ends_the_run(
    pytester: pytest.Pytester, workers: tuple[str, ...], body: str, why: str
) -> None:
    pytester.makepyfile(test_broken=body)
    done, lines = run(pytester, made("a.passes", "pass"), *workers)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"ERROR: test_broken.py cannot be loaded: *{why}*"])
    assert lines == {}


def test_a_known_failure_is_known(pytester: pytest.Pytester) -> None:
    rows = known(pytester.path / "known")
    done, lines = run(pytester, made(BORROWED, "assert False, 'as ever'"), "--known", rows)
    assert lines[BORROWED]["outcome"] == "known"
    assert "because (bug 1)" in lines[BORROWED]["message"]
    assert done.ret == pytest.ExitCode.OK


def test_a_known_failure_that_passes_fails_the_run(pytester: pytest.Pytester) -> None:
    rows = known(pytester.path / "known")
    done, lines = run(pytester, made(BORROWED, "pass"), "--known", rows)
    assert lines[BORROWED]["outcome"] == "failed"
    assert done.ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize("does", ["pass", "assert False"])
def test_what_flaps_is_never_green(pytester: pytest.Pytester, does: str) -> None:
    rows = known(pytester.path / "known", kind="flapping")
    _done, lines = run(pytester, made(BORROWED, does), "--known", rows)
    assert lines[BORROWED]["outcome"] == "known"
    assert "flapping" in lines[BORROWED]["message"]


@pytest.mark.parametrize(
    "where",
    [{"cell": "upgrade.*"}, {"saying": "another word"}, {"checkpoint": "later"}, {"versions": ["<4.20"]}],
)
def test_a_row_for_elsewhere_excuses_nothing(pytester: pytest.Pytester, where: dict[str, object]) -> None:
    rows = known(pytester.path / "known", **where)
    _done, lines = run(pytester, made(BORROWED, "assert False"), "--known", rows)
    assert lines[BORROWED]["outcome"] == "failed"


@pytest.mark.parametrize(
    ("row", "part"),
    [
        ({"check": "ldap.no-such"}, "there is no check ldap.no-such"),
        ({"colour": "red"}, "colour"),
        ({"kind": "perhaps"}, "kind"),
        ({"saying": "("}, "is not a regular expression"),
        ({"versions": ["4.20"]}, "is not a comparison"),
    ],
)
def test_a_wrong_row_ends_the_run(pytester: pytest.Pytester, row: dict[str, object], part: str) -> None:
    rows = known(pytester.path / "known", **row)
    done, lines = run(pytester, made("a.passes", "pass"), "--known", rows)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*{part}*"])
    assert lines == {}


def test_what_must_be_last_is_last(pytester: pytest.Pytester) -> None:
    _done, lines = run(pytester, made("a.database", "pass", last=True) + made("a.other", "pass"))
    assert list(lines) == ["a.other", "a.database"]


def test_a_tier_leaves_out_what_is_above_it(pytester: pytest.Pytester) -> None:
    body = (
        made("a.first", "pass", tier="smoke")
        + made("a.second", "pass")
        + made("a.third", "pass", tier="full")
    )
    _done, lines = run(pytester, body, "--tier", "standard")
    assert list(lines) == ["a.first", "a.second"]


def test_checks_are_chosen_by_id(pytester: pytest.Pytester) -> None:
    body = made("a.first", "pass") + made("a.second-one", "pass")
    _done, lines = run(pytester, body, "-k", "a.second-one")
    assert list(lines) == ["a.second-one"]


def test_two_checks_with_one_id_are_refused(pytester: pytest.Pytester) -> None:
    body = made("a.same", "pass") + made("a.same", "pass").replace("def test_", "def test_other_")
    done, _lines = run(pytester, body)
    assert done.ret == pytest.ExitCode.USAGE_ERROR


def test_a_check_without_a_server_is_blocked(pytester: pytest.Pytester) -> None:
    body = made("a.asks", "pass").replace("():", "(target):")
    _done, lines = run(pytester, body)
    assert lines["a.asks"]["outcome"] == "blocked"
    assert "--target" in lines["a.asks"]["message"]


def test_passwords_stay_out_of_everything(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify.plugin, "silence", lambda _address: "")
    monkeypatch.setattr(verify.plugin, "_mismatch", lambda _target: "")
    secret = "Top-Secret-99"
    (pytester.path / "password").write_text(secret)
    (pytester.path / "target.toml").write_text(
        'address="192.0.2.7"\nfqdn="dc1.a.test"\nrealm="A.TEST"\ndomain="A"\npassword_file="password"\n'
        'version="4.22.11"\n'
    )
    body = made("a.leaks", f"print('{secret[:3]}' + '{secret[3:]}')\n    assert target.password == 'x'")
    done, lines = run(
        pytester,
        body.replace("():", "(target):"),
        "--target",
        str(pytester.path / "target.toml"),
        "--junitxml=j",
    )
    assert lines["a.leaks"]["outcome"] == "failed"
    for text in (json.dumps(lines), done.stdout.str(), (pytester.path / "j").read_text()):
        assert secret not in text
    assert "********" in done.stdout.str()


def test_workers_report_to_one_file(pytester: pytest.Pytester) -> None:
    body = "".join(made(f"a.number-{number}", "pass") for number in range(6)) + made(
        "a.fails", "assert False"
    )
    _done, lines = run(pytester, body, "-n", "2", "-p", "xdist.plugin")
    assert len(lines) == 7
    assert lines["a.fails"]["outcome"] == "failed"


def test_a_worker_that_dies_leaves_a_failure(pytester: pytest.Pytester) -> None:
    body = made("a.dies", "os._exit(3)") + made("a.lives", "pass")
    done, lines = run(pytester, body, "-n", "1", "-p", "xdist.plugin")
    assert lines["a.dies"]["outcome"] == "failed"
    assert lines["a.lives"]["outcome"] == "passed"
    assert done.ret == pytest.ExitCode.TESTS_FAILED


TARGET_FILE = """
address = "127.0.0.77"
fqdn = "dc1.example.test"
realm = "EXAMPLE.TEST"
domain = "EXAMPLE"
password_file = "password"
version = "4.22.11"
"""
TWO_CHECKS = "".join(
    f'@check("a.{name}", loses="much")\ndef test_{name}(target):\n    assert target.fqdn\n'
    for name in ("x", "y")
)


@pytest.fixture
def target_file(pytester: pytest.Pytester) -> str:
    (pytester.path / "password").write_text("Secret-1\n")
    file = pytester.path / "target.toml"
    file.write_text(TARGET_FILE)
    return str(file)


def test_a_dead_address_blocks_everything_for_one_reason(pytester: pytest.Pytester, target_file: str) -> None:
    done, lines = run(pytester, TWO_CHECKS, "--target", target_file)
    assert done.ret == pytest.ExitCode.TESTS_FAILED
    assert {line["outcome"] for line in lines.values()} == {"blocked"}
    (why,) = {line["message"] for line in lines.values()}
    assert why.startswith("no domain controller answers at 127.0.0.77: LDAP (Connection refused), SMB (")


def test_one_service_that_answers_is_enough(
    pytester: pytest.Pytester, target_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.77", 0)) as served:
        port = served.getsockname()[1]
        monkeypatch.setattr(reach, "_PORTS", {port: "LDAP", 1: "SMB"})
        monkeypatch.setattr(verify.plugin, "_mismatch", lambda _target: "")
        _, lines = run(pytester, TWO_CHECKS, "--target", target_file)
    assert {line["outcome"] for line in lines.values()} == {"passed"}


def test_a_target_that_is_another_one_blocks_everything(
    pytester: pytest.Pytester, target_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verify.plugin, "silence", lambda _address: "")
    monkeypatch.setattr(verify.plugin, "_mismatch", lambda target: f"{target.realm} is not its realm")
    _, lines = run(pytester, TWO_CHECKS, "--target", target_file)
    assert {(line["outcome"], line["message"]) for line in lines.values()} == {
        ("blocked", "EXAMPLE.TEST is not its realm")
    }


@pytest.mark.parametrize("workers", [(), ("-p", "xdist.plugin", "-n", "1")])
def test_garbage_is_looked_for_while_checks_run(pytester: pytest.Pytester, workers: tuple[str, ...]) -> None:
    pytester.makeconftest(
        "import gc, os, pathlib\n"
        "def pytest_runtest_logreport():\n"
        "    pathlib.Path(__file__).with_name(f'gc-{os.getpid()}').write_text(str(gc.isenabled()))\n"
    )
    run(pytester, made("a.check", "pass"), *workers)
    told = [file.read_text() for file in pytester.path.glob("gc-*")]
    assert told == ["True"] * (2 if workers else 1), "in a process of the run nothing is collected any more"

"""The administrators' commands: the table, what is made of an answer, and the script that runs them inside."""

import json
import re
import shlex
import sys
import time
from pathlib import Path

import pytest

from galaxy.host.process import run
from galaxy.server.script import with_samba_tool
from scenarios import commands as module
from scenarios.catalogue.tools import TOOLS
from scenarios.commands import Command, commands

TOPICS = sorted(path.stem for path in Path(module.__file__).parent.joinpath("tools").glob("*.toml"))
ROWS = [row for topic in TOPICS for row in commands(topic)]
KNOWN = {
    "address": "192.0.2.1",
    "fqdn": "dc1.ad.example.org",
    "realm": "ad.example.org",
    "workgroup": "AD",
    "base": "DC=ad,DC=example,DC=org",
    "policy": "{31B2}",
    "folder": "/var/cache/samba/tools",
    "admin": "-UAdministrator%Word-1",
    "login": "Administrator Word-1",
    "password": "Word-1",
    "secret": "Word-2",
    "secret2": "Word-3",
}
SCRIPT = Path(module.__file__).parent / "inside" / "commands.py"


def test_the_scenario_does_every_topic():
    steps = {step.name for step in TOOLS.steps}
    assert set(TOPICS) <= steps


def judged(row, said, code=0):
    return module._wrong(row, {"code": code, "said": said}, KNOWN)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.run[:60])
def test_every_row_can_be_filled_in(row):
    words = module._words(row.run, KNOWN)
    assert words
    assert not [word for word in words if re.search(r"\{[a-z]", word)], f"left over in {words}"
    assert re.compile(module._filled(row.says, KNOWN))
    assert re.compile(module._filled(row.no, KNOWN))
    row.given.format_map(KNOWN)
    row.password.format_map(KNOWN)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.run.startswith("samba-tool ")], ids=str)
def test_programs_get_no_password_in_their_words(row):
    told = [word for word in module._words(row.run, KNOWN) if re.search(r"Word-\d", word)]
    assert not told


def test_what_several_words_stand_for_are_several_words():
    words = module._words("samba-tool gpo show {policy} {ldap}", KNOWN)
    assert words[3:] == ["{31B2}", "-H", "ldap://192.0.2.1", "-UAdministrator%Word-1"]


@pytest.mark.parametrize(
    ("row", "said", "code", "why"),
    [
        (Command(run="x", says="made"), "made", 1, "ended with 1"),
        (Command(run="x", says="made"), "nothing of it", 0, "does not say"),
        (Command(run="x"), "ERROR: uncaught exception - gzip", 0, "says 'uncaught exception'"),
        (Command(run="x"), "dos charset 'CP850' unavailable - using ASCII", 0, "unavailable"),
        (Command(run="x", no="(?i)failed"), "it FAILED", 0, "says 'FAILED'"),
        (Command(run="x", says="in {base}$"), "in DC=ad,DC=example,DC=net", 0, "does not say"),
    ],
)
def test_what_is_wrong(row, said, code, why):
    assert why in judged(row, said, code)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (Command(run="x"), ""),
        (Command(run="x", says="(?i)in {base}$", no="failed"), "IN DC=ad,DC=example,DC=org"),
    ],
)
def test_what_is_right(row, said):
    assert judged(row, said) == ""


def test_passwords_are_not_told():
    why = judged(Command(run="samba-tool user add x {secret}"), "no Word-1, no Word-2, no Word-3", 1)
    assert "Word" not in why
    assert why.count("***") == 3


def test_a_long_answer_is_told_by_its_error_and_its_end():
    why = judged(Command(run="x"), "ERROR: the reason\n" + "line\n" * 400 + "the end", 1)
    assert "ERROR: the reason" in why
    assert why.endswith("the end")
    assert len(why) < 800


@pytest.fixture
def inside(tmp_path, netcmd):
    """The script under this Python, with a samba-tool that says what it was given."""
    (netcmd / "main.py").write_text(
        "import os\n"
        "class Loader(dict):\n"
        "    def __getitem__(self, name):\n"
        "        os.environ['LOADED'] = os.environ.get('LOADED', '') + name\n"
        "class cmd_sambatool:\n"
        "    subcommands = Loader(user=None, fail=None)\n"
        "def samba_tool(*words):\n"
        "    print('words', *words)\n"
        "    if words[0] == 'break':\n"
        "        raise ValueError('broken')\n"
        "    return 3 if words[0] == 'fail' else None\n"
    )

    def go(*rows, seconds=10):
        asked = {
            "commands": [{"words": [], "given": "", "password": "", "again": False, **row} for row in rows],
            "seconds": seconds,
            "tries": 3,
            "try_seconds": 1,
        }
        done = run(
            [sys.executable, *with_samba_tool(SCRIPT.read_text())[1:]],
            stdin=json.dumps(asked),
            env={"PYTHONPATH": str(tmp_path)},
        )
        return [json.loads(line) for line in done.stdout.splitlines()]

    return go


def test_what_a_command_of_samba_tool_needs_is_loaded_once_for_all(inside):
    told = ["sh", "-c", "echo $LOADED"]
    answers = inside(
        {"words": told}, {"words": ["samba-tool", "user", "list"]}, {"words": ["samba-tool", "nothing-of-it"]}
    )
    assert answers[0]["said"] == "user\n"
    assert [answer["code"] for answer in answers] == [0, 0, 0]


def test_samba_tool_is_run_in_place_and_others_as_programs(inside):
    answers = inside(
        {"words": ["samba-tool", "user", "list"]},
        {"words": ["samba-tool", "fail"]},
        {"words": ["samba-tool", "break"]},
        {"words": ["cat"], "given": "what it is given"},
        {"words": shlex.split("sh -c 'cat $PASSWD_FILE; cat $PASSWD_FILE'"), "password": "twice "},
        {"words": ["no-such-program"]},
    )
    assert [answer["code"] for answer in answers] == [0, 3, 99, 0, 0, 99]
    said = [answer["said"] for answer in answers]
    assert said[0] == "words user list\n"
    assert "ValueError: broken" in said[2]
    assert said[3:5] == ["what it is given", "twice twice "]
    assert "no-such-program" in said[5]


def test_a_command_that_never_ends_is_ended_with_all_it_started(inside, tmp_path):
    mark = tmp_path / "mark"
    began = time.monotonic()
    answers = inside(
        {"words": ["sh", "-c", f"(sleep 3; touch {mark}) & sleep 60"]},
        {"words": ["samba-tool", "next"]},
        seconds=1,
    )
    assert [answer["code"] for answer in answers] == [-9, 0]
    assert time.monotonic() - began < 10
    time.sleep(2.5)
    assert not mark.exists(), "what it started goes on"


def test_what_is_not_answered_is_asked_again(inside, tmp_path):
    count = tmp_path / "count"
    slow_once = f"echo x >>{count}; test $(wc -l <{count}) -gt 1 || sleep 60"
    assert inside({"words": ["sh", "-c", slow_once], "again": True}) == [{"code": 0, "said": ""}]
    never = f"echo x >>{count}; sleep 60"
    count.unlink()
    assert inside({"words": ["sh", "-c", never], "again": True})[0]["code"] == -9
    assert len(count.read_text().split()) == 3
    count.unlink()
    assert inside({"words": ["sh", "-c", f"echo x >>{count}; exit 1"]})[0]["code"] == 1
    assert len(count.read_text().split()) == 1, "only what is to be asked again"

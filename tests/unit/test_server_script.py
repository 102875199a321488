"""Scripts for an image's Python, under this one, with Sambas that are called in the two ways there are."""

import sys

import pytest

from galaxy.host.process import run
from galaxy.server.script import with_samba_tool

NEW = """
def samba_tool(*words):
    print("new", *words)
    return 3 if words[0] == "fail" else None
"""
OLD = """
import sys
class cmd_sambatool:
    def _run(self, program, *words):
        print("old", *words)
        if words[0] == "end":
            sys.exit(4)
        if words[0] == "break":
            raise ValueError("broken")
        return 3 if words[0] == "fail" else None
    def show_command_error(self, error):
        print("ERROR:", error)
"""


@pytest.fixture
def said(tmp_path, netcmd):
    def go(main, *words):
        (netcmd / "main.py").write_text(main)
        argv = with_samba_tool('import sys\nprint("code", samba_tool(*sys.argv[1:]))')
        return run([sys.executable, *argv[1:], *words], env={"PYTHONPATH": str(tmp_path)}).stdout.splitlines()

    return go


def test_a_samba_of_today_is_asked_by_its_function(said):
    assert said(NEW, "user", "list") == ["new user list", "code None"]
    assert said(NEW, "fail") == ["new fail", "code 3"]


@pytest.mark.parametrize(
    ("word", "answer"),
    [
        ("list", ["code None"]),
        ("fail", ["code 3"]),
        ("end", ["code 4"]),
        ("break", ["ERROR: broken", "code 1"]),
    ],
)
def test_one_of_before_4_19_by_its_command_object(said, word, answer):
    assert said(OLD, word) == [f"old {word}", *answer]

"""Writes docs/cli.md from the commands themselves: `python -m galaxy.cli.reference > docs/cli.md`."""

import os
import sys

from typer.testing import CliRunner

from galaxy.cli.app import EXIT_CODES, SUMMARY, application
from galaxy.cli.commands import COMMANDS

_HEAD = f"""# The command line

{SUMMARY}

This page is generated: `python -m galaxy.cli.reference > docs/cli.md`. `bin/test` fails when it is old.

{EXIT_CODES}
"""


def reference() -> str:
    """The whole page: one section a command, with the help that the command prints."""
    os.environ["COLUMNS"] = "100"
    return _HEAD + "".join(_section(command.words) for command in COMMANDS)


def _section(words: tuple[str, ...]) -> str:
    result = CliRunner().invoke(application(words), [*words, "--help"], prog_name="galaxy")
    if result.exception is not None:
        raise result.exception
    return f"\n## galaxy {' '.join(words)}\n\n```\n{result.output.strip()}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(reference())

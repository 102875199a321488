"""What the papers show as an example can be copied: Python runs, and TOML is what its reader takes."""

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from galaxy.host.settings import Settings
from galaxy.release.recipe import RecipeRow
from scenarios.commands import Command
from scenarios.matrix import Row as CellsRow
from verify.expected import Row as KnownRow

ROOT = Path(__file__).parents[2]
# The model of a file's rows, by their name; a file without any of these is Galaxy's settings.
ROWS: dict[str, type[BaseModel]] = {
    "row": KnownRow,
    "recipe": RecipeRow,
    "command": Command,
    "cells": CellsRow,
}


def examples(language: str) -> list[object]:
    """The fenced blocks of a language, each with the line that it begins at."""
    found: list[object] = []
    for paper in ("README.md", "CONTRIBUTING.md"):
        text = (ROOT / paper).read_text(encoding="utf-8")
        for block in re.finditer(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
            line = text.count("\n", 0, block.start(1)) + 1
            found.append(pytest.param(block[1], id=f"{paper}:{line}"))
    return found


@pytest.mark.parametrize("code", examples("python"))
def test_a_python_example_runs(code: str) -> None:
    exec(compile(code, "example", "exec"), {"__name__": "example"})


@pytest.mark.parametrize("text", examples("toml"))
def test_a_toml_example_is_what_its_reader_takes(text: str) -> None:
    body = tomllib.loads(text)
    rows = [(ROWS[name], row) for name in body.keys() & ROWS.keys() for row in body[name]]
    for model, values in rows or [(Settings, body)]:
        model.model_validate(values)


def test_examples_are_found() -> None:
    assert examples("python")
    assert examples("toml")

"""The house rules that no linter knows."""

from pathlib import Path

import pytest

from galaxy.cli.reference import reference

ROOT = Path(__file__).parents[2]
CODE = [
    path
    for folder in ("galaxy", "verify", "scenarios", "tests", "benchmarks", "bin", ".ci")
    for path in sorted((ROOT / folder).rglob("*"))
    if path.is_file() and "__pycache__" not in path.parts
]


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_400_lines(path: Path) -> None:
    assert len(path.read_bytes().splitlines()) <= 400


def test_the_reference_of_the_command_line_is_current() -> None:
    assert (ROOT / "docs/cli.md").read_text() == reference(), "python -m galaxy.cli.reference > docs/cli.md"


def test_packages_have_three_columns_and_are_listed_once() -> None:
    lines = [
        line.split(maxsplit=2)
        for line in (ROOT / "galaxy/host/debian-packages.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    assert all(len(line) == 3 for line in lines)
    names = [line[0] for line in lines]
    assert len(set(names)) == len(names)

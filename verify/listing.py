"""The list of all checks, read from the sources: for `--list`, docs, policies and known failures."""

import ast
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from galaxy.host.errors import InputError
from verify.check import CheckInfo, check, check_of

CHECKS_FOLDER = Path(__file__).parent / "checks"


def all_checks(folder: Path = CHECKS_FOLDER) -> tuple[CheckInfo, ...]:
    """Every check, sorted by id; InputError when two share an id or an id is in another area's folder."""
    found: dict[str, CheckInfo] = {}
    for file in sorted(folder.glob("*/test_*.py")):
        for info in _checks_in(file):
            if info.id in found:
                raise InputError(f"two checks are called {info.id}", "Give each check an id of its own.")
            if info.area != file.parent.name:
                raise InputError(f"{info.id} is in {file}", "Put a check into the folder of its area.")
            found[info.id] = info
    return tuple(found[name] for name in sorted(found))


def _checks_in(file: Path) -> Iterator[CheckInfo]:
    tree = ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield from (info for call in node.decorator_list if (info := _info(call)) is not None)


def _info(decorator: ast.expr) -> CheckInfo | None:
    match decorator:
        case ast.Call(func=ast.Name(id="check"), args=[name], keywords=keywords):
            arguments = {word.arg: ast.literal_eval(word.value) for word in keywords if word.arg}
            return _as_attached(ast.literal_eval(name), arguments)
    return None


def _as_attached(name: str, arguments: dict[str, Any]) -> CheckInfo | None:
    """What `@check` itself would attach, so that both ways to a check agree on defaults and refusals."""
    return check_of(SimpleNamespace(function=check(name, **arguments)(lambda: None)))

"""Which Python files Samba really uses: asked of Samba itself, inside the root (inside/probe.py)."""

import json
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from galaxy.host.errors import BuildError, CommandError
from galaxy.host.process import run
from galaxy.image.rootpath import matches

PROBE_ENV = {"PYTHONHASHSEED": "0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedPython:
    """Python files (relative to the root) with the module each one is, and where the interpreter is.

    `version` is "3.13", `library` the interpreter's shared library, `commands` how many subcommands
    samba-tool has.
    """

    files: dict[str, str]
    version: str
    library: str
    commands: int


def inside_script(name: str) -> str:
    """The text of a script of `galaxy/image/inside/`, which runs in a root's own Python."""
    return files("galaxy.image").joinpath("inside", name).read_text(encoding="utf-8")


def used_python(root: Path) -> UsedPython:
    """Ask the Samba in `root` which Python files it uses. BuildError when one does not import."""
    try:
        done = run(
            ["chroot", root, "/usr/bin/python3", "-s", "-B", "-"],
            stdin=inside_script("probe.py"),
            timeout=120,
            env=PROBE_ENV,
        )
    except CommandError as error:
        raise BuildError(f"Samba's Python does not work in the installed tree: {error.message}") from None
    answer = json.loads(done.stdout.splitlines()[-1])
    for module, why in answer["failed"].items():
        if module.startswith("samba"):
            raise BuildError(
                f"the Python module {module} cannot be imported: {why}", "Add what it needs to the recipe."
            )
    version = answer["version"]
    return UsedPython(
        files={path.lstrip("/"): module for path, module in sorted(answer["files"].items())},
        version=version,
        library=_library(root, version),
        commands=answer["commands"],
    )


def _library(root: Path, version: str) -> str:
    """The interpreter as a shared library; Debian's `python3` binary carries a second copy of it, 7 MB."""
    hits = matches(root, f"usr/lib/*/libpython{version}.so.1.0")
    if not hits:
        raise BuildError(
            f"the installed tree has no libpython{version}.so.1.0", f"Add libpython{version} to the recipe."
        )
    return hits[0]

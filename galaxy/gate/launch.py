"""Starting pytest on the checks and scenarios, and what its end means. Nothing here imports either."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from galaxy.gate.finish import planned
from galaxy.gate.suite import package_root
from galaxy.host.errors import InputError
from galaxy.host.files import write_atomic
from galaxy.host.process import stream
from galaxy.host.store import Store

LOG_FILE = "pytest.log"
# Six hours: far beyond the longest matrix, short of for ever.
_SECONDS = 6 * 3600.0
_USAGE_ERROR = 4
# What the follower says first.
_BEGINS = re.compile(r"\d+ items in \d+ cells?$")
_PYTEST_INI = "[pytest]\naddopts = --strict-markers -p no:cacheprovider -p no:terminal\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to run: the matrix over these images (by ref or id), on so many workers (None: as many as fit)."""

    matrix: str
    images: Sequence[str]
    workers: int | None = None
    selection: str = ""


def run_matrix(store: Store, folder: Path, launch: Launch, tell: Callable[[str], None]) -> None:
    """Run the matrix into `folder`; each line of progress goes to `tell` and all output to pytest.log.

    Raises InputError when there is nothing to run, or pytest refuses what it was asked. Failures of items
    are no errors: they are in the results.
    """
    ini = folder / "pytest.ini"
    write_atomic(ini, _PYTEST_INI)
    said: list[str] = []
    begun = False

    def on_line(line: str) -> None:
        """Pass lines on from the first of the follower's; what comes before is an error's or nobody's."""
        nonlocal begun
        begun = begun or _BEGINS.match(line) is not None
        if begun:
            tell(line)
        else:
            said.append(line)

    code = stream(
        _argv(folder, ini, launch),
        log=folder / LOG_FILE,
        on_line=on_line,
        timeout=_SECONDS,
        env={"GALAXY_ROOT": str(store.root), "PYTHONPATH": str(package_root("galaxy").parent)},
        check=False,
    )
    if code == _USAGE_ERROR:
        raise _refusal(said)
    if not planned(folder):
        raise _nothing(folder, launch)


def _argv(folder: Path, ini: Path, launch: Launch) -> list[str | Path]:
    checks = package_root("verify") / "checks"
    images = [word for ref in launch.images for word in ("--image", ref)]
    selection = ["-k", launch.selection] if launch.selection else []
    what: list[str | Path] = ["--results", folder, "--matrix", launch.matrix, *images, *selection, checks]
    return [
        *(sys.executable, "-m", "pytest", "-c", str(ini), "--rootdir", str(checks.parent.parent)),
        *("--import-mode=importlib", "-p", "verify.plugin", "-p", "scenarios.plugin"),
        *("-n", str(launch.workers or "auto"), "--dist", "loadgroup", "--no-loadscope-reorder"),
        *what,
    ]


def _refusal(said: Sequence[str]) -> InputError:
    """What pytest said when it would not begin: `ERROR: what`, then what to do."""
    lines = [line for line in said if line.strip()]
    at = next((number for number, line in enumerate(lines) if line.startswith("ERROR: ")), 0)
    message = lines[at].removeprefix("ERROR: ") if lines else "pytest refused to begin"
    return InputError(
        message, " ".join(line.strip() for line in lines[at + 1 :]) or "See: galaxy verify --help"
    )


def _nothing(folder: Path, launch: Launch) -> InputError:
    if launch.selection:
        return InputError(
            f"-k {launch.selection!r} selects no check", "Name an area, a check or a checkpoint."
        )
    return InputError(f"the run ended before it began; see {folder / LOG_FILE}", "Look at its last lines.")

"""Starting pytest on the checks and scenarios, and what its end means. Nothing here imports either."""

import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from galaxy.gate.finish import planned
from galaxy.gate.results import RESULTS_FILE, read_results
from galaxy.gate.resume import has_results
from galaxy.gate.run import PLAN_FILE
from galaxy.host.errors import GalaxyError, GateError, HostError, InputError
from galaxy.host.files import write_atomic
from galaxy.host.packages import package_root
from galaxy.host.process import stream
from galaxy.host.store import Store

LOG_FILE = "pytest.log"
# Six hours: far beyond the longest matrix, short of for ever.
_SECONDS = 6 * 3600.0
_USAGE_ERROR = 4
# All passed, some failed, none was selected.
_ENDED = (0, 1, 5)
# What the follower says first.
_BEGINS = re.compile(r"\d+ cells? on \d+ workers?\b")
# What pytest says of its first items, a letter each.
_DOTS = re.compile(r"[.FkBn]+\s")
# What pytest says when it has looked at all checks and none was wanted.
_SELECTED = re.compile(r"(\d+ deselected|no tests ran)\b")
_PYTEST_INI = "[pytest]\naddopts = --strict-markers -p no:cacheprovider\n"
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """What to run: the matrix over these images (by ref or id), on so many workers (None: as many as fit).

    `shard` is K/N for a part of the cells. With `resume` the run's folder says what to run, and the rest of this
    must say the same.
    """

    matrix: str
    images: Sequence[str]
    workers: int | None = None
    selection: str = ""
    shard: str = ""
    resume: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What to check without a matrix: the domain controller of a target file, by the checks of a tier."""

    file: Path
    tier: str
    selection: str = ""


def run_matrix(store: Store, folder: Path, launch: Launch, tell: Tell) -> None:
    """Run the matrix into `folder`; each line of progress goes to `tell` and all output to pytest.log.

    Raises InputError when there is nothing to run, or pytest refuses what it was asked. Failures of items are no
    errors: they are in the results.
    """
    images = [word for ref in launch.images for word in ("--image", ref)]
    words = [
        *("-p", "xdist.plugin", "-p", "no:terminal", "-p", "scenarios.plugin"),
        *("--matrix", launch.matrix, *images),
        *("-n", str(launch.workers or "auto"), "--dist", "loadgroup", "--no-loadscope-reorder"),
        *(["--shard", launch.shard] if launch.shard else []),
        *(["--resume"] if launch.resume else []),
    ]
    _, said = _run_pytest(store, folder, words, launch.selection, tell, _BEGINS)
    if not planned(folder):
        raise _nothing(launch.selection, said, _BEGINS)


def run_target(store: Store, folder: Path, probe: Probe, tell: Tell) -> None:
    """Run the checks alone against one domain controller; otherwise as `run_matrix`."""
    # pytest's own summary is left out: what failed is told once, at the end.
    words = [
        *("-q", "--no-header", "--no-summary", "--tb=no"),
        *("--target", str(probe.file), "--tier", probe.tier),
    ]
    code, said = _run_pytest(store, folder, words, probe.selection, tell, _DOTS)
    if code not in _ENDED:
        # Nothing has listed what was to be run: half of the checks would look like all of them.
        raise GateError(
            f"the checks broke off: pytest ended with {code}", f"What it said is in {folder / LOG_FILE}"
        )
    file = folder / RESULTS_FILE
    if not file.exists() or not read_results(file):
        raise _nothing(probe.selection, said, _SELECTED)


def _run_pytest(
    store: Store, folder: Path, words: Sequence[str], selection: str, tell: Tell, begins: re.Pattern[str]
) -> tuple[int, Sequence[str]]:
    """Run pytest on the checks; lines go to `tell` from the first that `begins` matches. Its code, and all lines."""
    _require_expression(selection)
    ini = folder / "pytest.ini"
    write_atomic(ini, _PYTEST_INI)
    said: list[str] = []
    begun = False

    def on_line(line: str) -> None:
        """Pass lines on once the run has begun; what comes before is an error's or nobody's."""
        nonlocal begun
        begun = begun or begins.match(line) is not None
        said.append(line)
        if begun:
            tell(line)

    checks = package_root("verify") / "checks"
    argv = [
        *(sys.executable, "-m", "pytest", "-c", str(ini), "--rootdir", str(checks.parent.parent)),
        *("--import-mode=importlib", "--basetemp", str(folder / "tmp"), "-p", "verify.plugin"),
        *("--results", str(folder), *words),
        *(["-k", selection] if selection else []),
        str(checks),
    ]
    env = {
        "GALAXY_ROOT": str(store.root),
        "PYTHONPATH": str(package_root("galaxy").parent),
        # A verdict does not depend on what other plugins are installed beside; some take seconds to load.
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    if settings := os.environ.get("GALAXY_SETTINGS"):
        env["GALAXY_SETTINGS"] = settings
    log = folder / LOG_FILE
    try:
        code = stream(argv, log=log, on_line=on_line, timeout=_SECONDS, env=env, check=False)
    finally:
        shutil.rmtree(folder / "tmp", ignore_errors=True)
    if code == _USAGE_ERROR:
        if not has_results(folder):
            (folder / PLAN_FILE).unlink(missing_ok=True)  # nothing of it was run, and nothing will be
        raise _refusal(said)
    return code, said


def _refusal(said: Sequence[str]) -> InputError:
    """What pytest said when it would not begin: `ERROR: what`, then what to do."""
    lines = [line for line in said if line.strip()]
    at = next((number for number, line in enumerate(lines) if line.startswith("ERROR: ")), 0)
    message = lines[at].removeprefix("ERROR: ") if lines else "pytest refused to begin"
    return InputError(
        message, " ".join(line.strip() for line in lines[at + 1 :]) or "See: galaxy verify --help"
    )


def _require_expression(selection: str) -> None:
    """InputError unless pytest can read it: its workers would crash on it one by one."""
    if not selection:
        return
    from _pytest.mark.expression import Expression  # noqa: PLC0415 - pytest takes 0.1 s to load

    try:
        Expression.compile(selection)
    except SyntaxError as error:
        raise InputError(
            f"-k {selection!r} cannot be read: {error.msg}", "Write it like: ldap and not bind"
        ) from None


def _nothing(selection: str, said: Sequence[str], begins: re.Pattern[str]) -> GalaxyError:
    """Why nothing was run: nothing was selected, or pytest broke before it came to that, which is a defect."""
    if selection and any(begins.match(line) for line in said):
        return InputError(
            f"-k {selection!r} selects no check",
            "Name an area, a check or a checkpoint; some need --tier full.",
        )
    last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
    return HostError(f"the checks could not be started: {last}", "See: galaxy doctor")

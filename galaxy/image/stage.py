"""The staged image: the closure's files copied and made small, with what every image has besides."""

import shutil
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from galaxy.host.process import run
from galaxy.image.closure import Closure
from galaxy.image.elf import read_elf
from galaxy.image.fixed import FILES, FOLDERS, INIT, LINKS, PYTHON
from galaxy.image.rootpath import UNMERGED, merged
from galaxy.image.toolroom import Toolroom, in_stage
from galaxy.image.usedpython import UsedPython, inside_script


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRequest:
    """What goes into a stage. `tools` is the root whose gcc and strip work on it; None: the host's."""

    root: Path
    stage: Path
    closure: Closure
    python: UsedPython
    tools: Path | None


def make_stage(request: StageRequest) -> dict[str, str]:
    """Fill the stage; returns the reason of every path in it that is not a plain folder."""
    taken = {**request.closure.files, **request.closure.links}
    reasons = {merged(path): why for path, why in taken.items()}
    _copy(request)
    reasons |= _add_fixed(request.stage)
    reasons |= _add_programs(request)
    if request.tools is not None:
        _strip(request)
    reasons |= _compile_python(request, reasons)
    reasons |= _configure_loader(request)
    return {path: why for path, why in sorted(reasons.items()) if _exists(request.stage / path)}


def _exists(path: Path) -> bool:
    return path.is_symlink() or path.exists()


def _copy(request: StageRequest) -> None:
    for path in request.closure.files:
        target = request.stage / merged(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(request.root / path, target)
        target.chmod((request.root / path).stat().st_mode & 0o755)
    for path in request.closure.links:
        target = request.stage / merged(path)
        if path in UNMERGED or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to((request.root / path).readlink())


def _add_fixed(stage: Path) -> dict[str, str]:
    reasons = {}
    for path, target in LINKS.items():
        (stage / path).parent.mkdir(parents=True, exist_ok=True)
        (stage / path).symlink_to(target)
        reasons[path] = "one tree for programs and libraries, as Debian has it"
    for path, mode in FOLDERS.items():
        (stage / path).mkdir(parents=True, exist_ok=True)
        (stage / path).chmod(mode)
    for path, (text, why) in FILES.items():
        (stage / path).write_text(text, encoding="utf-8")
        (stage / path).chmod(0o644)
        reasons[path] = why
    return reasons


def c_source(name: str) -> str:
    """The text of a file of `galaxy/image/csrc/`."""
    return files("galaxy.image").joinpath("csrc", name).read_text(encoding="utf-8")


def _add_programs(request: StageRequest) -> dict[str, str]:
    """Galaxy's own two programs: PID 1, and the launcher that stands in for the `python3` binary."""
    tools = Toolroom(root=request.tools, stage=request.stage)
    (request.stage / INIT).parent.mkdir(parents=True, exist_ok=True)
    tools.gcc(c_source("init.c"), INIT)
    library = Path(request.python.library).name
    tools.gcc(c_source("python.c"), PYTHON, f'-DLIBPYTHON="{library}"')
    return {INIT: "PID 1 of a server", PYTHON: "starts the Python interpreter's library"}


def _strip(request: StageRequest) -> None:
    tools = Toolroom(root=request.tools, stage=request.stage)
    targets = [merged(path) for path in request.closure.files]
    tools.strip([path for path in targets if read_elf(request.stage / path) is not None])


def _compile_python(request: StageRequest, reasons: dict[str, str]) -> dict[str, str]:
    """Replace modules' sources by compiled ones: nothing can be compiled later in a read-only root."""
    sources = [merged(path) for path in request.python.files if path.endswith(".py")]
    listing = request.stage / "tmp/sources"
    listing.write_text("\n".join(sources), encoding="utf-8")
    _configure_loader(request)
    script = request.stage / "tmp/compile.py"
    script.write_text(inside_script("compile.py"), encoding="utf-8")
    in_stage(request.stage, f"/{PYTHON}", "-S", "-B", "/tmp/compile.py", "/tmp/sources")  # noqa: S108 - the stage's own
    listing.unlink()
    script.unlink()
    return {path + "c": reasons[path] for path in sources if path in reasons}


def _configure_loader(request: StageRequest) -> dict[str, str]:
    conf = request.stage / "etc/ld.so.conf"
    folders = dict.fromkeys("/" + merged(folder.lstrip("/")) for folder in request.closure.libdirs)
    conf.write_text("".join(f"{folder}\n" for folder in folders), encoding="utf-8")
    run(["ldconfig", "-X", "-r", request.stage])
    (request.stage / "var/cache/ldconfig/aux-cache").unlink(missing_ok=True)
    (request.stage / "var/cache/ldconfig").rmdir() if (
        request.stage / "var/cache/ldconfig"
    ).is_dir() else None
    return {
        "etc/ld.so.conf": "the folders that the loader searches",
        "etc/ld.so.cache": "the loader's index: one lookup instead of a search",
    }

"""Compile a source in its build root, installed into that root's upper layer."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from galaxy.build.plan import LEAVE_OUT, BuildPlan, plan_root
from galaxy.build.root import BuildRoot, packages_of
from galaxy.build.sandbox import SOURCE_INSIDE, build_environment, enter, layered
from galaxy.build.verdict import disk_was_full, reason_of
from galaxy.host.errors import BuildError, CommandError, HostError
from galaxy.host.files import require_space, sync_file_system, write_atomic
from galaxy.host.journal import Entry, journal
from galaxy.host.lock import locked
from galaxy.host.process import run, stream
from galaxy.host.progress import bar, say, step
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release import Patch, Recipe, SourceFile, SourceTree, source_of

_NEED = 3_000_000_000
_CONFIGURE_TIMEOUT = 1200.0
_COMPILE_TIMEOUT = 4 * 3600.0
_STEP = re.compile(r"^\[\s*(\d+)/\s*(\d+)\]")
# What configure takes from the machine it runs on; it would make every object depend on the running kernel.
_KERNEL_DEFINES = re.compile(r'^(#define SYSTEM_UNAME_(?:RELEASE|VERSION)) ".*"$', re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """What a build left: the merged root, mounted while the block lasts; times in seconds."""

    root: Path
    libdirs: tuple[str, ...]
    files: tuple[SourceFile, ...]
    patches: tuple[Patch, ...]
    epoch: int
    log: Path
    seconds: dict[str, float]


@contextmanager
def compiled(store: Store, settings: Settings, plan: BuildPlan, entry: Entry) -> Iterator[Compiled]:
    """The compiled tree of a plan; compiles when the store holds none. BuildError says where the log is."""
    assert plan.recipe is not None
    work = store.builds / plan.input_id
    with locked(store, f"build-{plan.input_id[:16]}"):
        lower = plan_root(store, settings, plan.recipe)
        _require_root(lower, plan)
        if not _is_compiled(work):
            # A journal of its own: what is compiled stays, whatever happens to the sealing that follows.
            with journal(store, "compile", plan.version) as own:
                _compile(store, settings, plan, own, lower)
        with layered(lower.path, work, entry) as root:
            _require_root(lower, plan)
            _teach_loader(root)
            yield _load(work, root)


def _require_root(lower: BuildRoot, plan: BuildPlan) -> None:
    """BuildError when the root was renewed since the plan was made; once it is mounted, `renew_root` lets it be."""
    if packages_of(lower.path.parent) != plan.packages:
        raise BuildError("the build root was renewed meanwhile", "Run the same command again.")


def _is_compiled(work: Path) -> bool:
    """Whether a tree is there: what says so is written last, but a power cut may have kept that alone."""
    return (work / "installed.json").exists() and (work / "upper/usr").is_dir()


def forget_compiled(store: Store, plan: BuildPlan) -> None:
    """Remove a build's tree, keep its log."""
    work = store.builds / plan.input_id
    (work / "installed.json").unlink(missing_ok=True)
    for name in ("upper", "work", "root"):
        if (work / name).exists():
            shutil.rmtree(work / name)


def _compile(store: Store, settings: Settings, plan: BuildPlan, entry: Entry, lower: BuildRoot) -> None:
    assert plan.recipe is not None
    work = store.builds / plan.input_id
    require_space(work, _NEED, f"building Samba {plan.version}")
    forget_compiled(store, plan)
    work.mkdir(parents=True, exist_ok=True)
    store.ccache.mkdir(parents=True, exist_ok=True)
    log = work / "build.log"
    log.unlink(missing_ok=True)
    for name in ("work", "root", "upper", "installed.json"):
        entry.on_failure("tree", work / name)
    with step(f"fetching and unpacking Samba {plan.version}"):
        tree = _fetched(store, settings, plan, entry, work / "upper" / SOURCE_INSIDE.lstrip("/"))
    _leave_out(tree.path, plan.recipe)
    with layered(lower.path, work, entry) as root:
        _require_root(lower, plan)
        (root / "build/ccache").mkdir(parents=True, exist_ok=True)
        seconds = _Build(root=root, store=store, plan=plan, recipe=plan.recipe, tree=tree, log=log).run()
        shutil.rmtree(root / "build")
    _save(work, tree, seconds)


def _fetched(store: Store, settings: Settings, plan: BuildPlan, entry: Entry, into: Path) -> SourceTree:
    assert plan.source is not None
    if plan.source.note:
        say(f"Samba {plan.version}: {plan.source.note}")
    source = source_of(store, settings, plan.wanted)
    return source.fetch(plan.source, entry, into)


def _leave_out(tree: Path, recipe: Recipe) -> None:
    """Append the hook to the source's copy; the patterns are part of the plan's inputs."""
    hook = LEAVE_OUT.read_text(encoding="utf-8").replace("@PATTERNS@", repr(list(recipe.left_out)))
    with (tree / "wscript_build").open("a", encoding="utf-8") as script:
        script.write(hook)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Build:
    """One run of configure and waf in a root."""

    root: Path
    store: Store
    plan: BuildPlan
    recipe: Recipe
    tree: SourceTree
    log: Path

    def run(self) -> dict[str, float]:
        """Do it all; returns the seconds of each stage."""
        started = time.monotonic()
        with step(f"configuring Samba {self.plan.version}"):
            self._stage([self.recipe.python, "./buildtools/bin/waf", "configure", *self.recipe.options])
            self._forget_kernel()
        configured = time.monotonic()
        with bar(f"compiling Samba {self.plan.version}") as advance:
            # No separate `build`: with no rpath to change, what is linked once can be installed as it is.
            waf = [self.recipe.python, "./buildtools/bin/waf", "install", f"-j{self.plan.jobs}"]
            self._stage(waf, on_line=lambda line: _follow(line, advance), timeout=_COMPILE_TIMEOUT)
        return {
            "configure": round(configured - started, 1),
            "compile": round(time.monotonic() - configured, 1),
        }

    def _stage(
        self,
        argv: list[str],
        *,
        on_line: Callable[[str], None] = lambda _line: None,
        timeout: float = _CONFIGURE_TIMEOUT,
    ) -> None:
        env = build_environment(self.tree.epoch, self.recipe.cflags, self.recipe.ldflags)
        try:
            stream(
                enter(self.root, self.store.ccache, argv),
                log=self.log,
                on_line=on_line,
                timeout=timeout,
                env=env,
            )
        except CommandError as error:
            if disk_was_full(self.log):
                raise HostError(
                    f"no space was left while Samba {self.plan.version} was compiled",
                    "Free some space, or point GALAXY_ROOT to a larger file system; what was compiled is cached.",
                ) from None
            raise BuildError(
                f"Samba {self.plan.version} did not build: {reason_of(self.log, error)}",
                f"Read the whole log: {self.log}",
            ) from None

    def _forget_kernel(self) -> None:
        config = self.root / SOURCE_INSIDE.lstrip("/") / "bin/default/include/config.h"
        if config.exists():
            text = config.read_text(encoding="utf-8")
            config.write_text(_KERNEL_DEFINES.sub(r'\1 "galaxy"', text), encoding="utf-8")


def _follow(line: str, advance: Callable[[int, int], None]) -> None:
    match = _STEP.match(line)
    if match:
        advance(int(match[1]), int(match[2]))


def _teach_loader(root: Path) -> None:
    conf = root / "etc/ld.so.conf.d/samba.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text("".join(f"{folder}\n" for folder in _libdirs(root)), encoding="utf-8")
    run(["chroot", root, "/sbin/ldconfig"])


def _libdirs(root: Path) -> tuple[str, ...]:
    """Where Samba has libraries that Debian's loader would not look for."""
    private = (path for path in ("/usr/lib/samba", "/usr/lib/samba/private") if (root / path[1:]).is_dir())
    # From 4.24 on waf's own default for public libraries is lib64.
    aside = (
        path for path in ("/usr/lib64", "/usr/lib64/samba") if any((root / path[1:]).glob("lib*samba*.so*"))
    )
    return (*private, *aside)


def _save(work: Path, tree: SourceTree, seconds: dict[str, float]) -> None:
    body = {
        "files": [asdict(file) for file in tree.files],
        "patches": [asdict(patch) for patch in tree.patches],
        "epoch": tree.epoch,
        "seconds": seconds,
    }
    sync_file_system(work)  # before what says that it is whole
    write_atomic(work / "installed.json", json.dumps(body, indent=1))


def _load(work: Path, root: Path) -> Compiled:
    body = json.loads((work / "installed.json").read_text(encoding="utf-8"))
    return Compiled(
        root=root,
        libdirs=_libdirs(root),
        files=tuple(SourceFile(**row) for row in body["files"]),
        patches=tuple(Patch(**row) for row in body["patches"]),
        epoch=body["epoch"],
        log=work / "build.log",
        seconds=body["seconds"],
    )

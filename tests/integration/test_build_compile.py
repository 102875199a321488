"""The builder on a source that builds in a second: a folder whose waf is a small script. Real root, real sandbox."""

import shutil
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from galaxy.build import BuildPlan, BuildRequest, forget_tree, installed_tree
from galaxy.build.root import architecture, ensure_root
from galaxy.host.errors import BuildError, InterruptedByUser
from galaxy.host.files import sha256_file
from galaxy.host.journal import journal
from galaxy.host.mounts import mount_points
from galaxy.host.process import run
from galaxy.host.settings import Settings
from galaxy.host.store import Store
from galaxy.release import recipe_for, source_of

VERSION = "SAMBA_VERSION_MAJOR=4\nSAMBA_VERSION_MINOR=17\nSAMBA_VERSION_RELEASE=99\n"
WAF = """\
import os, pathlib, socket, sys
if sys.argv[1] == "configure":
    config = pathlib.Path("bin/default/include/config.h")
    config.parent.mkdir(parents=True)
    config.write_text('#define SYSTEM_UNAME_RELEASE "%s"\\n#define HAVE_X 1\\n' % os.uname().release)
    sys.exit()
print("[1/2] Compiling a.c", flush=True)
@BODY@
print("[2/2] Linking smbd", flush=True)
"""
INSTALL = """\
network = sorted(name for _, name in socket.if_nameindex())
facts = [os.uname().nodename, network, os.environ["PYTHONHASHSEED"], os.environ["SOURCE_DATE_EPOCH"], os.getcwd()]
pathlib.Path("/usr/lib/samba").mkdir()
pathlib.Path("/usr/lib/samba/facts").write_text(repr(facts) + pathlib.Path("bin/default/include/config.h").read_text())
pathlib.Path("/build/ccache/used").touch()
"""
FAIL = 'print("../../a.c:42:10: fatal error: gone.h: No such file"); sys.exit(1)'


@pytest.fixture(scope="module")
def own_store(tmp_path_factory: pytest.TempPathFactory, store: Store) -> Store:
    """A store whose build root is the smallest that has Python; the package indexes are the shared store's."""
    own = Store(root=tmp_path_factory.mktemp("store")).ensure()
    if store.apt.is_dir():
        shutil.copytree(store.apt, own.apt, ignore=shutil.ignore_patterns("*.deb", "partial"))
    return own


@pytest.fixture
def make_plan(own_store: Store, settings: Settings, tmp_path: Path) -> Iterator["type[BuildPlan]"]:
    plans: list[BuildPlan] = []

    def make(body: str) -> BuildPlan:
        top = tmp_path / "samba"
        (top / "buildtools" / "bin").mkdir(parents=True, exist_ok=True)
        (top / "VERSION").write_text(VERSION)
        (top / "wscript_build").write_text("")
        (top / "buildtools" / "bin" / "waf").write_text(WAF.replace("@BODY@", textwrap.dedent(body)))
        wanted = BuildRequest(version="4.17.99", path=str(top)).wanted
        source = source_of(own_store, settings, wanted)
        release = source.releases()[0]
        recipe = replace(recipe_for(release.version), dependencies=("python3-minimal",))
        root = ensure_root(own_store, settings, recipe.suite, recipe.dependencies)
        plan = BuildPlan(
            kind="source",
            version="4.17.99",
            release=release,
            suite=recipe.suite,
            arch=architecture(),
            packages=root.packages,
            jobs=1,
            wanted=wanted,
            source=source.describe(release),
            recipe=recipe,
        )
        plans.append(plan)
        return plan

    yield make  # type: ignore[misc]
    for plan in plans:
        forget_tree(own_store, plan)


def facts(store: Store, settings: Settings, plan: BuildPlan) -> str:
    with journal(store, "build", "test") as entry, installed_tree(store, settings, plan, entry) as tree:
        return (tree.root / "usr/lib/samba/facts").read_text()


def left_behind(store: Store) -> list[str]:
    """Mounts below the store, journal entries, and build folders with more than their log."""
    mounts = [point for point in mount_points() if point.startswith(str(store.root))]
    entries = [path.name for path in store.journal.glob("*.json")]
    work = [str(path) for name in ("upper", "work", "root") for path in store.builds.glob(f"*/{name}")]
    return [*mounts, *entries, *work]


def test_a_build_sees_no_network_no_host_and_no_clock(
    own_store: Store, settings: Settings, make_plan
) -> None:
    seen = facts(own_store, settings, make_plan(INSTALL))
    assert seen.startswith("['galaxy', ['lo'], '1', '946684800', '/build/samba']")
    assert '#define SYSTEM_UNAME_RELEASE "galaxy"' in seen
    assert (own_store.ccache / "used").exists()


def test_an_installed_tree_waits_for_its_sealing_and_then_goes(
    own_store: Store, settings: Settings, make_plan
) -> None:
    plan = make_plan(INSTALL)
    with (
        journal(own_store, "build", "test") as entry,
        installed_tree(own_store, settings, plan, entry) as tree,
    ):
        assert tree.libdirs == ("/usr/lib/samba",)
        assert not (tree.root / "build").exists()
        assert run(["chroot", tree.root, "/sbin/ldconfig", "-p"]).stdout
        first = tree.log.stat().st_mtime_ns if tree.log else 0
    with (
        journal(own_store, "build", "test") as entry,
        installed_tree(own_store, settings, plan, entry) as tree,
    ):
        assert tree.log is not None
        assert tree.log.stat().st_mtime_ns == first, "it was built again"
    forget_tree(own_store, plan)
    assert left_behind(own_store) == []


def test_the_build_root_itself_is_never_written(own_store: Store, settings: Settings, make_plan) -> None:
    plan = make_plan(INSTALL)
    assert plan.recipe is not None
    root = ensure_root(own_store, settings, plan.recipe.suite, plan.recipe.dependencies).path
    facts(own_store, settings, plan)
    assert not (root / "usr/lib/samba").exists()
    assert not (root / "build").exists()


def test_a_failed_build_quotes_the_compiler_names_the_log_and_leaves_nothing(
    own_store: Store, settings: Settings, make_plan
) -> None:
    plan = make_plan(FAIL)
    with pytest.raises(BuildError) as caught:
        facts(own_store, settings, plan)
    assert "a.c:42:10: fatal error: gone.h" in caught.value.message
    log = Path(caught.value.hint.rpartition(" ")[2])
    assert "[1/2] Compiling a.c" in log.read_text()
    assert caught.value.exit_code == 4
    assert left_behind(own_store) == []


def test_an_interrupted_build_leaves_nothing(
    own_store: Store, settings: Settings, make_plan, monkeypatch
) -> None:
    def interrupt(*_: object) -> None:
        raise InterruptedByUser("SIGINT")

    monkeypatch.setattr("galaxy.build.compile._follow", interrupt)
    plan = make_plan('os.system("sleep 86413")')
    with pytest.raises(InterruptedByUser):
        facts(own_store, settings, plan)
    assert left_behind(own_store) == []
    assert run(["pgrep", "-f", "^sleep 86413"], check=False).stdout == ""


def test_the_same_plan_gives_the_same_bytes_in_another_place(
    own_store: Store, settings: Settings, make_plan, tmp_path: Path
) -> None:
    plan = make_plan(INSTALL)
    digests = []
    for place in (own_store, Store(root=tmp_path / "other").ensure()):
        if not place.roots.exists():
            place.roots.symlink_to(own_store.roots)
            place.apt.symlink_to(own_store.apt)
        with journal(place, "build", "test") as entry, installed_tree(place, settings, plan, entry) as tree:
            digests.append(sha256_file(tree.root / "usr/lib/samba/facts"))
        forget_tree(place, plan)
    assert digests[0] == digests[1]

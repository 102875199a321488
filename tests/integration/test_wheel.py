"""The wheel carries everything that galaxy needs once it is installed somewhere else."""

import sys
import zipfile
from pathlib import Path

import pytest

from galaxy import __version__
from galaxy.host.process import run

ROOT = Path(__file__).parents[2]
DATA = (
    "galaxy/host/debian-packages.txt",
    "galaxy/release/recipes.toml",
    "galaxy/gate/policies/production.toml",
    "galaxy/image/csrc/init.c",
    "galaxy/image/inside/probe.py",
    "galaxy/build/leave_out.waf",
    "scenarios/catalogue/lifecycle.py",
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT]
    run([sys.executable, "-m", "pip", *words], timeout=120)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that has the wheel and, through a path file, what it depends on."""
    place = tmp_path_factory.mktemp("installed")
    run([sys.executable, "-m", "venv", "--without-pip", place], timeout=120)
    words = ["--python", place / "bin/python3", "install", "--quiet", "--no-deps", "--no-index", wheel]
    run([sys.executable, "-m", "pip", *words], timeout=120)
    packages = next(place.glob("lib/python3*/site-packages"))
    theirs = next(Path(sys.prefix).glob("lib/python3*/site-packages"))
    # The folder alone: its own path files, which lead to this checkout, are not followed.
    (packages / "dependencies.pth").write_text(f"{theirs}\n")
    return place / "bin"


def test_data_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert [name for name in DATA if name not in names] == []
    known = (ROOT / "verify/known").glob("*.toml")
    assert [path.name for path in known if f"verify/known/{path.name}" not in names] == []
    checks = (ROOT / "verify/checks").rglob("test_*.py")
    assert [path.name for path in checks if str(path.relative_to(ROOT)) not in names] == []


def test_nothing_of_the_workshop_is_in_it(wheel: Path) -> None:
    tops = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert tops == {"galaxy", "verify", "scenarios", f"galaxy_samba-{__version__}.dist-info"}


def test_it_runs(installed: Path) -> None:
    assert run([installed / "galaxy", "--version"]).stdout == f"galaxy {__version__}\n"
    where = run(
        [installed / "python3", "-I", "-c", "import galaxy, verify; print(galaxy.__file__, verify.__file__)"]
    )
    assert str(ROOT) not in where.stdout


def test_it_finds_its_checks_and_scenarios(installed: Path) -> None:
    script = (
        "from galaxy.gate.suite import suite_digest\n"
        "from galaxy.host.packages import package_root\n"
        "assert len(suite_digest()) == 64\n"
        "print(package_root('verify'), package_root('scenarios'))\n"
    )
    roots = run([installed / "python3", "-I", "-c", script]).stdout.split()
    assert [str(installed.parent) in root for root in roots] == [True, True]
    script = "from verify.listing import all_checks; print(*(check.id for check in all_checks()))"
    listed = run([installed / "python3", "-I", "-c", script])
    assert "health.testparm" in listed.stdout.split()

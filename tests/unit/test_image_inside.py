"""The programs and scripts that work inside an image."""

import importlib.util
import sys
from pathlib import Path

import pytest

from galaxy.host.process import run
from galaxy.image.parts import PARTS, part_of
from galaxy.image.stage import c_source
from galaxy.image.toolroom import Toolroom
from galaxy.image.usedpython import inside_script

SOURCE = '''
"""About the module."""


def function():
    """About the function."""
    assert __doc__ is None, "gone"
    return {"a", "b", "c"}


class Empty:
    """About the class."""
'''


def compiled(folder: Path, name: str) -> bytes:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(SOURCE)
    (folder / "list").write_text(str(path))
    run([sys.executable, "-c", inside_script("compile.py"), folder / "list"], env={"PYTHONHASHSEED": "0"})
    assert not path.exists()
    return path.with_suffix(".pyc").read_bytes()


def test_modules_are_compiled_without_sources_times_or_docstrings(tmp_path: Path) -> None:
    first = compiled(tmp_path, "lib/module.py")
    assert compiled(tmp_path, "lib/module.py") == first
    assert b"About the" not in first
    spec = importlib.util.spec_from_file_location("module", tmp_path / "lib/module.pyc")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.function() == {"a", "b", "c"}
    module.__doc__ = "kept"
    with pytest.raises(AssertionError, match="gone"):
        module.function()


def test_samba_keeps_its_docstrings_which_are_its_help(tmp_path: Path) -> None:
    assert b"About the function" in compiled(tmp_path, "samba/module.py")


def test_init_refuses_to_be_an_ordinary_process(tmp_path: Path) -> None:
    Toolroom(root=None, stage=tmp_path).gcc(c_source("init.c"), "init", "-Werror")
    done = run([tmp_path / "init", "true"], check=False)
    assert done.returncode == 2
    assert "as PID 1" in done.stderr
    assert (tmp_path / "init").stat().st_size < 20_000


def test_the_launcher_says_which_library_it_lacks(tmp_path: Path) -> None:
    define = '-DLIBPYTHON="libpython9.9.so.1.0"'
    Toolroom(root=None, stage=tmp_path).gcc(c_source("python.c"), "python3", define, "-Werror")
    done = run([tmp_path / "python3"], check=False)
    assert done.returncode == 127
    assert "libpython9.9.so.1.0" in done.stderr


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("usr/sbin/smbd", "samba programs"),
        ("usr/bin/python3", "galaxy"),
        ("usr/libexec/galaxy/init", "galaxy"),
        ("usr/bin/dash", "system"),
        ("etc/passwd", "system"),
        ("usr/lib/samba/libndr-private-samba.so.0", "samba libraries"),
        ("usr/lib/libtalloc.so.2", "samba libraries"),
        ("usr/lib/x86_64-linux-gnu/libgnutls.so.30", "system libraries"),
        ("usr/lib/x86_64-linux-gnu/libpython3.13.so.1.0", "python"),
        ("usr/lib/python3.13/os.pyc", "python"),
        ("usr/lib/python3/dist-packages/samba/join.pyc", "samba python"),
        ("usr/lib/python3/dist-packages/dns/name.pyc", "other python"),
        ("usr/local/lib/python3.13/dist-packages/cryptography/x.pyc", "cryptography"),
        ("usr/share/samba/setup/provision.ldif", "samba data"),
    ],
)
def test_every_path_has_its_part(path: str, part: str) -> None:
    assert part_of(path) == part
    assert part in PARTS

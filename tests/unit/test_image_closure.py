"""The closure takes what is needed, says why, and names what is missing."""

from pathlib import Path

import pytest

from galaxy.host.errors import BuildError
from galaxy.host.process import run
from galaxy.image.closure import Closure, closure, search_dirs
from galaxy.image.elf import read_elf
from galaxy.image.rootpath import Found, find, merged
from galaxy.image.seeds import SEEDS
from galaxy.image.usedpython import UsedPython

LIB = "/usr/lib/x86_64-linux-gnu"


def library(root: Path, path: str, *needs: Path, code: str = "") -> Path:
    target = root / path.lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    argv = ["gcc", "-shared", "-nostdlib", "-Wl,--no-as-needed", f"-Wl,-soname,{target.name}", "-x", "c", "-"]
    run([*argv, "-o", target, "-x", "none", *needs], stdin=code or "int anything;")
    return target


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with every required seed as an empty file, and a two-tree layout merged by links."""
    root = tmp_path / "root"
    for name in ("bin", "sbin", "lib"):
        (root / "usr" / name).mkdir(parents=True)
        (root / name).symlink_to(f"usr/{name}")
    for seed in SEEDS:
        if seed.required:
            path = root / seed.pattern.replace("{lib}", LIB.lstrip("/")).replace("**/", "").replace(
                "*", "one"
            )
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    library(root, f"{LIB}/libpython3.11.so.1.0")
    return root


def taken(root: Path, files: dict[str, str] | None = None, extra: tuple[str, ...] = ()) -> Closure:
    python = UsedPython(
        files=files or {}, version="3.11", library=f"{LIB[1:]}/libpython3.11.so.1.0", commands=1
    )
    return closure(root, search_dirs(root, (LIB,)), python, extra)


def test_links_resolve_inside_the_root(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/file").touch()
    (tmp_path / "absolute").symlink_to("/a/relative")
    (tmp_path / "a/relative").symlink_to("../../../a/file")
    (tmp_path / "round").symlink_to("round")
    assert find(tmp_path, "/absolute") == Found(path="a/file", links=("absolute", "a/relative"))
    assert find(tmp_path, "round") is None
    assert find(tmp_path, "a/nothing") is None


def test_a_root_with_two_trees_becomes_one() -> None:
    assert merged("lib/x86_64-linux-gnu/libc.so.6") == "usr/lib/x86_64-linux-gnu/libc.so.6"
    assert merged("usr/lib/libc.so.6") == "usr/lib/libc.so.6"
    assert merged("lib") == "lib"


def test_libraries_of_libraries_are_taken_with_reasons_and_links(root: Path) -> None:
    deep = library(root, f"{LIB}/libdeep.so.1.2")
    deep.rename(deep.with_name("libdeep.so.1.2.3"))
    deep.symlink_to("libdeep.so.1.2.3")
    near = library(root, f"{LIB}/samba/libnear.so", deep)
    library(root, f"{LIB}/samba/vfs/mine.so", near)
    got = taken(root)
    here = LIB[1:]
    assert got.files[f"{here}/samba/libnear.so"] == f"/{here}/samba/vfs/mine.so needs it"
    assert got.files[f"{here}/libdeep.so.1.2.3"] == f"/{here}/samba/libnear.so needs it"
    assert f"{here}/libdeep.so.1.2" in got.links
    assert got.libdirs == (LIB, f"{LIB}/samba")


def test_a_module_without_its_library_is_left_out_and_nothing_of_it_stays(root: Path) -> None:
    gone = library(root, f"{LIB}/libgone.so")
    other = library(root, f"{LIB}/libother.so")
    library(root, f"{LIB}/samba/vfs/mine.so", other, gone)
    gone.unlink()
    got = taken(root)
    assert "libgone.so" in got.left_out[f"{LIB[1:]}/samba/vfs/mine.so"]
    assert not [path for path in got.files if "libother" in path]


def test_a_program_without_its_library_is_an_error(root: Path) -> None:
    gone = library(root, f"{LIB}/libgone.so")
    (root / "usr/sbin/smbd").unlink()
    library(root, "usr/sbin/smbd", gone)
    gone.unlink()
    with pytest.raises(BuildError, match=r"/usr/sbin/smbd needs libgone\.so"):
        taken(root)


def test_what_must_be_there_is_named_when_it_is_not(root: Path) -> None:
    (root / "usr/sbin/winbindd").unlink()
    with pytest.raises(BuildError, match="/usr/sbin/winbindd"):
        taken(root)


def test_python_files_and_the_recipes_own_come_with_their_reasons(root: Path) -> None:
    (root / "usr/share/extra").mkdir(parents=True)
    (root / "usr/share/extra/table").touch()
    (root / "usr/lib/module.py").touch()
    got = taken(root, {"usr/lib/module.py": "samba.module"}, ("/usr/share/extra/*",))
    assert got.files["usr/lib/module.py"] == "Samba imports samba.module"
    assert "recipe" in got.files["usr/share/extra/table"]


def test_texts_are_no_elf_files_and_broken_ones_do_no_harm(tmp_path: Path) -> None:
    for name, body in (("text", b"#!/bin/sh\n"), ("short", b"\x7fELF"), ("empty", b"")):
        (tmp_path / name).write_bytes(body)
        assert read_elf(tmp_path / name) is None

"""The hook that drops targets from Samba's build, run on a small model of waf."""

import sys
import types
from pathlib import Path

import pytest

from galaxy.build.plan import LEAVE_OUT


class Target:
    def __init__(self, name, features="c", *, use="", **more):
        self.name = name
        self.features = features
        self.use = use
        self.__dict__.update(more)


class Context:
    def __init__(self, *targets):
        self.groups = [list(targets)]
        self.hooks = []

    def add_pre_fun(self, hook):
        self.hooks.append(hook)


@pytest.fixture
def kept(monkeypatch):
    utils = types.ModuleType("waflib.Utils")
    utils.to_list = lambda value: value.split() if isinstance(value, str) else value
    package = types.ModuleType("waflib")
    package.Utils = utils
    monkeypatch.setitem(sys.modules, "waflib", package)

    def run(*targets, patterns=("torture", "^nmbd$")):
        context = Context(*targets)
        text = Path(LEAVE_OUT).read_text().replace("@PATTERNS@", repr(list(patterns)))
        exec(compile(text, "leave_out.waf", "exec"), {"bld": context})
        for hook in context.hooks:
            hook(context)
        return [target.name for target in context.groups[0]]

    return run


PROGRAM = "c cprogram install_bin"
LIBRARY = "c cshlib install_lib"


def test_a_program_keeps_what_it_is_made_of_and_the_rest_goes(kept):
    names = kept(
        Target("smbd", PROGRAM, use="base"),
        Target("base", LIBRARY, use="util.objlist"),
        Target("util.objlist"),
        Target("nobody_links_it", LIBRARY),
        Target("stray.objlist"),
    )
    assert names == ["smbd", "base", "util.objlist"]


def test_a_named_target_goes_and_takes_its_own_parts_along(kept):
    assert kept(Target("nmbd", PROGRAM, use="nmb_lib"), Target("nmb_lib"), Target("samba", PROGRAM)) == [
        "samba"
    ]


def test_a_named_target_stays_when_something_kept_is_linked_with_it(kept):
    assert kept(Target("samba", PROGRAM, use="torture_util"), Target("torture_util")) == [
        "samba",
        "torture_util",
    ]


def test_modules_stay_for_they_are_found_by_name_at_run_time(kept):
    assert kept(Target("vfs_recycle", LIBRARY, samba_realname="recycle.so")) == ["vfs_recycle"]


def test_what_is_not_installed_goes_but_compilers_for_the_host_stay(kept):
    names = kept(
        Target("scratch", PROGRAM, samba_install=False),
        Target("asn1_compile", PROGRAM, samba_install=False),
        Target("hosttool", PROGRAM, samba_install=False, samba_use_hostcc=True),
    )
    assert names == ["asn1_compile", "hosttool"]


def test_what_is_not_compiled_stays_unless_it_is_named(kept):
    assert kept(Target("version.h", ""), Target("torture_data", "")) == ["version.h"]


def test_a_waf_that_is_too_old_for_the_hook_builds_everything(monkeypatch):
    monkeypatch.delattr(Context, "add_pre_fun")
    context = Context(Target("stray"))
    exec(Path(LEAVE_OUT).read_text().replace("@PATTERNS@", "['stray']"), {"bld": context})
    assert len(context.groups[0]) == 1

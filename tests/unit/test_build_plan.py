"""The build plan is data: its digest changes with every input and with nothing else."""

import json
from dataclasses import replace

import pytest

from galaxy.build.packages import Archive, preferring, suites_for
from galaxy.build.plan import BuildPlan
from galaxy.build.root import base_suites
from galaxy.release.find import Wanted
from galaxy.release.model import Release, SourceFile, SourceSpec
from galaxy.release.recipe import recipe_for
from galaxy.release.version import Version

VERSION = Version.parse("4.22.11")
RELEASE = Release(version=VERSION, origin="apt", suite="trixie", package_version="2:4.22.11+dfsg-0+deb13u1")
PLAN = BuildPlan(
    kind="source",
    version="4.22.11",
    release=RELEASE,
    suite="trixie",
    arch="amd64",
    packages=("gcc=4:14.2.0-1", "libc6-dev=2.41-12"),
    jobs=2,
    wanted=Wanted(version="4.22.11"),
    source=SourceSpec(
        release=RELEASE, files=(SourceFile(name="a.tar", sha256="aa", uri="http://one.test/a.tar"),)
    ),
    recipe=recipe_for(VERSION),
)


def changed(**fields):
    return replace(PLAN, **fields)


def with_recipe(**fields):
    assert PLAN.recipe is not None
    return changed(recipe=replace(PLAN.recipe, **fields))


OTHER_SOURCE = SourceSpec(release=RELEASE, files=(SourceFile(name="a.tar", sha256="bb"),))
INPUTS = {
    "source": changed(source=OTHER_SOURCE),
    "compiler": changed(packages=("gcc=4:14.2.0-2", "libc6-dev=2.41-12")),
    "suite": changed(suite="bookworm"),
    "architecture": changed(arch="arm64"),
    "builder": changed(builder=PLAN.builder + 1),
    "options": with_recipe(options=("--prefix=/usr",)),
    "flags": with_recipe(cflags="-O2"),
    "left out": with_recipe(left_out=()),
}
REMARKS = {
    "jobs": changed(jobs=32),
    "mirror": changed(
        source=SourceSpec(
            release=RELEASE, files=(SourceFile(name="a.tar", sha256="aa", uri="http://two.test/"),)
        )
    ),
    "note": changed(release=replace(RELEASE, note="seen")),
    "exercised": with_recipe(exercised=False, note="otherwise"),
    "how it was asked for": changed(wanted=Wanted(version="4.22.11", origin="apt")),
}


@pytest.mark.parametrize("name", INPUTS)
def test_every_input_changes_the_id(name):
    assert INPUTS[name].input_id != PLAN.input_id


@pytest.mark.parametrize("name", REMARKS)
def test_what_is_no_input_leaves_the_id(name):
    assert REMARKS[name].input_id == PLAN.input_id


def test_the_inputs_are_plain_data():
    assert json.loads(json.dumps(PLAN.inputs()))["packages"] == list(PLAN.packages)


def test_packages_of_one_version_are_told_apart_by_what_they_depend_on():
    packaged = changed(kind="packages", source=None, recipe=None)
    assert packaged.packaged
    assert packaged.input_id != replace(packaged, packages=(*packaged.packages, "libtalloc2=2.4.3")).input_id


CONFIGURED = ("bookworm", "bookworm-security", "bookworm-backports", "trixie", "trixie-security", "sid")


@pytest.mark.parametrize(
    ("suite", "seen"),
    [
        ("bookworm", ("bookworm", "bookworm-security")),
        ("bookworm-security", ("bookworm", "bookworm-security")),
        ("bookworm-backports", ("bookworm", "bookworm-security", "bookworm-backports")),
        ("sid", ("sid",)),
    ],
)
def test_a_suite_is_seen_with_those_it_builds_on(suite, seen):
    assert suites_for(suite, CONFIGURED) == seen


def test_only_backports_come_before_security_updates():
    assert preferring("trixie-backports") == ("--target-release", "trixie-backports")
    assert preferring("trixie") == preferring("trixie-security") == ()


def test_a_build_root_has_its_suites_security_updates():
    assert base_suites("trixie", CONFIGURED) == ("trixie", "trixie-security")
    assert base_suites("sid", CONFIGURED) == ("sid",)


def test_a_package_file_tells_its_name_and_version():
    archive = Archive(file="samba_2%3a4.22.11+dfsg-0+deb13u1_amd64.deb", sha256="", size=1)
    assert archive.pinned == "samba=2:4.22.11+dfsg-0+deb13u1"

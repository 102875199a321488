"""Whole runs in pytest with xdist, with a scenario that needs no server: order, blocking, crashes, selection."""

import json
from collections import Counter

import pytest

from galaxy.gate.finish import finish
from galaxy.gate.policy import Policy
from galaxy.gate.results import read_results

pytest_plugins = ["pytester"]

FAKE = """
import os
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

from galaxy.gate.run import ImageUnderTest, RunInfo
from scenarios import catalogue, plugin
from scenarios.engine import Scenario, Step, Walker
from scenarios.matrix import expand
from scenarios.worker import Worker
from verify.target import Target
from galaxy.release.version import Version

TROUBLE = os.environ.get("TROUBLE", "")


class FakeWorld:
    def target(self, hostname="dc1", ref=""):
        return Target(address="127.0.0.1", fqdn="dc1.lab.test", realm="LAB.TEST", domain="LAB",
                      base_dn="DC=lab,DC=test", admin_user="a", password="secret-word", version=Version.parse("4.22"),
                      shell=lambda *argv: None)

    def keep_evidence(self, *, state):
        print("evidence", state)


def act(name):
    def run(world):
        if TROUBLE == f"fail {name}":
            raise AssertionError("it broke")
        if TROUBLE == f"die {name}":
            os._exit(9)
        return {"took_s": 0.5}
    return run


steps = (Step(name="make", act=act("make")), Step(name="start", act=act("start"), checkpoint="up"),
         Step(name="stop", act=act("stop")), Step(name="again", act=act("again"), checkpoint="up-again"),
         Step(name="remove", act=act("remove")))
catalogue.SCENARIOS.clear()
catalogue.SCENARIOS["life"] = Scenario(name="life", steps=steps, weight=1)


def _plan(config):
    images = (ImageUnderTest(ref="4.1.1", id="a" * 64), ImageUnderTest(ref="4.2.2", id="b" * 64))
    cells = expand("all", [image.ref for image in images])
    return RunInfo(started=datetime.now(UTC), galaxy="1", suite="c" * 64, matrix="all",
                   selection=config.option.keyword, images=images, cells={c.name: c.refs for c in cells})


@contextmanager
def open_world(cell):
    yield FakeWorld()


plugin._plan = _plan
plugin.Worker.begin = classmethod(lambda cls, folder: cls(walker=Walker(open_world), stack=ExitStack()))
"""

CHECKS = """
import pytest
from verify.check import check

ORDER = []
BENCHES = {}

@pytest.fixture
def served(request, place):
    return request.config.hook.pytest_galaxy_target(item=request.node, place=place)

@check("health.last", loses="x", last=True)
def test_last(served, place):
    assert ORDER[-1] == f"second {place}", ORDER

@check("ldap.first", loses="x")
def test_first(served, place, bench):
    ORDER.append(f"first {place}")
    BENCHES[place] = bench

@check("ldap.second", loses="x")
def test_second(served, place, bench):
    ORDER.append(f"second {place}")
    assert place not in BENCHES or BENCHES[place] is bench, "what checks share was made twice at one place"
"""

POLICY = Policy.model_validate(
    {
        "name": "p",
        "minimum": {"ldap": 2},
        "require": [{"scenario": "life", "checkpoints": ["up", "up-again"]}],
    }
)


@pytest.fixture
def run(pytester, monkeypatch):
    def run(*arguments, trouble=""):
        monkeypatch.setenv("TROUBLE", trouble)
        monkeypatch.setenv("PYTHONPATH", str(pytester.path))
        pytester.makepyfile(fakelab=FAKE)
        pytester.makepyfile(test_checks=CHECKS)
        folder = pytester.path / "run"
        for made in (folder, pytester.path / "known"):
            made.mkdir(exist_ok=True)
        done = pytester.runpytest_subprocess(
            *("-p", "verify.plugin", "-p", "scenarios.plugin", "-p", "fakelab", "-p", "no:terminal"),
            *("--results", folder, "--known", "known", "-n", "2", "--dist", "loadgroup"),
            *("--no-loadscope-reorder", *arguments, "test_checks.py"),
        )
        return done, folder

    return run


def ids(items, cell):
    return [(item.id, item.checkpoint) for item in items if item.cell == cell]


def test_a_good_run_walks_each_cell_in_order(run):
    done, folder = run()
    assert done.ret == 0, done.stdout.str()
    items = read_results(folder / "results.jsonl")
    for cell in ("life[4.1.1]", "life[4.2.2]"):
        assert ids(items, cell) == [
            ("step.make", "up"),
            ("step.start", "up"),
            ("ldap.first", "up"),
            ("ldap.second", "up"),
            ("health.last", "up"),
            ("step.stop", "up-again"),
            ("step.again", "up-again"),
            ("ldap.first", "up-again"),
            ("ldap.second", "up-again"),
            ("health.last", "up-again"),
            ("step.remove", "end"),
        ]
    summary = finish(folder, POLICY, seconds=1)
    assert summary.passed
    assert summary.verdicts["4.1.1"].passed
    assert summary.figures["life[4.1.1] start took_s"] == 0.5
    assert 0 <= summary.figures["overhead_share"] <= 1
    done.stdout.fnmatch_lines(
        [
            "2 cells on 2 workers, about * s",
            "  life *: 4.1.1, 4.2.2",
            "22 items in 2 cells",
            "*ended after * s; 1 of 2 cells, about * left",
            "*ended after * s; 2 of 2 cells",
        ]
    )
    # By itself: on a busy host the other cell may have ended before.
    done.stdout.fnmatch_lines("*life?4.1.1?*make: *took 0.5 s")
    assert summary.figures["workers"] == 2
    assert 0 < summary.figures["efficiency"] <= 1
    assert set(summary.slowest_checks) == {"ldap.first", "ldap.second", "health.last"}


def test_a_resumed_run_walks_only_what_is_left(run):
    """The run's own run.json says what was asked; the finished cells' items wait in finished.jsonl."""
    _, folder = run()
    asked = (folder / "run.json").read_bytes()
    lines = (folder / "results.jsonl").read_text().splitlines(keepends=True)
    kept = [line for line in lines if "life[4.1.1]" in line]
    (folder / "finished.jsonl").write_text("".join(kept))
    done, _ = run("--resume")
    assert done.ret == 0, done.stdout.str()
    done.stdout.fnmatch_lines(["1 cell on 1 worker, 1 are done already, about * s", "11 items in 1 cell"])
    assert (folder / "run.json").read_bytes() == asked
    assert {item.cell for item in read_results(folder / "results.jsonl")} == {"life[4.2.2]"}
    summary = finish(folder, POLICY, seconds=1)
    assert summary.passed
    assert all(verdict.passed for verdict in summary.verdicts.values())
    assert len(read_results(folder / "results.jsonl")) == 22


def test_a_failed_step_blocks_the_rest_of_its_cell(run):
    done, folder = run(trouble="fail stop")
    assert done.ret == 1
    summary = finish(folder, POLICY, seconds=1)
    assert not summary.passed
    for cell in summary.cells.values():
        assert {word.value: number for word, number in cell.counts.items() if number} == {
            "passed": 5,
            "failed": 1,
            "blocked": 5,
        }
    blocked = [item for item in read_results(folder / "results.jsonl") if item.outcome == "blocked"]
    assert {item.message for item in blocked} == {"the step stop failed: it broke"}
    for file in folder.rglob("*"):
        assert not file.is_file() or b"secret-word" not in file.read_bytes()
    assert "it broke" in next(folder.glob("failures/life*4.1.1*/up-again/step.stop.txt")).read_text()


def test_a_worker_that_dies_loses_no_item(run):
    _, folder = run(trouble="die stop")
    planned = json.loads((folder / "plan.json").read_text())
    finish(folder, POLICY, seconds=1)
    items = read_results(folder / "results.jsonl")
    assert len(items) == len(planned) == 22
    assert Counter(item.outcome.value for item in items) == {"passed": 10, "failed": 2, "blocked": 10}
    assert {(item.id, item.message) for item in items if item.outcome == "failed"} == {
        ("step.stop", "the process that ran it died")
    }
    (junit,) = folder.glob("junit.xml")
    assert 'errors="5"' in junit.read_text()


def test_a_selection_needs_only_the_steps_before_it(run):
    done, folder = run("-k", "ldap.first and not up-again")
    assert done.ret == 0
    items = read_results(folder / "results.jsonl")
    assert ids(items, "life[4.2.2]") == [("step.make", "up"), ("step.start", "up"), ("ldap.first", "up")]
    summary = finish(folder, POLICY, seconds=1)
    assert summary.passed
    assert summary.verdicts["4.2.2"].reasons == (
        "only part of the checks was selected (-k 'ldap.first and not up-again')",
    )


def test_a_selection_of_nothing_has_no_items(run):
    _, folder = run("-k", "nothing-like-this")
    assert json.loads((folder / "plan.json").read_text()) == {}

"""The end of a run: nothing planned is lost, nothing counts twice, and people can read the outcome."""

import datetime as dt
import json
from xml.etree import ElementTree as ET

import pytest

from galaxy.gate.finish import finish, read_summary
from galaxy.gate.policy import Policy
from galaxy.gate.results import ItemResult, Outcome, read_results, write_results
from galaxy.gate.run import ImageUnderTest, RunInfo
from galaxy.gate.table import HEADERS, area_rows, trouble_lines, verdict_lines

CELL = "lifecycle[4.1.1]"
RUN = RunInfo(
    started=dt.datetime.now(dt.UTC),
    galaxy="1",
    suite="c" * 64,
    matrix="quick",
    images=(ImageUnderTest(ref="4.1.1", id="a" * 64),),
    cells={CELL: ("4.1.1",)},
)
POLICY = Policy.model_validate(
    {"name": "p", "minimum": {"ldap": 1}, "require": [{"scenario": "lifecycle", "checkpoints": ["up"]}]}
)


def item(name, outcome=Outcome.PASSED, message="", seconds=1.0):
    area = name.partition(".")[0]
    return ItemResult(
        id=name, area=area, cell=CELL, checkpoint="up", outcome=outcome, seconds=seconds, message=message
    )


@pytest.fixture
def folder(tmp_path):
    RUN.write(tmp_path)
    return tmp_path


def plan(folder, *names):
    told = {
        f"node::{name}": {"id": name, "area": name.partition(".")[0], "cell": CELL, "checkpoint": "up"}
        for name in names
    }
    (folder / "plan.json").write_text(json.dumps(told))


def test_what_never_ran_is_blocked(folder):
    plan(folder, "step.start", "ldap.a", "ldap.b")
    write_results(folder, [item("step.start"), item("ldap.a")])
    summary = finish(folder, POLICY, seconds=3)
    assert summary.counts[Outcome.BLOCKED] == 1
    assert not summary.passed
    assert read_results(folder / "results.jsonl")[-1].id == "ldap.b"
    assert "the run is partly blocked: 1 items never ran" in summary.verdicts["4.1.1"].reasons
    assert read_summary(folder) == summary


def test_a_run_that_wrote_nothing_is_all_blocked(folder):
    plan(folder, "step.start", "ldap.a")
    summary = finish(folder, POLICY, seconds=3)
    assert summary.counts[Outcome.BLOCKED] == 2
    assert "the run is empty: nothing passed" in summary.verdicts["4.1.1"].reasons


def test_an_item_counts_once_by_its_first_end(folder):
    plan(folder, "ldap.a")
    write_results(folder, [item("ldap.a", Outcome.FAILED, "died"), item("ldap.a", Outcome.BLOCKED)])
    summary = finish(folder, POLICY, seconds=3)
    assert {word: number for word, number in summary.counts.items() if number} == {Outcome.FAILED: 1}


def test_the_share_of_overhead_is_what_no_item_used(folder):
    plan(folder, "step.start", "ldap.a")
    write_results(folder, [item("step.start", seconds=6), item("ldap.a", seconds=2)])
    (folder / "timing.json").write_text(
        '{"sessions": [{"seconds": 12.5, "first_item_s": 1.5, "workers": 2, "paces": '
        '{"gw0": {"busy": 8.0, "until": 10.0}, "gw1": {"busy": 12.0, "until": 12.0}}}]}'
    )
    figures = finish(folder, POLICY, seconds=11).figures
    assert figures["overhead_share"] == pytest.approx(2 / 22, abs=1e-4)
    assert figures["first_item_s"] == 1.5
    assert (figures["steps_s"], figures["checks_s"]) == (6, 14)
    assert figures["efficiency"] == 0.8
    assert figures["cells_per_minute"] == pytest.approx(60 / 12.5)
    assert (figures["gw0_busy_share"], figures["gw1_busy_share"]) == (0.64, 0.96)


def test_junit_says_failures_errors_and_skips(folder):
    items = [
        item("ldap.a"),
        item("ldap.b", Outcome.FAILED, "bad \x00 byte"),
        item("ldap.c", Outcome.BLOCKED),
        item("ldap.d", Outcome.KNOWN),
        item("ldap.e", Outcome.NOT_APPLICABLE),
    ]
    write_results(folder, items)
    finish(folder, POLICY, seconds=3)
    (suite,) = ET.parse(folder / "junit.xml").getroot()
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped")}
    assert counts == {"tests": "5", "failures": "1", "errors": "1", "skipped": "2"}


def test_the_table_has_a_row_an_area_and_lines_for_trouble(folder):
    items = [
        item("step.start"),
        item("ldap.a"),
        item("ldap.b", Outcome.FAILED, "went wrong\nand more"),
        item("smb.c", Outcome.BLOCKED, message="the step stop failed: x"),
    ]
    write_results(folder, items)
    rows = list(area_rows(RUN, items))
    assert all(len(row) == len(HEADERS) for row in rows)
    assert [row[:4] for row in rows] == [
        ("4.1.1", "step", "1", "-"),
        ("", "ldap", "1", "1"),
        ("", "smb", "-", "-"),
        ("", "all", "2", "1"),
    ]
    assert list(trouble_lines(items)) == [
        f"failed: ldap.b in {CELL} at up: went wrong",
        f"blocked: 1 items of {CELL}: the step stop failed: x",
    ]
    lines = list(verdict_lines(finish(folder, POLICY, seconds=1)))
    assert lines[0] == "4.1.1: not certified by the policy p"
    assert "  1 failed: ldap.b at up" in lines

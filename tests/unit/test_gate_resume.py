"""Runs in several stretches, on several machines, and the figures that order and estimate them."""

import datetime as dt
import json
from types import SimpleNamespace

import pytest

from galaxy import __version__
from galaxy.gate import resume
from galaxy.gate.finish import finish
from galaxy.gate.merge import merge
from galaxy.gate.policy import Policy
from galaxy.gate.results import ItemResult, Outcome, read_results, write_results
from galaxy.gate.resume import cells_left, newest_unfinished, reopen, require_resumable
from galaxy.gate.run import ImageUnderTest, RunInfo, Shard
from galaxy.gate.suite import suite_digest
from galaxy.gate.summary import CellSummary, count
from galaxy.gate.table import time_lines
from galaxy.gate.timing import Pace, Session, Timing
from galaxy.gate.weights import Weights, balanced, keep_weights, wall_seconds
from galaxy.host.errors import InputError
from galaxy.host.store import Store

IMAGES = (ImageUnderTest(ref="4.1.1", id="a" * 64), ImageUnderTest(ref="4.2.2", id="b" * 64))
CELLS = {"life[4.1.1]": ("4.1.1",), "life[4.2.2]": ("4.2.2",)}
POLICY = Policy.model_validate(
    {"name": "p", "minimum": {"ldap": 1}, "require": [{"scenario": "life", "checkpoints": ["up"]}]}
)
CHECKS = ("step.start", "ldap.a")


def run_info(**more):
    told = {
        "started": dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
        "galaxy": __version__,
        "suite": suite_digest(),
        "matrix": "all",
        "images": IMAGES,
        "cells": CELLS,
    }
    return RunInfo(**{**told, **more})


def items(*cells, outcome=Outcome.PASSED, checks=CHECKS):
    return [
        ItemResult(
            id=name,
            area=name.partition(".")[0],
            cell=cell,
            checkpoint="up",
            outcome=outcome,
            seconds=2.0,
            figures={"ready_s": 0.5} if name == "step.start" else {},
        )
        for cell in cells
        for name in checks
    ]


def plan(folder, *cells):
    told = [
        {"id": n, "area": n.partition(".")[0], "cell": c, "checkpoint": "up"} for c in cells for n in CHECKS
    ]
    (folder / "plan.json").write_text(json.dumps({str(number): one for number, one in enumerate(told)}))


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store whose catalogue has both images."""

    class Catalogue:
        def __init__(self, store):
            assert store.root == tmp_path

        def images(self):
            return IMAGES

    monkeypatch.setattr(resume, "Catalogue", Catalogue)
    return Store(root=tmp_path).ensure()


@pytest.fixture
def interrupted(store):
    """A run that was killed in its second cell, in the middle of a line."""
    folder = store.runs / "20260101T000000Z"
    folder.mkdir()
    run_info().write(folder)
    plan(folder, *CELLS)
    write_results(folder, [*items("life[4.1.1]"), *items("life[4.2.2]", checks=CHECKS[:1])])
    with (folder / "results.jsonl").open("a") as sink:
        sink.write('{"id": "ldap.a", "ar')
    return folder


def test_finished_cells_are_kept_and_the_others_begin_again(store, interrupted):
    (interrupted / "failures" / "life[4.2.2]").mkdir(parents=True)
    (interrupted / "failures" / "life[4.1.1]").mkdir(parents=True)
    assert newest_unfinished(store) == interrupted
    assert reopen(store, interrupted) == run_info()
    assert cells_left(interrupted, run_info()) == ("life[4.2.2]",)
    assert [path.name for path in (interrupted / "failures").iterdir()] == ["life[4.1.1]"]
    # What pytest does then: a plan and results of the rest alone.
    plan(interrupted, "life[4.2.2]")
    write_results(interrupted, items("life[4.2.2]"))
    summary = finish(interrupted, POLICY, seconds=5)
    assert summary.counts[Outcome.PASSED] == 4
    assert summary.verdicts["4.1.1"].passed
    assert summary.cells["life[4.1.1]"].figures == {"start ready_s": 0.5}
    assert not (interrupted / "finished.jsonl").exists()
    with pytest.raises(InputError, match=r"no run in .* was interrupted"):
        newest_unfinished(store)
    with pytest.raises(InputError, match="has ended"):
        require_resumable(store, interrupted)


def test_a_run_is_resumed_as_often_as_it_takes(store, interrupted):
    """Killed again before it had a plan, then in the middle, then finished without its end."""
    reopen(store, interrupted)
    reopen(store, interrupted)
    assert cells_left(interrupted, run_info()) == ("life[4.2.2]",)
    plan(interrupted, "life[4.2.2]")
    finish(interrupted, POLICY, seconds=5)
    assert count(read_results(interrupted / "results.jsonl"))[Outcome.BLOCKED] == 2
    reopen(store, interrupted)
    assert cells_left(interrupted, run_info()) == ("life[4.2.2]",)


def test_a_cell_that_failed_is_finished(store, interrupted):
    failed = [*items("life[4.2.2]", checks=CHECKS[:1], outcome=Outcome.FAILED)]
    blocked = [*items("life[4.2.2]", checks=CHECKS[1:], outcome=Outcome.BLOCKED)]
    write_results(interrupted, [*items("life[4.1.1]"), *failed, *blocked])
    with pytest.raises(InputError, match="has ended"):
        require_resumable(store, interrupted)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"suite": "0" * 64}, "the checks have changed"),
        ({"galaxy": "0"}, "the checks have changed"),
        (
            {"images": (ImageUnderTest(ref="4.1.1", id="c" * 64),)},
            r"the image 4\.1\.1 \(cccccccccccc\) .* is gone",
        ),
        ({"images": ()}, "is not one of a matrix"),
    ],
)
def test_a_run_of_something_else_is_not_gone_on_with(store, interrupted, more, why):
    run_info(**more).write(interrupted)
    before = {path.name: path.read_bytes() for path in interrupted.iterdir()}
    with pytest.raises(InputError, match=why):
        reopen(store, interrupted)
    assert {path.name: path.read_bytes() for path in interrupted.iterdir()} == before


def shard_run(tmp_path, number, cell, **more):
    folder = tmp_path / f"shard{number}{len(list(tmp_path.iterdir()))}"
    folder.mkdir()
    shard = Shard(number=number, of=2, whole=tuple(CELLS))
    run_info(**{"cells": {cell: CELLS[cell]}, "shard": shard, **more}).write(folder)
    plan(folder, cell)
    write_results(folder, items(cell))
    session = Session(seconds=5, first_item_s=1, workers=1, paces={"gw0": Pace(busy=4, until=5)})
    Timing(sessions=(session,)).write(folder)
    summary = finish(folder, POLICY, seconds=5 + number)
    assert summary.passed
    assert not any(verdict.passed for verdict in summary.verdicts.values())
    return folder


def test_shards_are_judged_together(tmp_path):
    first, second = shard_run(tmp_path, 1, "life[4.1.1]"), shard_run(tmp_path, 2, "life[4.2.2]")
    into = tmp_path / "whole"
    into.mkdir()
    summary = merge([second, first], into, POLICY)
    assert summary.shard == ""
    assert all(verdict.passed for verdict in summary.verdicts.values())
    assert list(summary.cells) == list(CELLS)
    assert (summary.seconds, summary.figures["efficiency"]) == (7, 0.8)
    assert summary.figures["life[4.2.2] start ready_s"] == 0.5
    assert [item.cell for item in read_results(into / "results.jsonl")] == [
        name for name in CELLS for _ in CHECKS
    ]
    assert RunInfo.read(into) == run_info()
    assert (into / "junit.xml").exists()
    assert "efficiency 0.80 on 1 workers (busy: session1_gw0 80%, session2_gw0 80%)" in next(
        time_lines(summary)
    )


@pytest.mark.parametrize(
    ("second", "why"),
    [
        ({"number": 1, "cell": "life[4.1.1]"}, "are both the shard 1/2"),
        ({"number": 2, "cell": "life[4.1.1]"}, "not each cell of the matrix once"),
        ({"number": 2, "cell": "life[4.2.2]", "suite": "0" * 64}, "with different checks"),
        ({"number": 2, "cell": "life[4.2.2]", "galaxy": "0"}, "with different versions of Galaxy"),
        ({"number": 2, "cell": "life[4.2.2]", "selection": "ldap"}, "with different selections"),
        (
            {
                "number": 2,
                "cell": "life[4.2.2]",
                "images": (IMAGES[0], ImageUnderTest(ref="4.2.2", id="c" * 64)),
            },
            "with different images",
        ),
    ],
)
def test_what_is_not_one_matrix_is_not_merged(tmp_path, second, why):
    folders = [shard_run(tmp_path, 1, "life[4.1.1]"), shard_run(tmp_path, **second)]
    with pytest.raises(InputError, match=why):
        merge(folders, tmp_path / "whole", POLICY)
    assert not (tmp_path / "whole").exists()


def test_a_missing_or_unfinished_shard_is_named(tmp_path):
    first, second = shard_run(tmp_path, 1, "life[4.1.1]"), shard_run(tmp_path, 2, "life[4.2.2]")
    with pytest.raises(InputError, match="shards are missing: 2/2"):
        merge([first], tmp_path / "whole", POLICY)
    write_results(second, items("life[4.2.2]", checks=CHECKS[:1]))
    with pytest.raises(InputError, match="are not those that its summary counts"):
        merge([first, second], tmp_path / "whole", POLICY)
    finish(second, POLICY, seconds=1)
    with pytest.raises(InputError, match="was interrupted"):
        merge([first, second], tmp_path / "whole", POLICY)


def test_a_whole_run_is_judged_again(tmp_path):
    first, second = shard_run(tmp_path, 1, "life[4.1.1]"), shard_run(tmp_path, 2, "life[4.2.2]")
    whole, again = tmp_path / "whole", tmp_path / "again"
    for folder, parts, allowed in ((whole, [first, second], True), (again, [whole], False)):
        folder.mkdir()
        policy = POLICY if allowed else POLICY.model_copy(update={"minimum": {"ldap": 99}})
        summary = merge(parts, folder, policy)
        assert all(verdict.passed is allowed for verdict in summary.verdicts.values())
        assert RunInfo.read(folder) == run_info()
    for folders, why in (
        ([first, whole], "with different numbers of shards"),
        ([whole], "not one of a matrix"),
    ):
        with pytest.raises(InputError, match=why):
            merge(folders, tmp_path / "third", POLICY)
        run_info(images=()).write(whole)


def test_weights_are_those_of_whole_cells(store):
    def told(outcome, seconds):
        return CellSummary(counts={**dict.fromkeys(Outcome, 0), outcome: 3}, seconds=seconds)

    cells = {"life[4.1.1]": told(Outcome.PASSED, 40.0), "life[4.2.2]": told(Outcome.BLOCKED, 2.0)}
    keep_weights(store, SimpleNamespace(selection="", cells=cells))
    weights = Weights.read(store)
    assert weights.cells == {"life[4.1.1]": 40.0}
    assert [weights.seconds(name, 7.0) for name in ("life[4.1.1]", "life[9.9.9]", "up[1->2]")] == [
        40.0,
        40.0,
        7.0,
    ]
    store.weights.write_text("not JSON")
    assert Weights.read(store) == Weights()


def test_workers_take_the_next_cell_as_they_become_free():
    assert wall_seconds([5, 4, 3, 2, 1], 2) == 8
    assert wall_seconds([], 2) == 0
    assert balanced({"a": 5, "b": 4, "c": 3, "d": 2, "e": 1}, 2) == (("a", "d", "e"), ("b", "c"))


def test_what_failed_in_a_cell_that_is_walked_again_stays_failed(store, interrupted):
    """Walking it again until nothing fails would prove nothing."""
    failed = items("life[4.2.2]", checks=CHECKS[:1], outcome=Outcome.FAILED)
    write_results(interrupted, [*items("life[4.1.1]"), *failed])
    evidence = interrupted / "evidence" / "life[4.2.2]"
    evidence.mkdir(parents=True)
    for _ in range(2):
        reopen(store, interrupted)
        assert cells_left(interrupted, run_info()) == ("life[4.2.2]",)
        assert evidence.is_dir()
    write_results(interrupted, items("life[4.2.2]"))
    summary = finish(interrupted, POLICY, seconds=5)
    assert not summary.passed
    assert [item.outcome for item in read_results(interrupted / "results.jsonl")].count(Outcome.FAILED) == 1
    assert not (interrupted / "failed.jsonl").exists()

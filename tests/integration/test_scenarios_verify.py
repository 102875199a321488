"""galaxy verify for real: a run writes what the contract says, and an interrupted one leaves nothing."""

import json
import os
import signal

import pytest
from support import GALAXY

from galaxy.gate.results import read_results
from galaxy.host.process import background, run

# Cheap checks of several areas, one of them last.
SOME = "started and not stopped and (dns.soa or ldap.rootdse or health.dbcheck)"


def test_a_run_leaves_its_results_and_nothing_else(own_store, image, galaxy, residue, tmp_path):
    settled = residue(own_store)
    report = tmp_path / "report"
    done = galaxy(own_store, "verify", "--matrix", "all", "-k", SOME, "--report", report)
    assert done.returncode == 0, done.output
    items = read_results(report / "results.jsonl")
    assert [item.id for item in items][:2] == ["step.create", "step.start"]
    assert {item.cell for item in items} == {f"lifecycle[{image.ref}]"}
    assert {item.outcome.value for item in items} == {"passed"}
    assert items[-1].id == "health.dbcheck"
    summary = json.loads((report / "summary.json").read_text())
    assert summary["counts"]["passed"] == len(items)
    assert summary["figures"][f"lifecycle[{image.ref}] start ready_s"] > 0
    assert not summary["verdicts"][image.ref]["passed"]
    assert (report / "junit.xml").exists()
    assert "only part of the checks was selected" in done.stdout
    assert not own_store.certificates.exists()
    settled()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--matrix", "all", "--policy", "/nowhere.toml"), "there is no file /nowhere.toml"),
        ((), "must be given"),
    ],
)
def test_wrong_use_is_told_in_one_line_and_leaves_nothing(own_store, galaxy, residue, arguments, why):
    settled = residue(own_store)
    done = galaxy(own_store, "verify", *arguments)
    assert done.returncode == 2, done.output
    assert why in done.stderr
    assert not list(own_store.runs.iterdir())
    settled()


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing(own_store, galaxy, residue, tmp_path, sign):
    """After SIGKILL, which nobody can catch, the run's processes end by themselves and unwind."""
    settled = residue(own_store)
    log, report = tmp_path / "log", tmp_path / "report"
    argv = [*GALAXY, "verify", "--matrix", "all", "-k", SOME, "--report", report]
    with background(argv, log=log, env={"GALAXY_ROOT": str(own_store.root)}) as process:
        begun = f"until grep -q 'start: ' {log}; do sleep 0.1; done"
        run(["timeout", "300", "sh", "-c", begun], timeout=310)
        os.kill(process.pid, sign)
        assert process.wait(timeout=60) == {signal.SIGKILL: -9}.get(sign, 130)
    run(["timeout", "30", "sh", "-c", f"while ls {own_store.journal} | grep -q .; do sleep 0.1; done"])
    settled()
    assert galaxy(own_store, "recover").stdout == "nothing was left behind\n"
    if sign != signal.SIGKILL:
        assert f"to go on: galaxy verify --resume {report}" in log.read_text()
    if sign != signal.SIGTERM:  # the same as SIGINT from here on
        _resume(own_store, galaxy, residue, report)


def _resume(own_store, galaxy, residue, report):
    """The interrupted run goes on with what it began with, and ends as if nothing had been."""
    settled = residue(own_store)
    done = galaxy(own_store, "verify", "--resume", report)
    assert done.returncode == 0, done.output
    items = read_results(report / "results.jsonl")
    planned = json.loads((report / "plan.json").read_text())
    assert sorted(item.id for item in items) == sorted(told["id"] for told in planned.values())
    assert {item.outcome.value for item in items} == {"passed"}
    again = galaxy(own_store, "verify", "--resume", report)
    assert (again.returncode, again.stdout) == (2, "")
    assert f"the run in {report} has ended" in again.stderr
    settled()


def test_shards_make_one_run(own_store, image, galaxy, tmp_path):
    """A single cell is one shard of one; the joined run says what the shard alone did."""
    part, whole = tmp_path / "part", tmp_path / "whole"
    asked = ("verify", "--matrix", "all", "--shard", "1/1", "-k", "started and not stopped and dns.soa")
    done = galaxy(own_store, *asked, "--report", part)
    assert done.returncode == 0, done.output
    assert "only the shard 1/1 of the matrix was run" in done.stdout
    joined = galaxy(own_store, "report", "--merge", part, "--report", whole)
    assert joined.returncode == 0, joined.output
    assert "only the shard" not in joined.stdout
    assert read_results(whole / "results.jsonl") == read_results(part / "results.jsonl")
    shown = galaxy(own_store, "report", whole)
    assert f"lifecycle[{image.ref}]" in (whole / "run.json").read_text()
    assert (shown.returncode, shown.stdout) == (0, joined.stdout)
    again = galaxy(own_store, "report", "--merge", whole, "--report", tmp_path / "third")
    assert again.returncode == 0, again.output
    refused = galaxy(own_store, "report", "--merge", part, whole, "--report", tmp_path / "fourth")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert f"{part} and {whole} are both the shard 1/1" in refused.stderr
    assert not (tmp_path / "fourth").exists()

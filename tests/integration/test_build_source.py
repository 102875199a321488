"""A version built from source gets the same judgement as a packaged one."""

import json
from pathlib import Path

import pytest
from support import galaxy_run

from galaxy.host.store import Store

VERSION = "4.17.12"
LARGEST = 20_000_000


@pytest.mark.source
@pytest.mark.timeout(3000)
def test_a_build_from_source_is_sealed_judged_and_not_made_twice(store: Store, tmp_path: Path) -> None:
    built = galaxy_run(store, "build", VERSION, timeout=2700)
    assert built.returncode == 0, built.output
    again = galaxy_run(store, "build", VERSION)
    assert (again.returncode, again.stdout) == (0, built.stdout), again.output

    shown = galaxy_run(store, "image", "ls", "--json")
    image = next(row for row in json.loads(shown.stdout) if row["ref"] == VERSION)
    assert image["size"] <= LARGEST

    report = tmp_path / "report"
    judged = galaxy_run(store, "verify", "--matrix", "quick", "--image", VERSION, "--report", report)
    assert judged.returncode == 0, judged.output
    summary = json.loads((report / "summary.json").read_text())
    assert summary["counts"]["passed"] > 0
    assert summary["counts"]["failed"] == summary["counts"]["blocked"] == 0

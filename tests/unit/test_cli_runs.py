"""What a run takes back of what an earlier one gave."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest

from galaxy.cli.runs import require_satisfied, run_to_end, take_back
from galaxy.gate.policy import load_policy
from galaxy.gate.summary import Verdict
from galaxy.gate.withdrawal import certificate_file, withdraw
from galaxy.host.errors import GateError, HostError
from galaxy.host.store import Store

IMAGE = "ab" * 32
BEGAN = datetime(2026, 1, 2, tzinfo=UTC)
PRODUCTION = load_policy()
OTHER = PRODUCTION.model_copy(update={"allow": ()})


@pytest.mark.parametrize(
    ("found", "policy", "stays"),
    [
        ({}, PRODUCTION, True),
        ({"reasons": ("not run: disaster",)}, PRODUCTION, True),
        ({"failed": 1}, PRODUCTION, False),
        ({"failed": 1}, OTHER, False),
        ({"unfit": 1}, PRODUCTION, False),
        ({"unfit": 1}, OTHER, True),
    ],
)
def test_what_speaks_against_an_image_takes_its_certificate(tmp_path, found, policy, stays):
    store = Store(root=tmp_path)
    file = certificate_file(store, IMAGE)
    file.parent.mkdir(parents=True)
    file.touch()
    verdict = Verdict(image_id=IMAGE, passed=not found, **found)
    take_back(store, SimpleNamespace(verdicts={"4.22.11": verdict}, started=BEGAN), policy)
    assert file.exists() == stays


def test_why_the_last_whole_run_refused_it_stays_known(tmp_path):
    store = Store(root=tmp_path)
    file = certificate_file(store, IMAGE)
    file.parent.mkdir(parents=True)
    for name in (file.name, "results.jsonl", "verdict.json"):
        file.with_name(name).touch()
    assert withdraw(store, IMAGE, BEGAN)
    assert sorted(path.name for path in file.parent.iterdir()) == ["verdict.json", "withdrawn"]
    assert not withdraw(store, IMAGE, BEGAN), "there is none any more"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "run"
    made.mkdir()
    (made / "run.json").touch()
    return made


@pytest.mark.parametrize(("resumed", "stays"), [(True, True), (False, False)])
def test_a_run_that_ends_before_anything_is_planned_is_not_finished(tmp_path, folder, resumed, stays):
    """What earlier sessions have found would look like all of it."""

    def go() -> None:
        if resumed:
            (folder / "finished.jsonl").write_text("kept")
        raise HostError("no worker could begin")

    with pytest.raises(HostError, match="no worker"):
        run_to_end(Store(root=tmp_path), folder, PRODUCTION, go, resumed=resumed)
    assert folder.exists() == stays
    assert not (folder / "summary.json").exists()
    if stays:
        assert (folder / "finished.jsonl").read_text() == "kept"


@pytest.mark.parametrize(
    ("part", "second", "short"),
    [
        ({}, True, False),
        ({}, False, True),
        ({"selection": "ldap"}, False, False),
        ({"shard": "1/2"}, False, False),
    ],
)
def test_a_policy_that_was_named_is_to_be_satisfied_by_each_image(part, second, short):
    verdicts = {
        ref: Verdict(image_id=IMAGE, passed=passed) for ref, passed in (("4.22.6", True), ("4.22.11", second))
    }
    summary = SimpleNamespace(verdicts=verdicts, **{"policy": "ours", "selection": "", "shard": "", **part})
    if not short:
        require_satisfied(summary)
        return
    with pytest.raises(GateError, match=r"ours is not satisfied by 4\.22\.11\n"):
        require_satisfied(summary)

"""What a run takes back of what an earlier one gave."""

from types import SimpleNamespace

import pytest

from galaxy.cli.runs import take_back
from galaxy.gate.certificate import certificate_file, withdraw
from galaxy.gate.policy import load_policy
from galaxy.gate.summary import Verdict
from galaxy.host.store import Store

IMAGE = "ab" * 32
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
    take_back(store, SimpleNamespace(verdicts={"4.22.11": verdict}), policy)
    assert file.exists() == stays


def test_why_the_last_whole_run_refused_it_stays_known(tmp_path):
    store = Store(root=tmp_path)
    file = certificate_file(store, IMAGE)
    file.parent.mkdir(parents=True)
    for name in (file.name, "results.jsonl", "verdict.json"):
        file.with_name(name).touch()
    assert withdraw(store, IMAGE)
    assert [path.name for path in file.parent.iterdir()] == ["verdict.json"]
    assert not withdraw(store, IMAGE), "there is none any more"

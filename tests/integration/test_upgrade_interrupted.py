"""A sample of the proof that nothing is lost: `python -m scenarios.endurance` does all of it."""

import sys

import pytest

from galaxy.build import BuildRequest
from galaxy.host.process import run
from galaxy.image.make import make_image

SAMPLES = [
    pytest.param(("--kills", "14", "--cuts", "0", "--full", "0"), " kills of galaxy", id="killed"),
    pytest.param(("--kills", "0", "--cuts", "3", "--full", "0"), "3 power cuts: ", id="power-cut"),
    pytest.param(("--kills", "0", "--cuts", "0", "--full", "6"), "6 full disks: ", id="full-disk"),
]


@pytest.fixture(scope="module")
def newer(store, settings):
    return make_image(store, settings, BuildRequest(version="4.22.11", packages=True))


@pytest.mark.parametrize(("sample", "summary"), SAMPLES)
def test_nothing_is_lost_when_an_upgrade_is_interrupted(image, newer, store, sample, summary) -> None:
    words = (sys.executable, "-m", "scenarios.endurance", *sample, "--address", "10.219.8.2")
    done = run(
        (*words, "--old", image.id, "--new", newer.id),
        env={"GALAXY_ROOT": str(store.root)},
        timeout=1800,
        check=False,
    )
    assert done.returncode == 0, done.output
    assert summary in done.stdout
    assert "nothing lost, nothing left over" in done.stdout

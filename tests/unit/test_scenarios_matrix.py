"""Cells as data: what a matrix expands to, and where the items of a cell stand."""

import pytest

from galaxy.gate.run import refs_of, scenario_of
from galaxy.host.errors import InputError
from scenarios.catalogue import SCENARIOS
from scenarios.engine import Scenario, Step
from scenarios.matrix import expand, part_of
from scenarios.outline import outline

REFS = ("4.17.12+packages", "4.22.11")


def test_quick_is_the_lifecycle_of_each_image():
    assert [cell.name for cell in expand("quick", REFS)] == [f"lifecycle[{ref}]" for ref in REFS]


def test_all_has_every_scenario():
    assert {cell.scenario.name for cell in expand("all", REFS)} == set(SCENARIOS)


def test_a_cells_name_says_what_it_is():
    (cell,) = expand("quick", ["4.22.11"])
    assert scenario_of(cell.name) == "lifecycle"
    assert refs_of(cell.name) == ("4.22.11",)
    assert refs_of("upgrade[4.17.12->4.22.11]") == ("4.17.12", "4.22.11")


@pytest.mark.parametrize(
    ("axes", "names"),
    [
        ("", ["lifecycle[4.17.12+packages]", "lifecycle[4.22.11]"]),
        ('axes = {image = ["*"]}', ["lifecycle[4.17.12+packages]", "lifecycle[4.22.11]"]),
        ('axes = {image = ["4.22.11"]}', ["lifecycle[4.22.11]"]),
    ],
)
def test_a_file_has_axes(tmp_path, axes, names):
    file = tmp_path / "m.toml"
    file.write_text(f'[[cells]]\nscenario = "lifecycle"\n{axes}\n')
    assert [cell.name for cell in expand(str(file), REFS)] == names


def test_the_same_cell_twice_runs_once(tmp_path):
    file = tmp_path / "m.toml"
    file.write_text('[[cells]]\nscenario = "lifecycle"\n' * 2)
    assert len(expand(str(file), REFS)) == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "cells"),
        ('[[cells]]\nscenario = "life"\n', "no scenario 'life'"),
        ('[[cells]]\nscenario = "lifecycle"\naxes = {version = ["4"]}\n', "no axis 'version'"),
        ('[[cells]]\nscenario = "lifecycle"\naxes = {image = ["4.1"]}\n', "no cell for"),
        ('[[cells]]\nscenario = "lifecycle"\nimages = []\n', "images"),
        ("[[cells", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path, text, why):
    file = tmp_path / "m.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=why):
        expand(str(file), REFS)


@pytest.mark.parametrize(
    ("matrix", "why"), [("quik", "no matrix 'quik'"), ("gone.toml", "no file gone.toml")]
)
def test_a_matrix_that_is_not_there_is_refused(matrix, why):
    with pytest.raises(InputError, match=why):
        expand(matrix, REFS)


def test_checkpoints_come_right_after_their_steps():
    (cell,) = expand("quick", ["4.22.11"])
    steps = cell.steps
    by_order = {place.order: place.checkpoint for place in cell.check_places()}
    assert len(by_order) == 5
    for index, step in enumerate(steps):
        assert by_order.get(2 * index + 1, "") == step.checkpoint
        assert cell.step_place(index).order == 2 * index
    assert cell.step_place(0).checkpoint == "started"
    assert cell.step_place(len(steps) - 1).checkpoint == "end"


VERSIONS = ("4.22.11", "4.17.12+packages", "4.17.12", "4.24.7")


def scenario(name: str, **more: object) -> Scenario:
    steps = (Step(name="go", act=lambda _world: {}, checkpoint="gone"),)
    return Scenario(name=name, **{"steps": steps, "weight": 10, **more})


@pytest.fixture
def catalogue(monkeypatch):
    """Scenarios of each kind: one image, pairs forward, all images in one cell."""

    def every(images: int) -> tuple[Step, ...]:
        return tuple(Step(name=f"to-{n}", act=lambda _world: {}, checkpoint=f"at-{n}") for n in range(images))

    kinds = (
        scenario("life", weight=30),
        scenario("up", roles=("old", "new"), admits=lambda versions: versions[0] < versions[1]),
        scenario("chain", steps=(), every=every),
    )
    monkeypatch.setattr("scenarios.matrix.SCENARIOS", {kind.name: kind for kind in kinds})


@pytest.mark.usefixtures("catalogue")
def test_pairs_go_forward_and_source_comes_before_packages():
    names = [cell.name for cell in expand("all", VERSIONS) if cell.scenario.name == "up"]
    assert names == [
        "up[4.17.12->4.22.11]",
        "up[4.17.12->4.24.7]",
        "up[4.17.12+packages->4.22.11]",
        "up[4.17.12+packages->4.24.7]",
        "up[4.22.11->4.24.7]",
    ]


@pytest.mark.usefixtures("catalogue")
def test_a_chain_is_one_cell_with_each_version_once():
    (chain,) = (cell for cell in expand("all", VERSIONS) if cell.scenario.name == "chain")
    assert chain.name == "chain[4.17.12->4.22.11->4.24.7]"
    assert [step.checkpoint for step in chain.steps] == ["at-0", "at-1", "at-2"]
    assert chain.weight == 30
    assert [place.checkpoint for place in chain.check_places()] == ["at-0", "at-1", "at-2"]


@pytest.mark.usefixtures("catalogue")
def test_one_version_makes_no_chain():
    names = [cell.name for cell in expand("all", ["4.17.12", "4.17.12+packages"])]
    assert names == ["life[4.17.12]", "life[4.17.12+packages]"]


@pytest.mark.usefixtures("catalogue")
def test_what_a_scenario_does_not_admit_is_no_cell(tmp_path):
    file = tmp_path / "m.toml"
    file.write_text('[[cells]]\nscenario = "up"\naxes = {old = ["4.24.7"], new = ["4.17.12"]}\n')
    with pytest.raises(InputError, match="no cell"):
        expand(str(file), VERSIONS)


@pytest.mark.usefixtures("catalogue")
def test_shards_are_the_whole_matrix_once_and_alike_everywhere():
    cells = expand("all", VERSIONS)
    parts = [part_of(cells, f"{number}/3") for number in (1, 2, 3)]
    names = [cell.name for _, mine in parts for cell in mine]
    assert sorted(names) == sorted(cell.name for cell in cells)
    assert {shard.whole for shard, _ in parts} == {tuple(cell.name for cell in cells)}
    loads = [sum(cell.weight for cell in mine) for _, mine in parts]
    assert max(loads) - min(loads) <= 30
    assert part_of(cells, "2/3") == parts[1]


@pytest.mark.usefixtures("catalogue")
@pytest.mark.parametrize(
    ("shard", "why"),
    [("0/3", "is not a shard"), ("4/3", "is not a shard"), ("x", "is not a shard"), ("99/99", "has no cell")],
)
def test_a_wrong_shard_is_refused(shard, why):
    with pytest.raises(InputError, match=why):
        part_of(expand("all", VERSIONS), shard)


@pytest.mark.usefixtures("catalogue")
def test_a_run_tells_its_cells_and_time_first():
    cells = expand("all", VERSIONS)
    expected = {cell.name: cell.weight for cell in cells}
    told = list(outline(cells, expected, 2, ""))
    assert told[0] == "10 cells on 2 workers, about 2 min"
    assert told[1].split() == ["chain", "1,", "30", "s", "each:", "4.17.12->4.22.11->4.24.7"]
    assert any(line.startswith("  life") for line in told)
    assert all(len(line) <= 116 for line in told)
    assert next(iter(outline(cells, {}, 1, "only -k 'x'"))) == "10 cells on 1 worker, only -k 'x'"

"""Cells as data: what a matrix expands to, and where the items of a cell stand."""

import pytest

from galaxy.gate.run import refs_of, scenario_of
from galaxy.host.errors import InputError
from scenarios.catalogue import SCENARIOS
from scenarios.matrix import expand

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


@pytest.mark.parametrize(("matrix", "why"), [("quik", "no matrix 'quik'"), ("gone.toml", "no file gone.toml")])
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

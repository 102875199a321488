"""Results on disk: one line an item, readable back, and refused when damaged."""

import json

import pytest

from galaxy.gate.results import RESULTS_FILE, ItemResult, Outcome, ResultsWriter, read_results, write_results
from galaxy.host.errors import InputError


def item(**changes):
    values = {
        "id": "ldap.bind",
        "area": "ldap",
        "cell": "lifecycle[4.17.12]",
        "checkpoint": "started",
        "outcome": Outcome.PASSED,
        "seconds": 0.25,
    }
    return ItemResult(**{**values, **changes})


def test_a_line_carries_the_names_of_the_contract():
    body = json.loads(item(message="é", outcome=Outcome.NOT_APPLICABLE).to_line())
    assert list(body) == ["id", "area", "cell", "checkpoint", "outcome", "seconds", "message"]
    assert body["outcome"] == "not-applicable"


def test_items_come_back_as_they_went(tmp_path):
    items = (item(), item(id="step.start", area="step", figures={"ready_s": 0.5}))
    assert read_results(write_results(tmp_path, items)) == items


def test_a_line_is_on_disk_before_the_next(tmp_path):
    writer = ResultsWriter(tmp_path)
    writer.add(item())
    assert read_results(tmp_path / RESULTS_FILE) == (item(),)
    writer.close()


@pytest.mark.parametrize("line", ["", "[]", '{"id": "a"}', '{"nope": 1}', '{"outcome": "green"}'])
def test_a_damaged_line_is_named(tmp_path, line):
    (tmp_path / RESULTS_FILE).write_text(item().to_line() + "\n" + line + "\n")
    with pytest.raises(InputError, match="line 2"):
        read_results(tmp_path / RESULTS_FILE)


def test_no_run_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot read"):
        read_results(tmp_path / RESULTS_FILE)


def test_what_python_takes_for_the_end_of_a_line_is_none_in_a_message(tmp_path):
    items = (
        ItemResult(
            id="a.b",
            area="a",
            cell="c",
            checkpoint="d",
            outcome=Outcome.FAILED,
            seconds=1,
            message="x\u2028y\u0085z",
        ),
    )
    assert read_results(write_results(tmp_path, items)) == items

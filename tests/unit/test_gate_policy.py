"""The judgement: what the policy asks for, and every way in which a run can fall short of it."""

from collections import Counter
from dataclasses import replace

import pytest

from galaxy.gate.policy import Policy, Requirement, judge, load_policy
from galaxy.gate.results import ItemResult, Outcome
from galaxy.host.errors import InputError
from scenarios.catalogue import SCENARIOS
from verify.listing import all_checks

REF = "4.22.11"
POLICY = Policy.model_validate(
    {
        "name": "small",
        "minimum": {"ldap": 2, "smb": 1},
        "require": [{"scenario": "lifecycle", "checkpoints": ["started", "killed"]}],
        "allow": [{"check": "ldap.odd", "reason": "the vendor knows"}],
    }
)


def item(check, checkpoint="started", outcome=Outcome.PASSED, ref=REF):
    return ItemResult(
        id=check,
        area=check.partition(".")[0],
        cell=f"lifecycle[{ref}]",
        checkpoint=checkpoint,
        outcome=outcome,
        seconds=0.1,
    )


def good():
    return [item(check, at) for at in ("started", "killed") for check in ("ldap.a", "ldap.b", "smb.a")]


def test_a_complete_run_satisfies():
    assert judge(POLICY, REF, [*good(), item("step.start")]) == ()


def test_nothing_certifies_nothing():
    assert judge(POLICY, REF, []) == (f"nothing of {REF} was checked",)


def test_another_image_does_not_help():
    assert judge(POLICY, "4.17.12", good()) == ("nothing of 4.17.12 was checked",)


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.BLOCKED, Outcome.KNOWN])
def test_what_is_not_passed_counts_against(outcome):
    (reason,) = judge(POLICY, REF, [*good(), item("ldap.c", outcome=outcome)])
    assert "ldap.c at started" in reason


def test_a_failed_step_counts_against():
    (reason,) = judge(POLICY, REF, [*good(), item("step.start", outcome=Outcome.FAILED)])
    assert "step.start" in reason


def test_an_allowed_known_failure_does_not():
    assert judge(POLICY, REF, [*good(), item("ldap.odd", outcome=Outcome.KNOWN)]) == ()


def test_a_missing_checkpoint_is_named():
    results = [result for result in good() if result.checkpoint != "killed"]
    assert judge(POLICY, REF, results) == (f"lifecycle[{REF}] at killed: no checks were run",)


def test_too_few_checks_in_an_area_are_counted():
    results = [result for result in good() if (result.id, result.checkpoint) != ("ldap.b", "killed")]
    assert judge(POLICY, REF, results) == (f"lifecycle[{REF}] at killed: too few checks passed: ldap 1 of 2",)


def test_not_applicable_is_no_pass():
    results = [
        replace(result, outcome=Outcome.NOT_APPLICABLE) if result.id == "smb.a" else result
        for result in good()
    ]
    assert all("smb 0 of 1" in reason for reason in judge(POLICY, REF, results))


def test_the_same_check_twice_counts_once():
    results = [
        *(result for result in good() if result.id != "ldap.b"),
        item("ldap.a"),
        item("ldap.a", "killed"),
    ]
    assert len(judge(POLICY, REF, results)) == 2


def test_a_scenario_that_was_not_run_is_named():
    results = [replace(result, cell=f"upgrade[4.17.12->{REF}]") for result in good()]
    assert judge(POLICY, REF, results) == ("not run: lifecycle",)


def test_another_scenario_may_show_as_much():
    wanted = Requirement(scenario="upgrade", checkpoints=("upgraded",), instead={"lifecycle": ("started",)})
    policy = POLICY.model_copy(update={"require": (wanted,)})
    assert judge(policy, REF, good()) == ()
    step = replace(item("step.upgrade", "upgraded"), cell=f"upgrade[{REF}->4.24.7]")
    assert judge(policy, REF, [step]) == ("not run: upgrade or lifecycle",)


def test_a_scenario_to_walk_may_have_checked_the_other_image():
    policy = POLICY.model_copy(update={"walk": ("rolling",)})
    assert judge(policy, REF, good()) == ("not run: rolling",)
    other = replace(item("step.roll", "rolled"), cell=f"rolling[{REF}->4.24.7]")
    assert judge(policy, REF, [*good(), other]) == ()


def test_the_shipped_policy_asks_for_every_way_forward_and_back():
    """A run that leaves one out must not bring back what a failure there has taken away."""
    policy = load_policy()
    asked = {*policy.walk, *(needed.scenario for needed in policy.require)}
    assert asked == {scenario.name for scenario in SCENARIOS.values()} - {"chain", "content"}, (
        "what takes all images of a run tells of none"
    )


def test_the_shipped_policy_loads():
    policy = load_policy()
    assert policy.name == "production"
    count = Counter(info.area for info in all_checks())
    assert set(policy.minimum) == set(count), "an area that no policy asks for could be left out unseen"
    for area, wanted in policy.minimum.items():
        assert 0.8 * count[area] - 1 <= wanted <= count[area], f"{area} has {count[area]} checks"


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('name = "x"\nminimun = {}\n', "minimum"),
        ('name = "x"\nminimum = {ldap = 1}\nrequire = [{scenario = "a", checkpoint = ["b"]}]', "checkpoint"),
        ('name = "x"\nminimum = {}\nrequire = []', "minimum"),
        ('name = "x"\nminimum = {ldap = 0}\nrequire = []', "minimum.ldap"),
    ],
)
def test_a_wrong_key_is_refused_by_name(tmp_path, text, key):
    file = tmp_path / "policy.toml"
    file.write_text(text)
    with pytest.raises(InputError) as caught:
        load_policy(file)
    assert key in caught.value.message
    assert caught.value.exit_code == 2

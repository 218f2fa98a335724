"""Names that contain the stack's name: with the longest one they are within AWS's limits."""

import re
from typing import Any

import pytest

from bulk_user_deletion_cli.stack_name import LONGEST, refusal
from tests.definition.loading import listed, statements, transformed

LONGEST_NAME = "n" * LONGEST

# The API reference of each service, of the operation that creates the resource.
LIMITS = {
    ("AWS::Events::Rule", "Name"): 64,
    ("AWS::StepFunctions::StateMachine", "StateMachineName"): 80,
    ("AWS::Scheduler::ScheduleGroup", "Name"): 64,
    ("AWS::CloudWatch::Alarm", "AlarmName"): 255,
    ("AWS::CloudWatch::Dashboard", "DashboardName"): 255,
    ("AWS::Logs::LogGroup", "LogGroupName"): 512,
}


def with_name(value: Any, stack_name: str) -> str:
    """A Ref or a Sub with the stack's name, and placeholders for everything else."""
    if value == {"Ref": "AWS::StackName"}:
        return stack_name
    if isinstance(value, dict) and isinstance(value.get("Fn::Sub"), str):
        text = value["Fn::Sub"].replace("${AWS::StackName}", stack_name)
        return re.sub(r"\$\{[^}]+\}", "x", text)
    return value if isinstance(value, str) else ""


NAMED = {
    (name, resource["Type"], field): value
    for name, resource in transformed().items()
    for field, value in resource.get("Properties", {}).items()
    if field.endswith("Name") and "AWS::StackName" in str(value)
}


@pytest.mark.parametrize("named", NAMED, ids=lambda named: named[0])
def test_the_longest_stack_name_makes_no_name_too_long(named: tuple[str, str, str]) -> None:
    name = with_name(NAMED[named], LONGEST_NAME)

    assert len(name) <= LIMITS[named[1:]]


def test_a_longer_one_would() -> None:
    assert any(
        len(with_name(value, LONGEST_NAME + "n")) > LIMITS[kind, field]
        for (_, kind, field), value in NAMED.items()
    )


@pytest.mark.parametrize("resource", ["rule", "stateMachine", "alarm", "log-group"])
@pytest.mark.parametrize("stack_name", ["a", "n" * 31, "n" * 40, LONGEST_NAME])
def test_what_a_policy_says_of_names_is_true_of_every_such_resource(
    resource: str, stack_name: str
) -> None:
    kind = {
        "rule": "AWS::Events::Rule",
        "stateMachine": "AWS::StepFunctions::StateMachine",
        "alarm": "AWS::CloudWatch::Alarm",
        "log-group": "AWS::Logs::LogGroup",
    }[resource]
    names = {
        with_name(value, stack_name) for (_, type_, _), value in NAMED.items() if type_ == kind
    }
    patterns = {
        re.split(rf":{resource}[:/]", with_name(value, stack_name))[-1]
        for statement in statements()
        for wanted in statement.condition.values()
        for values in wanted.values()
        for value in listed(values)
        if re.search(rf":{resource}[:/]", with_name(value, stack_name))
    }

    # Every rule, machine, alarm and log group has a name of its own: generated ones are cut.
    assert len(names) == sum(item["Type"] == kind for item in transformed().values())
    assert patterns
    matched = {
        name
        for name in names
        for pattern in patterns
        if re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), name)
    }
    assert matched == names


def test_no_function_has_an_explicit_name_and_no_policy_depends_on_one() -> None:
    # A renamed function is replaced while executions call it; and a generated name only has the
    # start of a long stack's name.
    functions = [r for r in transformed().values() if r["Type"] == "AWS::Lambda::Function"]

    assert functions
    assert not [function for function in functions if "FunctionName" in function["Properties"]]
    assert ":function:" not in str([s.condition for s in statements()])


@pytest.mark.parametrize("length", [1, 31, 40, LONGEST])
def test_a_name_that_fits_is_accepted(length: int) -> None:
    assert refusal("n" * length) == ""


def test_a_name_that_does_not_fit_is_refused_with_its_length_and_the_longest() -> None:
    said = refusal("n" * (LONGEST + 1))

    assert f"has {LONGEST + 1} characters, and may have at most {LONGEST}" in said

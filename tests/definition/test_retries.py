"""What is retried, how often and after how long: every Retry, checked against docs/faults.md."""

import re
from typing import Any

import pytest

from tests.definition.loading import PROJECT, definition, states

STATES = states(definition())
FUNCTION_TASKS = [
    name
    for name, state in STATES.items()
    if state.get("Resource") == "arn:aws:states:::lambda:invoke"
]
FAULTS = (PROJECT / "docs/faults.md").read_text(encoding="utf-8")

# A function that was not called for weeks is inactive: "When you try to invoke a function that
# is inactive, the invocation fails and Lambda sets the function to pending state until the function
# resources are recreated." https://docs.aws.amazon.com/lambda/latest/dg/functions-states.html
# The errors of Invoke until then, and those of Lambda's calls to EC2 for a function in a VPC:
# https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html#API_Invoke_Errors
WAKING = {
    f"Lambda.{name}"
    for name in (
        "CodeArtifactUserPendingException",
        "ResourceNotReadyException",
        "ENINotReadyException",
        "ResourceConflictException",
        "EC2ThrottledException",
        "EC2UnexpectedException",
    )
}
# One function is said to take up to two minutes; the wait is twice that.
LONGEST_WAKING = 120


def waits(retrier: dict[str, Any]) -> list[float]:
    """The seconds before each further try: all of them, where there is no jitter."""
    longest = retrier.get("MaxDelaySeconds", float("inf"))
    return [
        min(retrier["IntervalSeconds"] * retrier["BackoffRate"] ** n, longest)
        for n in range(retrier["MaxAttempts"])
    ]


@pytest.mark.parametrize("name", FUNCTION_TASKS)
def test_every_task_first_waits_for_a_function_that_is_being_woken(name: str) -> None:
    first, *others = STATES[name]["Retry"]

    assert set(first["ErrorEquals"]) == WAKING
    assert not [other for other in others if WAKING & set(other["ErrorEquals"])]
    assert "JitterStrategy" not in first  # which may be 0 with jitter
    assert sum(waits(first)) >= 2 * LONGEST_WAKING


# The table


def groups() -> dict[str, set[str]]:
    """The groups of errors that docs/faults.md gives a name."""
    named = re.findall(r"^- \*\*(\w+)\*\*, [^:]+: (.+)$", FAULTS, re.MULTILINE)
    return {name: set(re.findall(r"`([\w.]+)`", errors)) for name, errors in named}


def errors_said(retrier: dict[str, Any]) -> str:
    left, said = set(retrier["ErrorEquals"]), []
    for name, errors in groups().items():
        if errors <= left:
            left -= errors
            said.append(name)
    return ", ".join([*said, *(f"`{error}`" for error in sorted(left))])


def waits_said(retrier: dict[str, Any]) -> str:
    interval, rate = retrier["IntervalSeconds"], retrier["BackoffRate"]
    if rate == 1:
        return f"{interval} s each"
    said = f"{interval} s, then {rate} times as long each"
    if "MaxDelaySeconds" in retrier:
        said += f", {retrier['MaxDelaySeconds']} s at most"
    return f"{said}; at random below that" if retrier.get("JitterStrategy") == "FULL" else said


def test_the_table_of_retries_is_what_the_definition_says() -> None:
    table = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \| (\d+) \|$", FAULTS, re.MULTILINE)

    assert table == [
        (name, errors_said(retrier), waits_said(retrier), str(retrier["MaxAttempts"]))
        for name, state in STATES.items()
        for retrier in state.get("Retry", [])
    ]


def test_a_group_of_the_table_is_used_as_a_whole_or_not_at_all() -> None:
    assert groups()["Waking"] == WAKING
    for state in STATES.values():
        for retrier in state.get("Retry", []):
            for errors in groups().values():
                assert errors <= set(retrier["ErrorEquals"]) or not errors & set(
                    retrier["ErrorEquals"]
                )

"""Which ends of executions the rules match: the patterns as deployed.

The emulator evaluates patterns as EventBridge does; the answers below were confirmed with Event
Ruler itself, https://github.com/aws/event-ruler, which EventBridge runs.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.engine import Engine
from tests.definition.loading import PROJECT, RESOURCES
from tests.end_to_end.conftest import Application

# As recorded from AWS: a field without a value is null, and so is an input beyond 248 KiB.
DETAIL: dict[str, Any] = {
    "executionArn": "",
    "name": "run-1",
    "input": "{}",
    "inputDetails": {"included": True},
    "output": None,
    "outputDetails": None,
    "redriveCount": 0,
    "redriveStatus": "REDRIVABLE",
    "error": None,
    "cause": None,
}
ENDED_EARLY = ["FAILED", "TIMED_OUT", "ABORTED"]

Matches = Callable[..., bool]


@pytest.fixture(scope="module")
def matches(aws: Engine, deployed: Application) -> Matches:
    """Whether a rule matches the end of an execution with these details; None leaves one out."""
    events = aws.client("events")
    machine = deployed.outputs["StateMachineArn"]
    patterns = {
        rule: events.describe_rule(Name=f"bulk-user-deletion-{rule}")["EventPattern"]
        for rule in ("ExecutionEnded", "Unreported")
    }

    def matches(rule: str, *, without: tuple[str, ...] = (), **changes: Any) -> bool:
        detail = {"stateMachineArn": machine, **DETAIL, **changes}
        event = {
            "id": "1",
            "account": "123456789012",
            "source": "aws.states",
            "time": "2026-11-24T12:00:00Z",
            "region": "us-east-1",
            "resources": [],
            "detail-type": "Step Functions Execution Status Change",
            "detail": {name: value for name, value in detail.items() if name not in without},
        }
        answer = events.test_event_pattern(EventPattern=patterns[rule], Event=json.dumps(event))
        return bool(answer["Result"])

    return matches


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
requests = st.dictionaries(
    st.sampled_from(["mode", "source", "users", "reason", "closed", "clos", "resume"]), values
)
names = st.from_regex(r"[A-Za-z0-9_-]{1,80}", fullmatch=True)
statuses = st.sampled_from(ENDED_EARLY)


@given(request=requests, status=statuses, indent=st.sampled_from([None, 0, 1, 2]))
def test_whatever_was_requested_its_run_is_closed(
    matches: Matches, request: dict[str, Any], status: str, indent: int | None
) -> None:
    text = json.dumps(request, indent=indent)

    assert matches("ExecutionEnded", status=status, input=text)


@given(status=statuses, user=st.sampled_from(["close", '"close"', '{"close"', '{"close": "x"}']))
def test_a_user_whose_name_is_that_of_an_order_does_not_keep_a_run_from_being_closed(
    matches: Matches, status: str, user: str
) -> None:
    request = {"mode": "apply", "source": {"users": [user]}, "reason": user}

    assert matches("ExecutionEnded", status=status, input=json.dumps(request))


@given(name=names, status=statuses)
def test_a_closing_is_closed_by_no_other_execution(
    matches: Matches, name: str, status: str
) -> None:
    [target] = RESOURCES["ExecutionEnded"]["Properties"]["Targets"]
    template = target["InputTransformer"]["InputTemplate"]
    as_the_rule_starts_it = template.replace("<name>", json.dumps(name))

    for text in (as_the_rule_starts_it, json.dumps({"close": name}), f'{{ "close" : "{name}" }}'):
        assert not matches("ExecutionEnded", status=status, input=text)


def test_the_sample_of_a_closing_is_recognized_as_one(matches: Matches) -> None:
    sample = (PROJECT / "events/close_run.json").read_text(encoding="utf-8")

    assert not matches("ExecutionEnded", status="FAILED", input=sample)


@pytest.mark.parametrize("status", ENDED_EARLY)
def test_an_execution_whose_input_is_not_in_the_event_is_closed(
    matches: Matches, status: str
) -> None:
    left_out = {"included": False}

    assert matches("ExecutionEnded", status=status, input=None, inputDetails=left_out)
    assert matches("ExecutionEnded", status=status, without=("input",), inputDetails=left_out)


@pytest.mark.parametrize("status", ["RUNNING", "SUCCEEDED", "PENDING_REDRIVE"])
def test_an_execution_that_is_running_or_succeeded_does_not_match_the_rule(
    matches: Matches, status: str
) -> None:
    assert not matches("ExecutionEnded", status=status)
    assert not matches("Unreported", status=status)


def test_another_machines_executions_do_not_match_the_rule(matches: Matches) -> None:
    other = "arn:aws:states:us-east-1:000000000000:stateMachine:another"

    for rule in ("ExecutionEnded", "Unreported"):
        assert not matches(rule, status="ABORTED", stateMachineArn=other)


@pytest.mark.parametrize("request_", ['{"mode": "apply"}', '{"close": "run-1"}'])
@pytest.mark.parametrize(
    ("status", "error", "is_unreported"),
    [
        ("TIMED_OUT", None, True),
        ("ABORTED", None, True),
        ("FAILED", "ReportFailed", True),
        ("FAILED", "States.Runtime", True),
        ("FAILED", "States.DataLimitExceeded", True),
        ("FAILED", "RequestRefused", False),  # as a dropped file that is refused
        ("FAILED", "RunStopped", False),
        ("FAILED", "UsersLeftOpen", False),
        ("FAILED", "PortalUnavailable", False),
    ],
)
def test_an_end_without_a_report_is_a_dead_letter_and_one_with_a_report_is_not(
    matches: Matches, request_: str, status: str, error: str | None, *, is_unreported: bool
) -> None:
    assert matches("Unreported", status=status, error=error, input=request_) is is_unreported

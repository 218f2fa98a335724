"""The state machine, as a graph, as data flow, and as a list of promises."""

import copy
import inspect
import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from bulk_user_deletion import errors
from bulk_user_deletion.rules.batches import BATCH_SIZE
from bulk_user_deletion.steps.turn import LOOK_AGAIN_SECONDS
from tests.definition.loading import (
    PROJECT,
    TEMPLATE,
    definition,
    function_of,
    machines,
    snake_case,
    states,
    tokens,
    ways_out,
)
from tests.definition.test_retries import FUNCTION_TASKS, WAKING

MACHINE = definition()
STATES = states(MACHINE)
TASKS = {name: STATES[name] for name in FUNCTION_TASKS}
CHOICES = {name: state for name, state in STATES.items() if state["Type"] == "Choice"}
MAPS = {name: state for name, state in STATES.items() if state["Type"] == "Map"}

OUR_ERRORS = {
    name
    for name, error in inspect.getmembers(errors, inspect.isclass)
    if issubclass(error, errors.BulkUserDeletionError)
}
# https://docs.aws.amazon.com/step-functions/latest/dg/concepts-error-handling.html and
# https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
AWS_ERRORS = {
    "States.ALL",
    "States.Timeout",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
    "Lambda.TooManyRequestsException",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "Runtime.Unknown",
}
# Occasional errors of AWS itself; any step may be retried after them.
AWS_TROUBLE = AWS_ERRORS - {"States.ALL", "States.Timeout"}
# Errors of a function that was idle for weeks (test_retries.py), and of a Map without its items.
AWS_ERRORS |= WAKING | {"States.ItemReaderFailed", "States.TaskFailed"}


def retried(state: dict[str, Any]) -> set[str]:
    return {name for retrier in state.get("Retry", []) for name in retrier["ErrorEquals"]}


def caught(state: dict[str, Any]) -> list[str]:
    return [name for catcher in state.get("Catch", []) for name in catcher["ErrorEquals"]]


# The graph


def test_every_way_out_leads_to_a_state_of_the_same_machine() -> None:
    for machine in machines(MACHINE):
        names = set(machine["States"])
        assert machine["StartAt"] in names
        for state in machine["States"].values():
            assert ways_out(state) <= names


def test_every_state_is_reached_and_every_way_ends() -> None:
    for machine in machines(MACHINE):
        reached, frontier = set(), {machine["StartAt"]}
        while frontier:
            reached |= frontier
            frontier = {out for name in frontier for out in ways_out(machine["States"][name])}
            frontier -= reached
        assert reached == set(machine["States"])
        for state in machine["States"].values():
            ends = state.get("End") or state["Type"] in {"Succeed", "Fail"}
            assert bool(ends) != bool(ways_out(state))


def test_there_is_one_map_for_each_kind_of_change() -> None:
    functions = {
        name: function_of(state["ItemProcessor"]["States"][state["ItemProcessor"]["StartAt"]])
        for name, state in MAPS.items()
    }

    assert functions == {"DeleteUsers": "DeleteUser", "SwitchUsers": "SwitchUser"}


def test_only_the_word_apply_leads_to_a_change() -> None:
    without_apply = copy.deepcopy(MACHINE["States"])
    choice = without_apply["PreviewOrApply?"]
    choice["Choices"] = [c for c in choice["Choices"] if c["StringEquals"] != "apply"]
    reached, frontier = set(), {MACHINE["StartAt"]}
    while frontier:
        reached |= frontier
        frontier = {out for name in frontier for out in ways_out(without_apply[name])} - reached

    assert {"NextBatch", *MAPS}.isdisjoint(reached)


def test_only_a_batch_that_switches_is_switched_and_every_other_one_is_deleted() -> None:
    without = STATES["AnyUsersLeft?"]["Choices"]
    some = {"Variable": "$.batch.users", "NumericGreaterThan": 0}

    assert without == [
        {"Variable": "$.batch.check_losses", "BooleanEquals": True, "Next": "CheckLosses"},
        {
            "Not": {"Variable": "$.batch.resumed_by", "StringEquals": ""},
            "Next": "ResumeAtNextWindow",
        },
        {
            "And": [some, {"Variable": "$.batch.switches", "BooleanEquals": True}],
            "Next": "SwitchUsers",
        },
        {**some, "Next": "DeleteUsers"},
    ]


@pytest.mark.parametrize("name", CHOICES)
def test_a_choice_asks_a_question_and_has_an_answer_for_everything(name: str) -> None:
    assert name.endswith("?")
    assert "Default" in CHOICES[name]


def test_only_a_closing_starts_again_and_only_once() -> None:
    [again] = STATES["OnceMore?"]["Choices"]
    begin, begin_again = (dict(STATES[n]["Parameters"]) for n in ("BeginRun", "BeginAgain"))

    assert again == {
        "And": [
            {"Variable": "$$.Execution.Input.close", "IsPresent": True},
            {"Variable": "$.last_try", "BooleanEquals": False},
        ],
        "Next": "AwaitRepair",
    }
    assert STATES["AwaitRepair"]["Seconds"] == 3600
    assert (begin.pop("last_try"), begin_again.pop("last_try")) == (False, True)
    assert begin == begin_again
    assert [n for n, s in STATES.items() if "BeginAgain" in ways_out(s)] == ["AwaitRepair"]
    assert [n for n, s in STATES.items() if "AwaitRepair" in ways_out(s)] == ["OnceMore?"]


def test_whatever_is_not_clear_ends_in_a_report_or_in_a_failure() -> None:
    assert {name: state["Default"] for name, state in CHOICES.items()} == {
        "PreviewOrApply?": "ReportRun",
        "AnyUsersLeft?": "ReportRun",
        "Finished?": "Settle",
        "Switched?": "SettleSwitch",
        "Succeeded?": "RunFailed",
        "OnceMore?": "ReportFailed",
    }


# Errors


@pytest.mark.parametrize("name", TASKS)
def test_every_task_has_a_timeout_retries_and_a_catch_for_everything(name: str) -> None:
    task = TASKS[name]

    assert task["TimeoutSeconds"] > 0
    assert retried(task) >= AWS_TROUBLE | {"StoreUnavailable"}
    assert caught(task)[-1] == "States.ALL"


def test_a_paused_run_is_handed_to_one_execution_that_does_only_what_was_not_attempted() -> None:
    """Its name comes with the batch: started twice under one name, it is one execution."""
    state = STATES["ResumeAtNextWindow"]

    assert state["Resource"] == "arn:aws:states:::states:startExecution"
    assert state["Parameters"] == {
        "StateMachineArn.$": "$$.StateMachine.Id",
        "Name.$": "$.batch.resumed_by",
        "Input": {
            "mode": "apply",
            "resume.$": "$.run.run_id",
            "only": "not_attempted",
            "reason": "The next change window opened.",
            "requested_by": "ChangeWindows",
        },
    }
    assert (state["TimeoutSeconds"], caught(state)) == (60, ["States.ALL"])


@pytest.mark.parametrize("name", STATES)
def test_error_names_are_classes_of_ours_or_aws_own(name: str) -> None:
    assert retried(STATES[name]) | set(caught(STATES[name])) <= OUR_ERRORS | AWS_ERRORS


def test_every_retryable_error_of_ours_is_retried_or_leads_to_a_new_token() -> None:
    retryable = {error.__name__ for error in errors.RetryableError.__subclasses__()}
    handled = {name for task in TASKS.values() for name in [*retried(task), *caught(task)]}

    assert retryable <= handled
    permanent = {error.__name__ for error in errors.PermanentError.__subclasses__()}
    assert permanent.isdisjoint(handled)


@pytest.mark.parametrize("name", [n for n, t in TASKS.items() if "TokenRejected" in caught(t)])
def test_after_a_rejected_token_a_new_one_is_stored_and_the_step_is_taken_again(name: str) -> None:
    [renewal] = [c["Next"] for c in TASKS[name]["Catch"] if "TokenRejected" in c["ErrorEquals"]]

    assert function_of(STATES[renewal]) == "RefreshToken"
    assert STATES[renewal]["Next"] == name
    assert "TokenRejected" not in retried(TASKS[name])


@pytest.mark.parametrize("name", [name for name, state in STATES.items() if "Retry" in state])
def test_retries_are_bounded_and_spread(name: str) -> None:
    for retrier in STATES[name]["Retry"]:
        assert "States.ALL" not in retrier["ErrorEquals"]
        assert 1 <= retrier["MaxAttempts"] <= 12
        if not WAKING & set(retrier["ErrorEquals"]):
            assert retrier["JitterStrategy"] == "FULL"


@pytest.mark.parametrize("name", MAPS)
def test_no_users_failure_aborts_its_siblings(name: str) -> None:
    users = MAPS[name]

    assert users["ToleratedFailurePercentage"] == 100
    for state in users["ItemProcessor"]["States"].values():
        assert state["Type"] != "Fail"


# Data flow: a path that was not set fails the state on AWS, but is null on the emulator


def paths(value: Any) -> Iterator[str]:
    """Yield the paths that a part of a state reads."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if isinstance(inner, str) and (name.endswith((".$", "Path")) or name == "Variable"):
                yield inner
            else:
                yield from paths(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner)


def reads(state: dict[str, Any]) -> set[str]:
    """The fields of its input that a state reads."""
    parts = {
        name: state[name]
        for name in (
            *("Parameters", "ItemSelector", "ItemReader", "Choices"),
            *("SecondsPath", "InputPath", "OutputPath", "ErrorPath", "CausePath"),
        )
        if state.get(name) is not None
    }
    wanted = {path for path in paths(parts) if path.startswith("$.")}
    return {path.split(".")[1] for path in wanted}


def fields_set(state: dict[str, Any], result_path: str | None) -> set[str]:
    if state["Type"] == "Pass" and "Parameters" in state and "ResultPath" not in state:
        return {name.removesuffix(".$") for name in state["Parameters"]}
    return {result_path.removeprefix("$.")} if result_path else set()


def always_there(machine: dict[str, Any], first: set[str]) -> dict[str, set[str]]:
    """Which fields exist on every path to a state."""
    there: dict[str, set[str]] = {machine["StartAt"]: first}
    queue = [machine["StartAt"]]
    while queue:
        name = queue.pop()
        state = machine["States"][name]
        normal = there[name] | fields_set(state, state.get("ResultPath"))
        steps = [(out, normal) for out in ways_out({**state, "Catch": []})]
        steps += [
            (catcher["Next"], there[name] | fields_set(catcher, catcher.get("ResultPath")))
            for catcher in ({"Type": "Catch", **c} for c in state.get("Catch", []))
        ]
        for out, fields in steps:
            known = there.get(out)
            narrowed = fields if known is None else known & fields
            if narrowed != known:
                there[out] = narrowed
                queue.append(out)
    return there


def test_whatever_a_state_reads_was_set_on_every_way_to_it() -> None:
    inputs = {id(MACHINE): set[str]()}
    for users in MAPS.values():
        child = {field.removesuffix(".$") for field in users["ItemSelector"]}
        inputs[id(users["ItemProcessor"])] = child

    for machine in machines(MACHINE):
        there = always_there(machine, inputs[id(machine)])
        for name, state in machine["States"].items():
            assert reads(state) <= there[name], name


@pytest.mark.parametrize("name", TASKS)
def test_a_result_is_taken_out_of_its_envelope_field_by_field(name: str) -> None:
    task = TASKS[name]

    assert task["Resource"] == "arn:aws:states:::lambda:invoke"
    for field, path in task["ResultSelector"].items():
        assert path == f"$.Payload.{field.removesuffix('.$')}"


# Rule 6: what travels


def test_rule_6_only_fetch_user_ids_reads_what_was_typed_into_the_request() -> None:
    readers = [name for name, state in STATES.items() if "$$.Execution.Input" in json.dumps(state)]

    # OnceMore? asks only whether there is such a field, and hands on nothing of it.
    assert readers == ["FetchUserIds", "OnceMore?"]
    [asked] = STATES["OnceMore?"]["Choices"]
    assert asked["And"][0] == {"Variable": "$$.Execution.Input.close", "IsPresent": True}
    assert MACHINE["StartAt"] == "BeginRun"
    assert "ResultPath" not in STATES["BeginRun"]  # its result replaces the input


@pytest.mark.parametrize("name", MAPS)
def test_rule_6_of_a_batch_only_the_ids_reach_the_child_executions(name: str) -> None:
    selector = MAPS[name]["ItemSelector"]

    from_items = {path for path in paths(selector) if "Map.Item" in path}
    assert from_items == {"$$.Map.Item.Value.user_id"}


@pytest.mark.parametrize("name", MAPS)
def test_the_maps_result_is_thrown_away_and_so_small_that_it_could_not_fail(name: str) -> None:
    users = MAPS[name]
    ends = [s for s in users["ItemProcessor"]["States"].values() if not ways_out(s)]

    assert users["ResultPath"] is None
    assert [state["OutputPath"] for state in ends] == [None] * len(ends)
    assert BATCH_SIZE * len("{},") < 256 * 1024 / 10


# Cost and pace


@pytest.mark.parametrize("name", MAPS)
def test_a_user_with_nothing_going_wrong_costs_four_transitions(name: str) -> None:
    child = MAPS[name]["ItemProcessor"]
    transitions, current = 1, child["StartAt"]  # the child's start
    while True:
        transitions += 1
        state = child["States"][current]
        if state.get("End"):
            break
        if state["Type"] == "Choice":
            [current] = [c["Next"] for c in state["Choices"] if c.get("BooleanEquals") is True]
        else:
            current = state["Next"]

    assert transitions == 4


def test_waits_take_their_seconds_from_the_function() -> None:
    waits = {name: s["SecondsPath"] for name, s in STATES.items() if "SecondsPath" in s}

    assert waits == {
        "AwaitTurn": "$.run.wait_seconds",
        "Pace": "$.progress.wait_seconds",
        "Settle": "$.progress.wait_seconds",
        "PaceSwitches": "$.progress.wait_seconds",
        "SettleSwitch": "$.progress.wait_seconds",
        "AwaitLeases": "$.summary.wait_seconds",
    }


def test_the_history_of_a_run_that_waits_for_the_maximum_time_does_not_fill_up() -> None:
    events_each_time = 5 + 2 + 2  # FetchUserIds, PreviewOrApply?, AwaitTurn
    longest = TEMPLATE["Parameters"]["MaxWaitHours"]["MaxValue"] * 3600
    times = longest / LOOK_AGAIN_SECONDS

    # https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
    assert times * events_each_time < 25_000 / 2


# Names and forms


def test_a_state_a_folder_and_a_step_have_one_name() -> None:
    functions = {function_of(task) for task in TASKS.values()}

    for function in functions:
        name = snake_case(function)
        assert function in TASKS
        assert (PROJECT / "functions" / name / "app.py").is_file()
        assert (PROJECT / "tests" / "functions" / f"test_{name}.py").is_file()
        assert (PROJECT / "layers/shared/bulk_user_deletion/steps" / f"{name}.py").is_file()
    assert {snake_case(f) for f in functions} == {
        folder.parent.name for folder in (PROJECT / "functions").glob("*/app.py")
    }


@pytest.mark.parametrize("name", STATES)
def test_every_state_tells_its_part_of_the_story(name: str) -> None:
    comment = STATES[name]["Comment"]

    assert comment.rstrip().endswith((".", "?"))
    assert len(comment) < 220


def test_the_definition_uses_nothing_that_an_interpreter_of_it_lacks() -> None:
    text = json.dumps(MACHINE)

    for word in ("JSONata", "QueryLanguage", "ResultWriter", "ItemBatcher", "VersionId"):
        assert word not in text
    for word in ("MaxConcurrencyPath", "ToleratedFailurePercentagePath", "TimeoutSecondsPath"):
        assert word not in text
    assert tokens()


def test_a_second_interpreter_accepts_the_definition() -> None:
    as_number = copy.deepcopy(MACHINE)
    for name in MAPS:
        # moto wants this one as a float.
        as_number["States"][name]["ToleratedFailurePercentage"] = 100.0
    with mock_aws():
        client = boto3.client("stepfunctions", region_name="us-east-1")

        created = client.create_state_machine(
            name="machine",
            definition=json.dumps(as_number),
            roleArn="arn:aws:iam::123456789012:role/machine",
        )

        assert client.describe_state_machine(stateMachineArn=created["stateMachineArn"])

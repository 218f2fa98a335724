"""Waiting runs: one run at a time deletes, and the others are planned when it is their turn."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from bulk_user_deletion.errors import PortalBusy, RequestRefused
from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Waiting
from bulk_user_deletion.models.users import Outcome
from tests.functions.stack import EXECUTIONS, Stack, dropped

HOUR = 3600
EXECUTION = "bulk_user_deletion.executions.Executions"


class Clock:
    """What Step Functions says about every execution, and how much time has passed since."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.status = ExecutionStatus.RUNNING
        self.passed = 0.0
        patch.setattr(f"{EXECUTION}.status", lambda *_: self.status)
        patch.setattr(f"{EXECUTION}.started_at", lambda *_: time.time() - self.passed)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


@pytest.fixture
def busy(stack: Stack, clock: Clock) -> Stack:
    """A stack with run-1 deleting users from its portal; the log starts after its plan."""
    stack.plan(["118"], "run-1")
    stack.portal.requests.clear()
    return stack


def finish(stack: Stack, run_id: str = "run-1") -> None:
    """Let a run delete its users and end."""
    for user_id, key in stack.hand_out(run_id).items():
        stack.delete_until_finished(user_id, key, run_id)
    assert stack.report_run(run_id)["status"] == "SUCCEEDED"


def test_while_another_run_deletes_a_run_waits_without_a_plan_or_a_call_to_the_portal(
    busy: Stack,
) -> None:
    first = busy.plan(["119"], "run-2")
    second = busy.plan(["119"], "run-2")

    assert first == second
    assert (first["run_id"], first["next_step"], first["wait_seconds"]) == ("run-2", "wait", 300)
    assert busy.portal.requests == []
    assert "runs/run-2/plan.json" not in busy.keys()  # noqa: SIM118
    assert busy.ledger.turns.read("run-2") == Waiting("run-1")


def test_a_preview_does_not_wait(busy: Stack) -> None:
    assert busy.fetch_user_ids({"source": {"users": ["119"]}}, "run-2")["next_step"] == "preview"


def test_a_waiting_run_is_planned_when_it_is_its_turn(busy: Stack) -> None:
    busy.plan(["118", "119"], "run-2")
    finish(busy)

    planned = busy.plan(["118", "119"], "run-2")

    assert (planned["next_step"], planned["users"]) == ("apply", 1)
    plan = busy.read_json("runs/run-2/plan.json")
    assert plan["last_day"] == 1
    outcomes = [(row["entry"]["bare"], row["outcome"]) for row in plan["entries"]]
    assert outcomes == [("118", Outcome.ALREADY_ABSENT), ("119", Outcome.WOULD_DELETE)]
    assert busy.ledger.turns.read("run-2") is None


@pytest.mark.parametrize("hours", ["1", "12"])
def test_after_max_wait_hours_the_request_is_refused_and_says_what_to_do(
    busy: Stack, clock: Clock, set_parameter: Callable[[str, str], None], hours: str
) -> None:
    set_parameter("MAX_WAIT_HOURS", hours)
    clock.passed = int(hours) * HOUR - 60
    assert busy.plan(["119"], "run-2")["next_step"] == "wait"
    clock.passed = int(hours) * HOUR

    with pytest.raises(PortalBusy, match=f"waited {hours} h .* run run-1 .* send the request"):
        busy.plan(["119"], "run-2")

    failure = {"Error": "PortalBusy", "Cause": '{"errorMessage": "Too long."}'}
    assert busy.report_run("run-2", failure)["status"] == "REFUSED"
    assert busy.writes() == []


def test_a_run_whose_turn_has_come_takes_it_however_long_it_waited(
    busy: Stack, clock: Clock
) -> None:
    busy.plan(["119"], "run-2")
    finish(busy)
    clock.passed = 1000 * HOUR

    assert busy.plan(["119"], "run-2")["next_step"] == "apply"


def test_rule_4_the_leases_of_a_dead_execution_are_waited_for_to_the_second(
    stack: Stack, clock: Clock
) -> None:
    stack.plan(["118"], "run-1")
    stack.cut_off("118", for_seconds=200)
    clock.status = ExecutionStatus.ABORTED

    waiting = stack.plan(["118"], "run-2")

    assert waiting["next_step"] == "wait"
    assert waiting["wait_seconds"] == pytest.approx(201, abs=2)
    assert stack.ledger.turns.read("run-2") == Waiting("run-1")


def test_rule_4_once_they_are_over_the_run_has_its_turn(stack: Stack, clock: Clock) -> None:
    stack.plan(["118"], "run-1")
    stack.cut_off("118", for_seconds=-2)
    clock.status = ExecutionStatus.ABORTED

    assert stack.plan(["118"], "run-2")["next_step"] == "apply"


# Dropped files


def test_a_file_that_waits_is_one_run_however_often_the_step_is_taken(busy: Stack) -> None:
    event = dropped(busy, b"user_id\n119\n")

    said = [busy.fetch_user_ids(event, "run-2")["next_step"] for _ in range(3)]
    again = busy.fetch_user_ids(event, "run-3")
    finish(busy)

    assert said == ["wait"] * 3
    assert again["nothing_because"] == "The same event started run run-2 before."
    assert busy.fetch_user_ids(event, "run-2")["next_step"] == "apply"


def test_a_file_that_was_replaced_while_it_waited_is_left_to_the_run_of_the_new_one(
    busy: Stack,
) -> None:
    event = dropped(busy, b"user_id\n119\n")
    busy.fetch_user_ids(event, "run-2")
    newer = dropped(busy, b"user_id\n120\n")
    busy.portal.requests.clear()

    old = busy.fetch_user_ids(event, "run-2")
    waiting = busy.fetch_user_ids(newer, "run-3")
    finish(busy)
    new = busy.fetch_user_ids(newer, "run-3")

    assert old["next_step"] == "nothing"
    assert "replaced while this run waited" in old["nothing_because"]
    run = busy.ledger.runs.read("run-2")
    assert run is not None
    assert not run.is_open
    assert (waiting["next_step"], new["next_step"]) == ("wait", "apply")
    plan = busy.read_json("runs/run-3/plan.json")
    assert [row["entry"]["user_id"] for row in plan["entries"]] == ["120"]


def test_a_file_that_was_deleted_while_it_waited_is_refused(busy: Stack) -> None:
    event = dropped(busy, b"user_id\n119\n")
    busy.fetch_user_ids(event, "run-2")
    busy.s3.delete_object(Bucket="data", Key="inbox/leavers.csv")
    finish(busy)

    with pytest.raises(RequestRefused, match="no longer exists"):
        busy.fetch_user_ids(event, "run-2")


def test_without_versions_the_etag_says_whether_the_file_was_replaced(busy: Stack) -> None:
    event = dropped(busy, b"user_id\n119\n")
    del event["detail"]["object"]["version-id"]
    busy.fetch_user_ids(event, "run-2")
    finish(busy)

    assert busy.fetch_user_ids(event, "run-2")["next_step"] == "apply"


def test_without_versions_a_replaced_file_is_left_alone_too(busy: Stack) -> None:
    event = dropped(busy, b"user_id\n119\n")
    del event["detail"]["object"]["version-id"]
    busy.fetch_user_ids(event, "run-2")
    dropped(busy, b"user_id\n120\n")

    assert busy.fetch_user_ids(event, "run-2")["next_step"] == "nothing"


# Stopped and aborted while waiting


@pytest.mark.parametrize("which", [{"run_id": "run-2"}, {}], ids=["the run", "the portal"])
def test_rule_8_a_stop_that_is_pressed_while_a_run_waits_refuses_it(
    busy: Stack, which: dict[str, Any]
) -> None:
    busy.plan(["119"], "run-2")
    order = {"stop": {"reason": "wrong list", "by": "night shift", **which}}
    busy.fetch_user_ids(order, "an-order")

    with pytest.raises(RequestRefused, match=r"night shift stopped .*wrong list\. Nobody was del"):
        busy.plan(["119"], "run-2")

    assert busy.writes() == []


def test_an_execution_that_is_aborted_while_it_waits_is_closed_and_takes_no_lock(
    busy: Stack, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy.plan(["119"], "run-2")
    aborted = EXECUTIONS + "run-2"
    monkeypatch.setattr(
        f"{EXECUTION}.status",
        lambda _, arn: ExecutionStatus.ABORTED if arn == aborted else ExecutionStatus.RUNNING,
    )

    closing = busy.fetch_user_ids({"close": "run-2"}, "closing")
    summary = busy.report_run("run-2")

    assert (closing["run_id"], closing["next_step"]) == ("run-2", "close")
    assert summary["status"] == "FAILED"
    assert "before it had a plan: nobody was deleted" in summary["sentence"]
    lock = busy.ledger.portal.take_lock(Action.DELETE, "another", "an-arn")
    assert lock.run_id == "run-1"
    finish(busy)


# Resuming


def test_a_resume_waits_too_and_does_not_touch_its_run_until_then(busy: Stack) -> None:
    finish(busy)
    busy.plan(["119"], "run-2")
    busy.end("run-2")
    busy.plan(["120"], "run-3")
    before = busy.ledger.runs.read("run-2")

    waiting = busy.fetch_user_ids({"mode": "apply", "resume": "run-2"}, "resumed")
    while_waiting = busy.ledger.runs.read("run-2")
    finish(busy, "run-3")
    resumed = busy.fetch_user_ids({"mode": "apply", "resume": "run-2"}, "resumed")

    assert (waiting["run_id"], waiting["next_step"]) == ("resumed", "wait")
    assert busy.ledger.turns.read("resumed") is None
    assert while_waiting == before
    assert (resumed["run_id"], resumed["next_step"], resumed["users"]) == ("run-2", "apply", 1)

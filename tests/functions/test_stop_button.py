"""The stop button: pressed and lifted through the state machine, for one run or for the portal."""

import json
import time
from typing import Any

import pytest

from bulk_user_deletion.errors import OrderRefused, RequestRefused
from bulk_user_deletion.executions import Executions
from bulk_user_deletion.models.runs import RunRow, Waiting
from bulk_user_deletion.models.users import Outcome
from tests.functions.stack import EXECUTIONS, Stack


def order(stack: Stack, word: str, **order: str) -> str:
    """Send an order in a separate execution; return what it says was done."""
    document = {word: {"reason": "wrong list", "by": "night shift", **order}}
    said = stack.fetch_user_ids(document, "an-order")
    assert said["next_step"] == "nothing"
    return str(said["nothing_because"])


def test_a_stop_order_for_a_run_sets_its_flag_with_the_reason_and_the_name(stack: Stack) -> None:
    stack.plan(["118"])

    said = order(stack, "stop", run_id="run-1")

    assert said == "The stop for run run-1 is set: no further user is started."
    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert (run.stop.reason, run.stop.by) == ("wrong list", "night shift")


def test_a_stop_order_does_not_call_the_portal_and_needs_no_token(stack: Stack) -> None:
    stack.invoke(
        "fetch_user_ids",
        {
            "run_id": "an-order",
            "execution_arn": "arn",
            "request": {"stop": {"reason": "upgrade", "by": "platform team"}},
            "token": {"version_id": None, "renewals": 0},
        },
    )

    assert stack.portal.requests == []


def test_the_first_reason_is_kept(stack: Stack) -> None:
    stack.plan(["118"])
    order(stack, "stop", run_id="run-1", by="first")

    order(stack, "stop", run_id="run-1", by="second")

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert run.stop.by == "first"


@pytest.mark.parametrize("which", [{"run_id": "run-1"}, {}])
def test_rule_8_after_a_stop_no_user_is_started_and_after_its_lift_they_are(
    stack: Stack, which: dict[str, Any]
) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    order(stack, "stop", **which)

    stopped = stack.delete_user(118, key)
    written = stack.writes()
    order(stack, "lift", **which)
    stack.delete_user(118, key)

    assert stopped["finished"]
    assert written == []
    row = stack.row(118)
    assert row is not None
    assert row.outcome is Outcome.DELETED


def test_rule_8_the_portals_stop_holds_for_runs_that_come_later(stack: Stack) -> None:
    order(stack, "stop")

    with pytest.raises(RequestRefused, match="night shift stopped every run on this portal"):
        stack.plan(["118"])


def test_a_preview_goes_on_while_the_portal_is_stopped(stack: Stack) -> None:
    order(stack, "stop")

    assert stack.plan(["118"], mode="preview")["next_step"] == "preview"


# Runs that have ended


def deleted(stack: Stack, *, left: int) -> None:
    """A run of three that has ended, and left so many of them open."""
    stack.plan(["118", "119", "120"])
    keys = stack.hand_out()
    for user_id in ("118", "119", "120")[: 3 - left]:
        stack.delete_until_finished(user_id, keys[user_id])
    stack.report_run()


def run_row(stack: Stack, run_id: str = "run-1") -> RunRow:
    run = stack.ledger.runs.read(run_id)
    assert run is not None
    return run


def test_a_stop_of_a_run_that_deleted_everybody_says_how_it_ended_and_changes_nothing(
    stack: Stack,
) -> None:
    deleted(stack, left=0)
    before = run_row(stack)

    with pytest.raises(RequestRefused) as refused:
        order(stack, "stop", run_id="run-1")

    assert str(refused.value) == (
        "Run run-1 has ended SUCCEEDED: 3 of 3 entries deleted; nothing is left open. Nothing was"
        " stopped."
    )
    assert run_row(stack) == before


def test_a_stop_of_a_run_that_was_refused_says_why_it_was(stack: Stack) -> None:
    order(stack, "stop")
    with pytest.raises(RequestRefused):
        stack.plan(["118"])
    stack.report_run(failure={"Error": "RequestRefused", "Cause": "{}"})

    with pytest.raises(RequestRefused, match=r"ended REFUSED: .* Nothing was stopped\."):
        order(stack, "stop", run_id="run-1")


def test_the_end_of_a_refused_order_says_nothing_of_users_who_were_not_deleted(
    stack: Stack,
) -> None:
    deleted(stack, left=0)
    with pytest.raises(OrderRefused) as refused:
        order(stack, "stop", run_id="run-1")
    cause = json.dumps({"errorMessage": str(refused.value)})

    ended = stack.report_run("an-order", failure={"Error": "OrderRefused", "Cause": cause})

    assert (ended["status"], ended["error"]) == ("REFUSED", "OrderRefused")
    assert ended["sentence"] == str(refused.value)


def test_a_run_whose_report_has_expired_has_ended_all_the_same(stack: Stack) -> None:
    deleted(stack, left=0)
    stack.s3.delete_object(Bucket="data", Key="runs/run-1/report.json")

    with pytest.raises(RequestRefused, match="has ended, and no report of it is kept"):
        order(stack, "stop", run_id="run-1")


@pytest.mark.parametrize(("left", "users"), [(1, "1 user"), (3, "3 users")])
def test_rule_8_a_stop_of_a_run_that_left_users_open_holds_for_a_resume_that_waits(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, left: int, users: str
) -> None:
    deleted(stack, left=left)
    monkeypatch.setattr(Executions, "started_at", lambda *_: time.time() - 60)
    before = stack.writes()

    said = order(stack, "stop", run_id="run-1")

    assert f"has ended already, and left {users} open" in said
    assert "no further user" not in said
    with pytest.raises(RequestRefused, match="The stop button of run run-1 was pressed"):
        stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "resumed")
    assert stack.writes() == before


def test_rule_8_a_resume_that_waits_is_stopped_by_the_name_of_its_execution(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted(stack, left=2)
    stack.ledger.turns.wait_for("resuming", Waiting("run-9"), now=1)
    asked: list[str] = []

    def request(_: Executions, arn: str) -> dict[str, str]:
        asked.append(arn)
        return {"mode": "apply", "resume": "run-1"}

    monkeypatch.setattr(Executions, "request", request)

    said = order(stack, "stop", run_id="resuming")

    assert said.startswith("Run run-1 has ended already, and left 2 users open.")
    assert asked == [f"{EXECUTIONS}resuming"]
    assert run_row(stack).stop is not None


def test_a_preview_is_not_stopped(stack: Stack) -> None:
    stack.plan(["118"], mode="preview")

    with pytest.raises(RequestRefused, match="is a preview, which changes nobody"):
        order(stack, "stop", run_id="run-1")

    assert run_row(stack).stop is None


def test_lifting_the_stop_of_a_run_that_has_ended_does_not_promise_that_it_goes_on(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    order(stack, "stop", run_id="run-1")
    going_on = order(stack, "lift", run_id="run-1")
    order(stack, "stop", run_id="run-1")
    stack.report_run()

    ended = order(stack, "lift", run_id="run-1")

    assert going_on == "The stop for run run-1 is lifted."
    assert ended == "The stop for run run-1 is lifted. The run has ended and is not resumed."


@pytest.mark.parametrize(
    ("word", "which", "said"),
    [
        ("stop", {"run_id": "nowhere"}, "no run nowhere"),
        ("lift", {"run_id": "nowhere"}, "no stop to lift for run nowhere"),
        ("lift", {}, "no stop to lift for every run"),
    ],
)
def test_an_order_that_can_do_nothing_says_so(
    stack: Stack, word: str, which: dict[str, Any], said: str
) -> None:
    with pytest.raises(RequestRefused, match=said):
        order(stack, word, **which)

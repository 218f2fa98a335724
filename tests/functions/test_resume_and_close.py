"""Runs whose execution ended early: closed with a report, and resumed to the end."""

import json
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import PlanEdited, RequestRefused, RunClosed
from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.runs import Milestone, Stopper
from bulk_user_deletion.models.users import Outcome, PortalUser, UserState
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.deletion import MAX_ATTEMPTS
from bulk_user_deletion.rules.milestones import milestone_text
from local.portal import Fault, Knobs
from tests.functions.stack import EXECUTIONS, Stack


def resume(stack: Stack, name: str = "resumed", **request: Any) -> dict[str, Any]:
    return stack.fetch_user_ids({"mode": "apply", "resume": "run-1", **request}, name)


def work_off(stack: Stack, run_id: str = "run-1") -> None:
    """Hand out every user of a run, and delete them."""
    for user_id, key in stack.hand_out(run_id).items():
        stack.delete_until_finished(user_id, key, run_id)


def outcomes(stack: Stack) -> dict[str, tuple[str, str]]:
    """Each user's outcome in the report, and what it was before."""
    report = stack.read_json("runs/run-1/report.json")
    assert sum(report["counts"].values()) == report["requested"]
    return {row["user_id"]: (row["outcome"], row["history"]) for row in report["rows"]}


@pytest.fixture
def half_done(stack: Stack) -> Stack:
    """A run of four: one deleted, one failed, one unknown, one not attempted; and reported."""
    stack.plan(["118", "119", "120", "121"])
    keys = stack.hand_out()
    stack.delete_until_finished(118, keys["118"])
    stack.portal.faults.script(Fault.CONFLICT)
    stack.delete_until_finished(119, keys["119"])
    stack.portal.knobs = Knobs(delete_mode="ignored")
    stack.delete_until_finished(120, keys["120"])
    stack.ledger.runs.press_stop("run-1", reason="enough", by="night shift", now=1)
    stack.report_run()
    stack.portal.knobs = Knobs()
    stack.portal.requests.clear()
    return stack


# Resume


def test_a_resumed_run_does_what_is_open_and_reports_the_whole(half_done: Stack) -> None:
    before = half_done.portal.user_ids()

    resumed = resume(half_done)
    work_off(half_done)
    summary = half_done.report_run()

    assert resumed == {
        "run_id": "run-1",
        "next_step": "apply",
        "users": 3,
        "nothing_because": "",
        "wait_seconds": 0,
    }
    assert before - half_done.portal.user_ids() == {119, 120, 121}
    assert [request.user_id for request in half_done.writes()] == [120, 121, 119]
    assert (summary["succeeded"], summary["counts"]) == (True, {"deleted": 4})


def happened(stack: Stack) -> list[str]:
    """What happened to the run, in the words of its report."""
    report = stack.read_json("runs/run-1/report.json")
    return [milestone_text(Milestone(**one)) for one in report["milestones"]]


def test_the_report_of_a_resumed_run_says_who_stopped_it_and_who_resumed_it_and_why(
    half_done: Stack,
) -> None:
    resume(half_done, requested_by="platform team", reason="the list is right")
    work_off(half_done)
    half_done.report_run()

    first, planned, stopped, ended, resumed, last = happened(half_done)
    assert (first, planned) == (
        "Stop pressed by night shift: enough",
        "Started by an unnamed person",
    )
    assert (stopped, ended) == (
        "Planned",
        "Ended STOPPED: 1 deleted, 1 failed, 1 unknown, 1 not attempted",
    )
    assert resumed == "Resumed by platform team: the list is right (execution resumed)"
    assert last == "Ended SUCCEEDED: 4 deleted"


def test_a_person_who_stops_a_run_after_its_breaker_is_told_and_heeded(stack: Stack) -> None:
    stack.plan(["118", "119"])
    press = stack.ledger.runs.press_stop
    press("run-1", reason="3 failed", by="breaker", now=1, stopper=Stopper.RUN)
    press("run-1", reason="wrong list", by="night shift", now=2)

    summary = stack.report_run()

    assert summary["sentence"] == (
        "Stopped by breaker: 3 failed. 0 of 2 entries deleted. The other 2 were not touched. Resume"
        " only if they should still be deleted."
    )
    assert happened(stack)[:2] == [
        "Stop pressed by breaker: 3 failed",
        "Stop pressed by night shift: wrong list",
    ]


def test_a_run_that_its_own_check_stopped_is_resumed_when_that_is_settled(stack: Stack) -> None:
    stack.plan(["118", "119"])
    stack.ledger.runs.press_stop(
        "run-1", reason="3 failed", by="breaker", now=1, stopper=Stopper.RUN
    )

    assert "When that is resolved, resume the run" in stack.report_run()["sentence"]


def test_while_every_run_is_stopped_a_report_says_that_the_stop_must_be_lifted_first(
    stack: Stack,
) -> None:
    stack.plan(["118", "119"])
    stack.ledger.portal.press_stop(reason="upgrade", by="platform team", now=1)

    assert "The stop holds until it is lifted." in stack.report_run()["sentence"]
    assert "Stop pressed by platform team: upgrade" in happened(stack)


def test_rule_3_the_outcome_that_was_replaced_stays_in_the_history(half_done: Stack) -> None:
    resume(half_done)
    work_off(half_done)
    half_done.report_run()

    reported = outcomes(half_done)
    assert reported["118"] == ("deleted", "")
    assert reported["119"][1].startswith("failed at ")
    assert reported["119"][1].endswith(": DELETE: HTTP 409; still there")
    assert reported["120"][1].startswith("unknown at ")
    assert reported["121"] == ("deleted", "")


def test_rule_3_a_final_outcome_is_not_replaced(half_done: Stack) -> None:
    before = half_done.row(118)

    resume(half_done)
    work_off(half_done)

    assert half_done.row(118) == before


def test_rule_4_only_a_resume_sends_another_delete_after_an_unknown(half_done: Stack) -> None:
    row = half_done.row(120)
    assert row is not None
    assert (row.outcome, row.attempts) == (Outcome.UNKNOWN, 1)

    resume(half_done)
    work_off(half_done)

    row = half_done.row(120)
    assert row is not None
    assert (row.outcome, row.attempts) == (Outcome.DELETED, 2)


def test_a_user_that_went_since_its_lost_delete_was_deleted_by_it(half_done: Stack) -> None:
    half_done.portal.database.execute("DELETE FROM user WHERE user_id = 120")

    resume(half_done)
    work_off(half_done)

    row = half_done.row(120)
    assert row is not None
    assert (row.outcome, row.attempts) == (Outcome.DELETED, 1)
    assert 120 not in [request.user_id for request in half_done.writes()]


def test_a_resumed_user_is_tried_as_often_as_at_first_when_the_portal_refuses(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    for _ in range(MAX_ATTEMPTS):
        stack.portal.faults.script(Fault.TOO_MANY_REQUESTS)
    work_off(stack)
    stack.report_run()
    failed = stack.row(118)
    for _ in range(MAX_ATTEMPTS - 1):
        stack.portal.faults.script(Fault.TOO_MANY_REQUESTS)

    resume(stack)
    work_off(stack)

    row = stack.row(118)
    assert failed is not None
    assert row is not None
    assert (failed.outcome, failed.attempts) == (Outcome.FAILED, MAX_ATTEMPTS)
    assert (row.outcome, row.attempts) == (Outcome.DELETED, 2 * MAX_ATTEMPTS)


def test_rule_1_a_resumed_run_checks_everybody_against_the_plan_again(half_done: Stack) -> None:
    half_done.portal.database.execute("UPDATE user SET type = 'administrator' WHERE user_id = 119")
    half_done.portal.database.execute("UPDATE user SET username = 'other' WHERE user_id = 121")

    resume(half_done)
    work_off(half_done)
    half_done.report_run()

    assert {119, 121} <= half_done.portal.user_ids()
    reported = outcomes(half_done)
    assert (reported["119"][0], reported["121"][0]) == ("skipped", "skipped")


def test_rule_5_a_resumed_run_is_held_to_the_stricter_caps(half_done: Stack) -> None:
    with pytest.raises(RequestRefused, match="names 3 different entries, and MaxUsers allows 2"):
        resume(half_done, options={"max_users": 2})

    run = half_done.ledger.runs.read("run-1")
    assert run is not None
    assert (run.is_open, run.execution_arn) == (False, EXECUTIONS + "run-1")


def test_a_resumed_run_that_stops_again_leaves_every_outcome_as_it_was(half_done: Stack) -> None:
    half_done.report_run()
    before = outcomes(half_done)
    resume(half_done)
    half_done.ledger.runs.press_stop("run-1", reason="not yet", by="night shift", now=2)

    work_off(half_done)
    half_done.report_run()

    assert half_done.writes() == []
    assert {user: outcome for user, (outcome, _) in outcomes(half_done).items()} == {
        user: outcome for user, (outcome, _) in before.items()
    }


def test_rule_8_a_stop_that_is_pressed_while_a_resume_waits_for_the_portal_holds(
    half_done: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = int(time.time()) - 600  # and has been waiting for another run since
    monkeypatch.setattr(
        "bulk_user_deletion.executions.Executions.started_at", lambda *_: started + 0.5
    )
    order = {"stop": {"run_id": "run-1", "reason": "wrong list", "by": "night shift"}}
    half_done.fetch_user_ids(order, "an-order")

    with pytest.raises(RequestRefused, match=r"was pressed while .* wrong list"):
        resume(half_done)

    run = half_done.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert (run.is_open, run.stop.reason) == (False, "wrong list")


def test_rule_8_a_second_press_holds_too_if_the_run_was_stopping_when_a_resume_started_to_wait(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.plan(["118", "119"])
    started = int(time.time())
    stack.ledger.runs.press_stop("run-1", reason="breaker", by="breaker", now=started - 60)
    stack.ledger.runs.press_stop("run-1", reason="wrong list", by="night shift", now=started + 60)
    stack.report_run()
    monkeypatch.setattr("bulk_user_deletion.executions.Executions.started_at", lambda *_: started)

    with pytest.raises(RequestRefused, match="The stop button of run run-1 was pressed while"):
        resume(stack)

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert run.stop.reason == "breaker"


def test_rule_8_a_stop_that_is_pressed_while_a_run_is_being_resumed_holds(
    half_done: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = int(time.time()) - 600
    monkeypatch.setattr("bulk_user_deletion.executions.Executions.started_at", lambda *_: started)
    write_open_users = Bucket.write_open_users

    def stopped_meanwhile(*arguments: Any) -> None:
        write_open_users(*arguments)
        half_done.ledger.runs.press_stop("run-1", reason="no", by="somebody", now=started + 300)

    monkeypatch.setattr(Bucket, "write_open_users", stopped_meanwhile)

    with pytest.raises(RunClosed):
        resume(half_done)

    run = half_done.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert (run.is_open, run.stop.reason) == (False, "no")


def test_a_run_can_be_resumed_again_by_the_name_of_the_execution_that_resumed_it(
    half_done: Stack,
) -> None:
    resume(half_done)
    half_done.ledger.runs.press_stop("run-1", reason="not yet", by="night shift", now=2)
    half_done.report_run()

    again = half_done.fetch_user_ids({"mode": "apply", "resume": "resumed"}, "again")
    work_off(half_done)

    assert (again["run_id"], again["users"]) == ("run-1", 3)
    assert half_done.report_run()["succeeded"]


def test_rule_7_a_resume_that_is_retried_takes_the_run_over_once(half_done: Stack) -> None:
    resume(half_done)
    resume(half_done)

    run = half_done.ledger.runs.read("run-1")
    assert run is not None
    assert run.round_number == 2


def test_rule_7_the_execution_that_was_resumed_can_no_longer_do_anything(half_done: Stack) -> None:
    resume(half_done)
    event = {
        "run_id": "run-1",
        "execution_arn": EXECUTIONS + "run-1",
        "batch": {"number": 0},
    }

    with pytest.raises(RunClosed):
        half_done.invoke("next_batch", event)


@pytest.mark.parametrize(
    ("mode", "said"), [("preview", "no plan that was applied"), ("apply", "left nobody open")]
)
def test_a_run_with_nothing_to_resume_says_so(stack: Stack, mode: str, said: str) -> None:
    stack.plan(["118"], mode=mode)
    if mode == "apply":
        work_off(stack)
    stack.report_run()

    with pytest.raises(RequestRefused, match=said):
        resume(stack)


def test_an_unknown_run_cannot_be_resumed(stack: Stack) -> None:
    with pytest.raises(RequestRefused, match="Run run-1 has no plan"):
        resume(stack)


def test_a_plan_that_was_edited_since_is_not_resumed(half_done: Stack) -> None:
    key = "runs/run-1/plan.json"
    half_done.s3.put_object(Bucket="data", Key=key, Body=b" " + half_done.read_bytes(key))

    with pytest.raises(RequestRefused, match="somebody edited it"):
        resume(half_done)


def test_a_plan_that_is_edited_after_the_resume_deletes_nobody(half_done: Stack) -> None:
    resume(half_done)
    key = "runs/run-1/plan.json"
    half_done.s3.put_object(Bucket="data", Key=key, Body=b" " + half_done.read_bytes(key))

    with pytest.raises(PlanEdited):
        half_done.next_batch()


def test_a_running_run_is_not_resumed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.plan(["118"])
    stack.ledger.portal.release_locks(EXECUTIONS + "run-1")
    monkeypatch.setattr(
        "bulk_user_deletion.executions.Executions.status", lambda *_: ExecutionStatus.RUNNING
    )

    with pytest.raises(RequestRefused, match="press its stop button"):
        resume(stack)


def test_rule_8_a_run_is_stopped_by_the_name_of_the_execution_that_resumed_it(
    half_done: Stack,
) -> None:
    resume(half_done)

    order = {"run_id": "resumed", "reason": "wrong list", "by": "night shift"}
    said = half_done.fetch_user_ids({"stop": order}, "order")

    assert said["nothing_because"] == "The stop for run run-1 is set: no further user is started."
    work_off(half_done)
    assert half_done.writes() == []


# Close


def close(stack: Stack, name: str = "run-1", closing: str = "closing") -> dict[str, Any]:
    return stack.fetch_user_ids({"close": name}, closing)


def test_an_aborted_run_is_closed_with_its_report_and_its_lock_released(stack: Stack) -> None:
    stack.plan(["118", "119"])
    keys = stack.hand_out()
    stack.delete_until_finished(118, keys["118"])

    closed = close(stack)
    summary = stack.report_run()

    assert (closed["next_step"], closed["run_id"]) == ("close", "run-1")
    assert summary["counts"] == {"deleted": 1, "not_attempted": 1}
    assert "Stopped by CloseRun: Its execution ended FORGOTTEN" in summary["sentence"]
    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert not run.is_open
    assert stack.plan(["119"], "next-run")["users"] == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (ExecutionStatus.ABORTED, "Resume only if this user should still be deleted."),
        (ExecutionStatus.TIMED_OUT, "When that is resolved, resume the run"),
    ],
)
def test_whoever_stops_an_execution_in_the_console_may_not_want_the_rest(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, status: ExecutionStatus, said: str
) -> None:
    stack.plan(["118"])
    monkeypatch.setattr("bulk_user_deletion.executions.Executions.status", lambda *_: status)

    close(stack)

    assert said in stack.report_run()["sentence"]


def test_rule_7_nothing_of_an_aborted_execution_starts_a_user_once_it_is_being_closed(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    close(stack)
    token = {"version_id": None, "renewals": 0}
    event = {
        "run_id": "run-1",
        "execution_arn": EXECUTIONS + "run-1",
        "batch_key": key,
        "user_id": "118",
        "token": token,
        "progress": {"finished": False, "wait_seconds": 0, "tries": 0},
    }

    with pytest.raises(RunClosed):
        stack.invoke("delete_user", event)

    assert stack.writes() == []


def test_rule_7_the_report_waits_for_a_delete_that_may_be_in_progress(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    stack.hand_out()
    stack.cut_off("118", for_seconds=200)
    close(stack)

    early = stack.report_run()

    assert early["succeeded"] is False
    assert 195 <= early["wait_seconds"] <= 202
    assert not [key for key in stack.keys() if "report" in key]  # noqa: SIM118 -- no dict


def test_rule_7_a_report_that_is_left_of_an_aborted_execution_does_not_close_a_resumed_run(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.plan(["118"])
    users = Portal.users
    is_slow = [True]

    def closed_and_resumed_meanwhile(portal: Portal) -> Iterator[PortalUser]:
        if is_slow:
            is_slow.clear()
            close(stack)
            stack.report_run()
            resume(stack)
        return users(portal)

    monkeypatch.setattr(Portal, "users", closed_and_resumed_meanwhile)

    with pytest.raises(RunClosed):
        stack.report_run()

    work_off(stack)
    assert stack.report_run()["counts"] == {"deleted": 1}


def test_a_run_whose_execution_ended_after_all_was_done_succeeded(stack: Stack) -> None:
    stack.plan(["118"])
    work_off(stack)

    close(stack)

    assert stack.report_run()["counts"] == {"deleted": 1}


def test_a_closed_run_can_be_resumed(stack: Stack) -> None:
    stack.plan(["118", "119"])
    close(stack)
    stack.report_run()

    resume(stack)
    work_off(stack)

    assert stack.report_run()["counts"] == {"deleted": 2}


def test_the_end_of_an_execution_that_resumed_a_run_closes_that_run(half_done: Stack) -> None:
    resume(half_done, "resumed")

    closed = close(half_done, "resumed")

    assert (closed["next_step"], closed["run_id"]) == ("close", "run-1")


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The inputs of executions, by their names, as Step Functions records them."""
    requests: dict[str, Any] = {}
    monkeypatch.setattr(
        "bulk_user_deletion.executions.Executions.request",
        lambda _, arn: requests.get(arn.rpartition(":")[2], {}),
    )
    return requests


def test_a_run_whose_closing_was_aborted_too_is_closed_by_the_next_one(
    stack: Stack, requests: dict[str, Any]
) -> None:
    stack.plan(["118", "119"])
    requests["closing"] = {"close": "run-1"}
    close(stack)

    closed = close(stack, "closing", "closing-again")
    summary = stack.report_run()

    assert (closed["next_step"], closed["run_id"]) == ("close", "run-1")
    assert summary["counts"] == {"not_attempted": 2}
    assert stack.plan(["119"], "next-run")["users"] == 1


def test_a_run_that_could_not_be_closed_is_closed_on_request_by_any_of_its_names(
    stack: Stack, requests: dict[str, Any]
) -> None:
    stack.plan(["118"])
    ended = ["run-1", *(f"closing-{n}" for n in range(1, 6))]
    for closed, closing in pairwise(ended):
        requests[closing] = {"close": closed}

    tried = [close(stack, name, f"by-hand-{n}") for n, name in enumerate(ended)]

    assert {(one["next_step"], one["run_id"]) for one in tried} == {("close", "run-1")}


def test_an_execution_that_was_to_close_itself_has_nothing_to_close(
    stack: Stack, requests: dict[str, Any]
) -> None:
    requests["a"], requests["b"] = {"close": "b"}, {"close": "a"}

    assert close(stack, "a", "a")["next_step"] == "nothing"


def test_an_aborted_execution_without_a_plan_is_reported_as_failed(stack: Stack) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("bulk_user_deletion.portal.Portal.users", _killed)
        with pytest.raises(KeyboardInterrupt):
            stack.plan(["118"])

    close(stack)
    summary = stack.report_run()

    assert summary["status"] == "FAILED"
    assert summary["sentence"].startswith("The run failed before it had a plan: nobody was")


def _killed(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("prepare", "because"),
    [
        (lambda _: None, "There is no run run-1 to close."),
        (lambda stack: (stack.plan(["118"]), stack.report_run()), "Run run-1 is closed already."),
    ],
)
def test_most_executions_that_end_leave_nothing_to_close(
    stack: Stack, prepare: Any, because: str
) -> None:
    prepare(stack)
    stack.portal.requests.clear()

    closed = close(stack)

    assert (closed["next_step"], closed["nothing_because"]) == ("nothing", because)
    assert stack.portal.requests == []


def test_a_running_run_is_not_closed(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    stack.plan(["118"])
    monkeypatch.setattr(
        "bulk_user_deletion.executions.Executions.status", lambda *_: ExecutionStatus.RUNNING
    )

    assert close(stack)["nothing_because"].startswith("Run run-1 is in progress")


@pytest.mark.parametrize("name", ["run-1", "resumed"])
def test_a_run_that_goes_on_in_another_execution_is_not_closed_by_any_of_its_names(
    half_done: Stack, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    resume(half_done, "resumed")
    monkeypatch.setattr(
        "bulk_user_deletion.executions.Executions.status",
        lambda _, arn: (
            ExecutionStatus.RUNNING if arn.endswith(":resumed") else ExecutionStatus.ABORTED
        ),
    )

    assert close(half_done, name)["nothing_because"].startswith("Run run-1 is in progress")

    work_off(half_done)
    assert half_done.report_run()["counts"] == {"deleted": 4}


# Other losses


def test_users_that_left_for_other_reasons_are_named_and_the_run_still_succeeds(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    stack.portal.database.execute("DELETE FROM user WHERE user_id IN (130, 131)")
    work_off(stack)

    summary = stack.report_run()

    report = stack.read_json("runs/run-1/report.json")
    assert report["unexplained_losses"] == ["130", "131"]
    assert (
        "2 users left the portal during this run that it did not delete: 130, 131"
        in (report["warnings"][-1])
    )
    assert summary["succeeded"]
    assert stack.read_json("runs/run-1/users-before.json")[29]["user_id"] == "130"


def test_a_planned_user_that_left_for_other_reasons_is_not_an_unexplained_loss(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 118")
    work_off(stack)

    stack.report_run()

    assert stack.read_json("runs/run-1/report.json")["unexplained_losses"] == []


def test_a_report_without_a_last_look_says_what_it_cannot_say(stack: Stack) -> None:
    stack.plan(["118"])
    work_off(stack)

    stack.report_run(look=False)

    report = stack.read_json("runs/run-1/report.json")
    assert report["unexplained_losses"] is None
    assert "cannot say whether others left" in report["warnings"][-1]


def test_a_user_that_was_reopened_and_not_started_keeps_its_row(half_done: Stack) -> None:
    resume(half_done)

    row = half_done.row(120)

    assert row is not None
    assert (row.state, row.outcome) == (UserState.REOPENED, Outcome.UNKNOWN)


def test_a_plan_that_was_edited_before_its_run_is_closed_hides_no_user_that_was_started(
    stack: Stack,
) -> None:
    stack.plan(["118", "119"])
    stack.delete_until_finished(118, stack.hand_out()["118"])
    key = "runs/run-1/plan.json"
    plan = stack.read_json(key)
    body = json.dumps({**plan, "entries": plan["entries"][1:]})
    stack.s3.put_object(Bucket="data", Key=key, Body=body.encode())
    close(stack)

    summary = stack.report_run()

    assert not summary["succeeded"]
    [*_, warning] = stack.read_json("runs/run-1/report.json")["warnings"]
    assert "somebody edited it" in warning
    assert "Started, and not in it: 118 deleted." in warning

"""What a run reports if looks, lists or tokens are inconclusive, or if it is interrupted."""

from typing import Any

import pytest

from bulk_user_deletion.errors import PortalAnswerUnusable, PortalUnavailable
from bulk_user_deletion.looks import Patience
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.models.users import Outcome
from local.portal import Fault, Knobs
from tests.functions.machine import Machine
from tests.functions.stack import EXECUTIONS, Stack
from tests.functions.test_claims import rows


def run_row(stack: Stack) -> RunRow:
    found = stack.ledger.runs.read("run-1")
    assert found
    return found


def outcome_of(stack: Stack, user_id: int) -> Outcome | None:
    row = stack.row(user_id)
    assert row
    return row.outcome


def create_user(stack: Stack, user_id: int) -> None:
    stack.portal.database.execute(
        "INSERT INTO user (user_id, username, first_name, last_name, email)"
        " VALUES (?, 'somebody', 'A', 'B', 'somebody@example.com')",
        (user_id,),
    )


# Looks at our own user


@pytest.mark.parametrize(
    "fault", [Fault.UNAUTHORIZED, Fault.SESSION_EXPIRED, Fault.TOO_MANY_REQUESTS, Fault.HTML_200]
)
def test_a_look_at_our_own_user_that_temporarily_fails_does_not_stop_the_run(
    stack: Stack, fault: Fault
) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.faults.script(Fault.FORBIDDEN, method="GET", user_id=118)
    stack.portal.faults.script(fault, method="GET", user_id=101)

    stack.delete_until_finished(118, key)

    assert outcome_of(stack, 118) is Outcome.DELETED
    assert run_row(stack).stop is None


def test_looks_at_our_own_user_that_keep_failing_stop_the_run_after_six(stack: Stack) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.faults.rate(Fault.FORBIDDEN, 1.0, method="GET", user_id=118)
    stack.portal.faults.rate(Fault.TOO_MANY_REQUESTS, 1.0, method="GET", user_id=101)

    assert len(stack.delete_until_finished(118, key)) == 6

    stop = run_row(stack).stop
    assert stop
    assert stop.reason.endswith("When it is up again, resume the run.")
    assert stack.row(118) is None


def test_a_token_that_expires_before_the_look_at_our_own_user_refuses_no_plan(stack: Stack) -> None:
    stack.portal.faults.script(Fault.FORBIDDEN, method="GET", user_id=9001)
    stack.portal.faults.script(Fault.UNAUTHORIZED, method="GET", user_id=101, nth=2)

    assert stack.plan(["118", "9001"])["users"] == 1


def test_a_user_other_than_our_own_is_not_accepted_as_our_own(stack: Stack) -> None:
    stack.portal.knobs = Knobs(gone_as="null_user")
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 118")
    # For any request, the portal shows its first user, who is not ours.
    stack.table.update_item(
        Key={"pk": "run#run-1", "sk": "run"},
        UpdateExpression="SET self_ids = :ids",
        ExpressionAttributeValues={":ids": ["102", "101"]},
    )
    stack.portal.knobs = Knobs(gone_as="null_user", odd_records={102: {"id": "101"}})

    assert not stack.delete_user(118, key)["finished"]
    assert stack.row(118) is None


# What one look proves


@pytest.mark.parametrize("lost", [Fault.RESET_BEFORE, Fault.BAD_GATEWAY_BEFORE, Fault.PROXY_404])
def test_rule_4_one_look_is_not_enough_when_the_portal_did_not_say_that_it_deleted(
    stack: Stack, lost: Fault
) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.faults.script(lost, user_id=118)
    stack.portal.faults.script(Fault.OWN_404, method="GET", user_id=118, nth=2)

    stack.delete_until_finished(118, key)

    assert 118 in stack.portal.user_ids()
    assert outcome_of(stack, 118) is Outcome.UNKNOWN


def test_rule_4_without_a_last_list_everybody_who_is_to_be_gone_is_looked_at(stack: Stack) -> None:
    stack.plan(["118", "119"])
    stack.portal.faults.script(Fault.OWN_404, method="GET", user_id=118, nth=2)
    stack.portal.knobs = Knobs(delete_mode="ignored")
    keys = stack.hand_out()
    stack.delete_user(118, keys["118"])
    stack.portal.knobs = Knobs()
    stack.delete_user(119, keys["119"])
    assert outcome_of(stack, 118) is Outcome.DELETED
    stack.portal.knobs = Knobs(odd_records={130: {"id": ...}})

    summary = stack.report_run()

    assert summary["counts"] == {"deleted": 1, "unknown": 1}
    assert "a look shows this user" in rows(stack)["118"]["reason"]


# The last list


def test_a_report_that_is_cut_off_while_a_list_is_doubted_still_waits_its_minute(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    stack.work_off()
    stack.portal.knobs = Knobs(stale_list=(118,))

    first = stack.report_run()
    repeated = stack.report_run()  # its answer was lost: the state machine retries at once

    assert repeated == first
    assert first["wait_seconds"] == 60
    assert outcome_of(stack, 118) is Outcome.DELETED


def test_an_execution_of_the_previous_version_is_reported_too(stack: Stack) -> None:
    stack.plan(["118"])
    stack.work_off()

    said = stack.invoke(
        "report_run",
        {
            "run_id": "run-1",
            "execution_arn": EXECUTIONS + "run-1",
            "failure": None,
            "look": True,
            "token": {"version_id": None, "renewals": 0},
        },
    )

    assert said["counts"] == {"deleted": 1}


def test_a_look_that_is_not_answered_is_asked_again_with_the_second_list(stack: Stack) -> None:
    stack.plan(["118", "119"])
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 119")
    stack.work_off()
    stack.portal.knobs = Knobs(stale_list=(119,))
    stack.portal.faults.script(Fault.PROXY_404, method="GET", user_id=119)
    assert stack.report_run()["wait_seconds"] == 60
    stack.portal.knobs = Knobs()

    assert stack.report_run(list_doubted=True)["counts"] == {"deleted": 1, "already_absent": 1}


@pytest.mark.parametrize("deleted_by_us", [True, False])
def test_rule_7_an_outcome_that_was_withdrawn_before_the_report_was_cut_off_stays_withdrawn(
    stack: Stack, deleted_by_us: bool
) -> None:
    stack.plan(["118", "119"])
    if not deleted_by_us:
        stack.portal.database.execute("DELETE FROM user WHERE user_id = 119")
    stack.work_off()
    stack.portal.knobs = Knobs(stale_list=(119,))
    stack.report_run(list_doubted=True)
    stack.portal.knobs = Knobs()

    summary = stack.report_run(list_doubted=True)

    assert summary["counts"] == {"deleted": 1, "unknown": 1}
    assert outcome_of(stack, 119) is Outcome.UNKNOWN
    row = stack.row(119)
    assert row
    assert len(row.history) == 1
    again = Machine(stack).execute({"mode": "apply", "resume": "run-1"}, "run-2")
    assert again["succeeded"]


def test_an_id_that_was_free_and_is_taken_at_the_end_is_previewed_again(
    stack: Stack,
) -> None:
    stack.plan(["118", "9001"])
    stack.work_off()
    create_user(stack, 9001)

    summary = stack.report_run()

    assert summary["counts"] == {"deleted": 1, "unknown": 1}
    assert "a resume would not help" in summary["sentence"]
    assert "it was already_absent: nobody has this id" in rows(stack)["9001"]["reason"]


# Losses


def test_known_losses_are_reported_even_if_the_portal_is_down_at_the_end(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    stack.work_off()
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 130")
    stack.check_losses({"number": 1, "is_canary": True})
    stack.portal.knobs = Knobs(portal_is_down=True)

    stack.report_run()

    report = stack.read_json("runs/run-1/report.json")
    assert report["unexplained_losses"] == ["130"]
    assert any("users other than those named below" in warning for warning in report["warnings"])


def test_losses_at_the_end_of_a_round_are_in_the_report_of_the_next_round_too(stack: Stack) -> None:
    stack.portal.faults.script(Fault.CONFLICT, user_id=119)
    stack.plan(["118", "119"])
    stack.work_off()
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 130")
    stack.report_run()

    summary = Machine(stack).execute({"mode": "apply", "resume": "run-1"}, "run-2")

    assert summary["counts"] == {"deleted": 2}
    report = stack.read_json("runs/run-1/report.json")
    assert report["unexplained_losses"] == ["130"]


def test_looks_at_missing_users_stop_when_their_time_is_over(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack.plan(["118"])
    stack.work_off()
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 130")
    monkeypatch.setattr(Patience, "is_over", True)

    with pytest.raises(PortalUnavailable, match="takes too long"):
        stack.check_losses({"number": 1, "is_canary": True})
    assert stack.report_run()["counts"] == {"deleted": 1}
    assert stack.read_json("runs/run-1/report.json")["unexplained_losses"] is None


@pytest.mark.usefixtures("impatient")
def test_a_look_that_hangs_is_not_repeated_within_the_functions_time(stack: Stack) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.requests.clear()
    stack.portal.faults.rate(Fault.HANG_BEFORE, 1.0, method="GET", user_id=118)

    progress = stack.delete_user(118, key)

    assert (progress["finished"], progress["tries"]) == (False, 1)
    assert len(stack.portal.requests) == 1


# Plans and previews


def test_a_preview_with_an_incomplete_record_offers_its_plan_for_all_others(stack: Stack) -> None:
    stack.portal.knobs = Knobs(odd_records={120: {"type": ...}})
    request: dict[str, Any] = {"source": {"users": ["118", "120"]}}

    preview = Machine(stack).execute({"mode": "preview", **request}, "run-1")

    assert preview["sentence"] == (
        "Preview: 1 of 2 entries would be deleted, 1 failed. Nobody was touched. See the report for"
        " each."
    )
    plan = {"run_id": "run-1", "sha256": preview["plan_sha256"]}
    applied = Machine(stack).execute({"mode": "apply", "plan": plan}, "run-2")
    assert applied["counts"] == {"deleted": 1, "failed": 1}


@pytest.mark.parametrize("pressed", [True, False])
def test_no_report_recommends_a_resume_that_would_be_refused(stack: Stack, pressed: bool) -> None:
    stack.portal.knobs = Knobs(odd_records={120: {"type": ...}})
    stack.plan(["118", "120"])
    stack.work_off()
    if pressed:
        stack.ledger.runs.press_stop("run-1", reason="HR-1234", by="somebody", now=1)
    failure = None if pressed else {"Error": "States.Timeout", "Cause": ""}

    sentence = stack.report_run(failure=failure)["sentence"]

    assert "resume the run" not in sentence
    assert "a resume would not help" in sentence


@pytest.mark.parametrize("how", ["plan", "resume", "check", "watch"])
def test_two_users_under_one_id_refuse_whatever_reads_the_list(stack: Stack, how: str) -> None:
    stack.plan(["118"], mode="preview" if how == "plan" else "apply")
    stack.end("run-1")
    requests: dict[str, dict[str, Any]] = {
        "plan": {"mode": "apply", "plan": {"run_id": "run-1", "sha256": stack.plan_sha256()}},
        "resume": {"mode": "apply", "resume": "run-1"},
        "check": {"check": "portal"},
        "watch": {"check": "population"},
    }
    stack.portal.knobs = Knobs(odd_records={130: {"id": "131"}})

    with pytest.raises(PortalAnswerUnusable, match="two different users with the id 131"):
        stack.fetch_user_ids(requests[how], "run-2")

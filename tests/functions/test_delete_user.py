"""DeleteUser: look, check against the plan, record the intent, delete, look again."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.errors import (
    PlanEdited,
    PortalAnswerUnusable,
    RunClosed,
    TokenRejected,
    UserManagementDenied,
)
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Pace
from bulk_user_deletion.models.users import Outcome, UserState
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.answers import Answer
from local.portal import Fault, Knobs
from tests.functions.stack import EXECUTIONS, Stack

USER = 118

SetParameter = Callable[[str, str], None]


@pytest.fixture
def batch_key(stack: Stack) -> str:
    """The batch of user 118 and a neighbor; the portal's log starts after it was handed out."""
    stack.plan(["118", "119"])
    key = stack.hand_out()["118"]
    stack.portal.requests.clear()
    return key


def sent(stack: Stack) -> list[str]:
    """The requests for single users, in order."""
    return [
        f"{request.method} {request.user_id}"
        for request in stack.portal.requests
        if request.user_id is not None
    ]


def outcome(stack: Stack) -> tuple[Outcome | None, str]:
    row = stack.row(USER)
    return (row.outcome, row.reason) if row else (None, "no row")


def stop_reason(stack: Stack) -> str:
    run = stack.ledger.runs.read("run-1")
    return run.stop.reason if run and run.stop else ""


def record_intent(stack: Stack, *, lease_until: int) -> None:
    assert stack.ledger.users.record_intent(
        "run-1",
        str(USER),
        action=Action.DELETE,
        execution_arn=EXECUTIONS + "run-1",
        owner="another-invocation",
        lease_until=lease_until,
        now=0,
        is_first=True,
    )


# The normal course


def test_a_user_is_looked_at_deleted_and_looked_at_again_and_nobody_else_is_touched(
    stack: Stack, batch_key: str
) -> None:
    before = stack.portal.user_ids()

    progress = stack.delete_user(USER, batch_key)

    assert sent(stack) == ["GET 118", "DELETE 118", "GET 118"]
    assert stack.portal.user_ids() == before - {USER}
    assert progress == {"finished": True, "wait_seconds": pytest.approx(60, abs=2), "tries": 0}
    row = stack.row(USER)
    assert row is not None
    assert (row.outcome, row.attempts) == (Outcome.DELETED, 1)
    assert stack.row(119) is None


def test_a_user_that_is_gone_already_is_sent_no_delete(stack: Stack, batch_key: str) -> None:
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 118")

    progress = stack.delete_user(USER, batch_key)

    assert sent(stack) == ["GET 118", "GET 118"]
    assert outcome(stack)[0] is Outcome.ALREADY_ABSENT
    assert progress["wait_seconds"] == 0


def test_rule_7_a_user_that_is_finished_is_not_touched_again(stack: Stack, batch_key: str) -> None:
    stack.delete_user(USER, batch_key)
    stack.portal.requests.clear()

    progress = stack.delete_user(USER, batch_key)

    assert progress["finished"]
    assert stack.portal.requests == []


# Rule 1: no user outside the plan, and the plan is checked again


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("username = 'somebody.else'", "changed_since_plan: username no longer as planned"),
        ("email = 'other@example.com'", "changed_since_plan: email no longer as planned"),
        ("type = 'administrator'", "administrator"),
    ],
)
def test_rule_1_a_user_that_changed_since_the_plan_is_skipped(
    stack: Stack, batch_key: str, change: str, reason: str
) -> None:
    stack.portal.database.execute(f"UPDATE user SET {change} WHERE user_id = 118")

    stack.delete_user(USER, batch_key)

    assert stack.writes() == []
    assert outcome(stack) == (Outcome.SKIPPED, reason)


def test_a_name_in_other_letter_case_is_not_a_change(stack: Stack, batch_key: str) -> None:
    stack.portal.database.execute(
        "UPDATE user SET username = upper(username), email = upper(email) WHERE user_id = 118"
    )

    stack.delete_user(USER, batch_key)

    assert outcome(stack)[0] is Outcome.DELETED


@pytest.mark.parametrize("field", ["id", "username", "email", "type"])
def test_rule_1_an_answer_without_a_field_to_check_stops_the_run(
    stack: Stack, batch_key: str, field: str
) -> None:
    stack.portal.knobs = Knobs(omit_user_fields=(field,))

    with pytest.raises(PortalAnswerUnusable):
        stack.delete_user(USER, batch_key)

    assert stack.writes() == []
    assert "cannot be checked" in stop_reason(stack) or "nobody can be" in stop_reason(stack)


def test_rule_1_a_user_that_is_added_to_a_stored_batch_is_not_touched(
    stack: Stack, batch_key: str
) -> None:
    neighbour = stack.read_json(batch_key)[1]
    [(username, email)] = stack.portal.database.execute(
        "SELECT username, email FROM user WHERE user_id = 121"
    )
    added = {**neighbour, "user_id": "121", "username": username, "email": email}
    body = json.dumps([*stack.read_json(batch_key), added])
    stack.s3.put_object(Bucket="data", Key=batch_key, Body=body.encode())

    with pytest.raises(PlanEdited, match="somebody edited it"):
        stack.delete_user(121, batch_key)

    assert stack.writes() == []
    assert stack.row(121) is None
    assert "somebody edited it" in stop_reason(stack)


def test_rule_1_a_user_outside_the_batch_is_not_touched(stack: Stack, batch_key: str) -> None:
    with pytest.raises(PortalAnswerUnusable, match="120 is not in"):
        stack.delete_user(120, batch_key)

    assert stack.writes() == []


@pytest.mark.parametrize("user_id", ["", "0", "-5", "1e3", "../1", "118/", "9" * 40])
def test_an_invalid_id_never_becomes_part_of_a_url(
    stack: Stack, batch_key: str, user_id: str
) -> None:
    with pytest.raises(PortalAnswerUnusable):
        stack.delete_user(user_id, batch_key)

    assert stack.portal.requests == []


# Rule 4: ambiguity is never guessed away


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault", [Fault.RESET_AFTER, Fault.TIMEOUT_504_AFTER, Fault.HANG_AFTER, Fault.TRUNCATED_200]
)
def test_rule_4_a_lost_answer_is_followed_by_two_looks_not_by_another_delete(
    stack: Stack, batch_key: str, fault: Fault
) -> None:
    stack.portal.faults.script(fault)

    stack.delete_until_finished(USER, batch_key)

    assert sent(stack) == ["GET 118", "DELETE 118", "GET 118", "GET 118"]
    assert outcome(stack)[0] is Outcome.DELETED


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "fault",
    [
        Fault.RESET_BEFORE,
        Fault.HANG_BEFORE,
        Fault.BAD_GATEWAY_BEFORE,
        Fault.HTML_503,
        Fault.PROXY_404,
    ],
)
def test_rule_4_a_delete_that_may_have_been_lost_is_not_sent_again(
    stack: Stack, batch_key: str, fault: Fault
) -> None:
    stack.portal.faults.script(fault)

    waits = stack.delete_until_finished(USER, batch_key)

    assert len(stack.writes()) == 1
    assert outcome(stack)[0] is Outcome.UNKNOWN
    assert sum(waits[:-1]) >= 300
    assert "still there" in outcome(stack)[1]


def test_rule_4_a_delete_that_goes_on_behind_a_proxys_504_is_waited_for(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(seconds_per_delete=0.2)
    stack.portal.faults.script(Fault.TIMEOUT_504_MEANWHILE)

    early = stack.delete_user(USER, batch_key)
    while USER in stack.portal.user_ids():
        time.sleep(0.01)
    late = stack.delete_user(USER, batch_key)

    assert (early["finished"], late["finished"]) == (False, True)
    assert sent(stack) == ["GET 118", "DELETE 118", *["GET 118"] * 3]
    assert outcome(stack)[0] is Outcome.DELETED


def test_rule_4_a_portal_that_says_200_and_keeps_the_user_ends_unknown(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(delete_mode="ignored")

    stack.delete_until_finished(USER, batch_key)

    assert outcome(stack)[0] is Outcome.UNKNOWN
    assert USER in stack.portal.user_ids()
    assert len(stack.writes()) == 1


def test_rule_4_whoever_has_the_id_after_our_delete_under_another_name_is_unknown(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(delete_mode="ignored")
    stack.delete_user(USER, batch_key)
    stack.portal.database.execute("UPDATE user SET username = 'new.one' WHERE user_id = 118")

    progress = stack.delete_user(USER, batch_key)

    assert progress["finished"]
    assert len(stack.writes()) == 1
    assert outcome(stack) == (
        Outcome.UNKNOWN,
        "after the DELETE: changed_since_plan: username no longer as planned",
    )


def test_a_delete_in_the_background_is_waited_for(stack: Stack, batch_key: str) -> None:
    stack.portal.knobs = Knobs(delete_mode="background", seconds_per_delete=600)

    early = stack.delete_user(USER, batch_key)
    stack.portal.database.execute("DELETE FROM user WHERE user_id = ?", (USER,))
    late = stack.delete_user(USER, batch_key)

    assert (early["finished"], early["wait_seconds"]) == (False, 5)
    assert late["finished"]
    assert outcome(stack)[0] is Outcome.DELETED
    assert len(stack.writes()) == 1


def test_rule_4_a_proxys_404_to_the_look_is_not_taken_for_gone(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.faults.script(Fault.PROXY_404, method="GET")

    progress = stack.delete_user(USER, batch_key)

    assert progress == {"finished": False, "wait_seconds": 10, "tries": 1}
    assert stack.row(USER) is None


@pytest.mark.parametrize(
    ("fault", "wait"),
    [
        (Fault.TOO_MANY_REQUESTS, 7),
        (Fault.TOO_MANY_REQUESTS_DATE, 7),
        (Fault.DEADLOCK, 20),
        (Fault.BUSY_503, 20),
    ],
)
def test_rule_4_a_definite_refusal_is_retried_after_a_wait(
    stack: Stack, batch_key: str, fault: Fault, wait: int
) -> None:
    stack.portal.faults.script(fault)

    waits = stack.delete_until_finished(USER, batch_key)

    assert waits[0] == pytest.approx(wait, abs=1)
    assert outcome(stack)[0] is Outcome.DELETED
    assert len(stack.writes()) == 2
    row = stack.row(USER)
    assert row is not None
    assert row.attempts == 2


def test_a_user_that_the_portal_always_refuses_is_failed_after_five_attempts(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.faults.rate(Fault.DEADLOCK, 1)

    stack.delete_until_finished(USER, batch_key)

    assert len(stack.writes()) == 5
    assert outcome(stack) == (Outcome.FAILED, "refused 5 times, last DELETE: HTTP 500")


@pytest.mark.parametrize("fault", [Fault.BAD_REQUEST, Fault.FORBIDDEN, Fault.CONFLICT])
def test_a_permanent_refusal_fails_the_user_and_the_run_continues(
    stack: Stack, batch_key: str, fault: Fault
) -> None:
    stack.portal.faults.script(fault)

    progress = stack.delete_user(USER, batch_key)

    assert progress["finished"]
    assert progress["wait_seconds"] > 0
    assert outcome(stack)[0] is Outcome.FAILED
    assert stop_reason(stack) == ""


def test_a_redirect_is_not_followed(stack: Stack, batch_key: str) -> None:
    stack.portal.faults.script(Fault.REDIRECT, method="GET")

    with pytest.raises(PortalAnswerUnusable, match="302"):
        stack.delete_user(USER, batch_key)

    assert [request.path for request in stack.portal.requests] == ["/api/user/id/118"]
    assert "302" in stop_reason(stack)


def test_credentials_that_lost_user_management_stop_the_run_at_once(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(user_management=False)

    with pytest.raises(UserManagementDenied):
        stack.delete_user(USER, batch_key)

    assert "Application Can Manage Users" in stop_reason(stack)
    assert stack.row(USER) is None


def test_a_portal_that_does_not_answer_stops_the_run_with_the_user_not_started(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(portal_is_down=True)

    waits = stack.delete_until_finished(USER, batch_key)

    assert len(waits) == 6
    assert waits == [*sorted(waits[:-1]), 0]
    assert stack.row(USER) is None
    assert "did not answer 6 looks" in stop_reason(stack)


@pytest.mark.parametrize(("errors", "is_failed"), [(1, False), (5, False), (6, True)])
def test_a_user_whom_alone_the_portal_does_not_show_is_failed_after_six_looks(
    stack: Stack, batch_key: str, errors: int, is_failed: bool
) -> None:
    for _ in range(errors):
        stack.portal.faults.script(Fault.SERVER_ERROR, method="GET", user_id=USER)

    stack.delete_until_finished(USER, batch_key)

    assert outcome(stack)[0] is (Outcome.FAILED if is_failed else Outcome.DELETED)
    assert stop_reason(stack) == ""


# The token, renewed during the run


def test_a_token_that_expires_during_a_delete_causes_no_second_delete(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.faults.script(Fault.SESSION_EXPIRED, method="GET", nth=2)

    stack.delete_user(USER, batch_key)

    assert len(stack.writes()) == 1
    assert outcome(stack)[0] is Outcome.DELETED


# The pace


def a_pace(stack: Stack, **fields: Any) -> Pace:
    """The pace that earlier DELETEs have shown."""
    before = stack.ledger.portal.pace()
    pace = Pace(**{"seconds_per_delete": 60.0, **fields}, version=before.version + 1)
    assert stack.ledger.portal.record_pace(pace, before=before)
    return pace


def test_the_duration_of_a_delete_is_recorded_for_all_runs(stack: Stack, batch_key: str) -> None:
    stack.portal.knobs = Knobs(seconds_per_delete=0.7)

    stack.delete_user(USER, batch_key)

    assert stack.ledger.portal.pace().seconds_per_delete == pytest.approx(0.7, abs=0.2)


def test_a_delete_of_normal_duration_writes_nothing_about_the_pace(
    stack: Stack, batch_key: str
) -> None:
    pace = a_pace(stack, seconds_per_delete=0.1)

    stack.delete_user(USER, batch_key)

    assert stack.ledger.portal.pace() == pace


def test_with_adaptive_pacing_the_next_user_follows_at_once(
    stack: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("PACING", "adaptive")
    stack.plan(["118"])

    progress = stack.delete_user(USER, stack.hand_out()["118"])

    assert progress == {"finished": True, "wait_seconds": 0, "tries": 0}


def test_with_adaptive_pacing_a_refusal_makes_the_pause_grow_and_success_shrink_it(
    stack: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("PACING", "adaptive")
    stack.plan(["118", "119", "120"])
    keys = stack.hand_out()
    a_pace(stack, seconds_per_delete=0.1, wait_seconds=40)
    stack.portal.faults.script(Fault.DEADLOCK)

    stack.delete_user(118, keys["118"])
    assert stack.ledger.portal.pace().wait_seconds == 80
    assert stack.delete_user(118, keys["118"])["wait_seconds"] == pytest.approx(40, abs=2)
    assert stack.delete_user(119, keys["119"])["wait_seconds"] == pytest.approx(20, abs=2)


def test_a_request_that_asks_for_a_pause_gets_it_with_adaptive_pacing_too(
    stack: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("PACING", "adaptive")
    stack.plan(["118"], options={"wait_seconds": 90})

    progress = stack.delete_user(USER, stack.hand_out()["118"])

    assert progress["wait_seconds"] == pytest.approx(90, abs=2)


def test_with_fixed_pacing_the_pause_stays_what_it_is(stack: Stack, batch_key: str) -> None:
    a_pace(stack, seconds_per_delete=0.1, wait_seconds=300)

    assert stack.delete_user(USER, batch_key)["wait_seconds"] == pytest.approx(60, abs=2)


def test_during_the_portals_quiet_time_no_other_user_is_looked_at(
    stack: Stack, batch_key: str
) -> None:
    a_pace(stack, quiet_until=int(time.time()) + 100)

    progress = stack.delete_user(USER, batch_key)

    assert progress == {"finished": False, "wait_seconds": pytest.approx(100, abs=2), "tries": 1}
    assert stack.portal.requests == []


def test_a_user_that_has_waited_as_long_as_the_portal_asked_continues(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.faults.script(Fault.TOO_MANY_REQUESTS)

    waits = stack.delete_until_finished(USER, batch_key)

    assert waits == [7, pytest.approx(60, abs=2)]
    assert stack.ledger.portal.pace().quiet_until == pytest.approx(time.time() + 7, abs=3)


def test_a_portal_that_asks_for_a_day_of_quiet_time_stops_the_run_to_be_resumed(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(retry_after_seconds=86_400)
    stack.portal.faults.script(Fault.TOO_MANY_REQUESTS)

    progress = stack.delete_user(USER, batch_key)

    assert progress == {"finished": True, "wait_seconds": 0, "tries": 0}
    assert len(stack.writes()) == 1
    assert "left alone for 86400 s" in stop_reason(stack)
    assert stack.report_run()["counts"] == {"failed": 1, "not_attempted": 1}


def test_a_portal_that_asks_for_a_day_of_quiet_time_at_a_look_stops_the_run_too(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(retry_after_seconds=86_400)
    stack.portal.faults.script(Fault.TOO_MANY_REQUESTS, method="GET")

    assert stack.delete_user(USER, batch_key)["finished"]

    assert stack.writes() == []
    assert "left alone for 86400 s" in stop_reason(stack)


def test_a_run_that_starts_during_an_hour_of_quiet_time_waits_for_its_end(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(retry_after_seconds=3600)
    stack.portal.faults.script(Fault.TOO_MANY_REQUESTS)
    stack.delete_user(USER, batch_key)

    progress = stack.delete_user(119, batch_key)

    assert progress == {
        "finished": False,
        "wait_seconds": pytest.approx(3600, abs=2),
        "tries": 1,
    }
    assert stop_reason(stack) == ""


def test_a_user_whose_delete_is_in_progress_is_looked_at_even_during_quiet_time(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(delete_mode="ignored")
    stack.delete_user(USER, batch_key)
    a_pace(stack, quiet_until=int(time.time()) + 7200)

    progress = stack.delete_user(USER, batch_key)

    assert progress == {"finished": False, "wait_seconds": 3600, "tries": 1}
    assert stack.ledger.runs.read("run-1").stop is None  # type: ignore[union-attr]


def test_looks_that_the_portal_does_not_answer_are_not_said_to_have_seen_the_user(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(delete_mode="ignored", retry_after_seconds=120)
    stack.delete_user(USER, batch_key)
    stack.portal.faults.rate(Fault.TOO_MANY_REQUESTS, 1.0, method="GET")

    waits = stack.delete_until_finished(USER, batch_key)

    assert 120 in waits
    found, reason = outcome(stack)
    assert found is Outcome.UNKNOWN
    assert "the last look was not answered (" in reason
    assert "429" in reason
    assert "still there" not in reason


def test_a_token_that_would_expire_during_the_next_delete_is_renewed_early(
    stack: Stack, batch_key: str
) -> None:
    a_pace(stack, seconds_per_delete=60)
    shorten_token(stack, seconds_left=80)

    stack.delete_user(USER, batch_key)

    assert stack.portal.requests[0].path == "/api/get_token"
    assert outcome(stack)[0] is Outcome.DELETED


def test_a_token_that_would_expire_during_a_delete_that_is_sent_again_is_renewed_early(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.faults.script(Fault.DEADLOCK)
    stack.delete_user(USER, batch_key)
    a_pace(stack, seconds_per_delete=60)
    shorten_token(stack, seconds_left=80)
    stack.portal.requests.clear()

    stack.delete_user(USER, batch_key, tries=1)

    assert stack.portal.requests[0].path == "/api/get_token"
    assert outcome(stack)[0] is Outcome.DELETED


def test_a_token_that_lasts_for_the_next_delete_is_kept(stack: Stack, batch_key: str) -> None:
    a_pace(stack, seconds_per_delete=60)
    shorten_token(stack, seconds_left=100)

    stack.delete_user(USER, batch_key)

    assert sent(stack) == ["GET 118", "DELETE 118", "GET 118"]
    assert len(stack.portal.requests) == 3


def shorten_token(stack: Stack, *, seconds_left: float) -> None:
    """Make the stored token, of 15 minutes, expire in `seconds_left`."""
    document = json.loads(stack.secrets.get_secret_value(SecretId="token")["SecretString"])
    expires_at = time.time() + seconds_left
    document |= {"issued_at": expires_at - 900, "expires_at": expires_at}
    stack.secrets.put_secret_value(SecretId="token", SecretString=json.dumps(document))
    adapters.cache_clear()


def test_a_delete_that_was_rejected_with_its_token_is_sent_again_with_a_new_one(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.faults.script(Fault.UNAUTHORIZED)

    stack.delete_user(USER, batch_key)

    deletes = stack.writes()
    assert [request.status for request in deletes] == [401, 200]
    assert deletes[0].token < deletes[1].token


def test_a_token_that_is_about_to_expire_is_not_used(stack: Stack, batch_key: str) -> None:
    stack.ledger.runs.press_stop("other", reason="", by="", now=0)
    stored = stack.invoke(
        "refresh_token",
        {
            "run_id": "run-1",
            "token": {"version_id": None, "renewals": 0},
            "rejection": {"Error": "TokenRejected", "Cause": "{}"},
        },
    )
    document = stack.secrets.get_secret_value(SecretId="token")["SecretString"]
    ended = document.replace('"expires_at": ', '"expires_at": 1, "was": ')
    stack.secrets.put_secret_value(SecretId="token", SecretString=ended)
    event = {
        "run_id": "run-1",
        "execution_arn": EXECUTIONS + "run-1",
        "batch_key": batch_key,
        "user_id": "118",
        "token": {"version_id": "newer", "renewals": 0},
        "progress": {"finished": False, "wait_seconds": 0, "tries": 0},
    }
    stack.portal.requests.clear()

    with pytest.raises(TokenRejected) as rejected:
        stack.invoke("delete_user", event)

    assert rejected.value.version_id == stored["version_id"]
    assert stack.portal.requests == []


# Rules 7 and 8: crashes, leases, the stop flag


def test_rule_7_an_intent_with_a_lease_is_waited_for(stack: Stack, batch_key: str) -> None:
    record_intent(stack, lease_until=2**40)

    progress = stack.delete_user(USER, batch_key)

    assert not progress["finished"]
    assert progress["wait_seconds"] > 0
    assert stack.portal.requests == []


def test_rule_7_after_a_crash_the_user_is_looked_at_and_sent_no_second_delete(
    stack: Stack, batch_key: str
) -> None:
    record_intent(stack, lease_until=1)

    stack.delete_until_finished(USER, batch_key)

    assert stack.writes() == []
    assert outcome(stack)[0] is Outcome.UNKNOWN
    assert "before the DELETE's answer was recorded" in outcome(stack)[1]


def test_rule_7_a_user_that_went_while_the_function_crashed_is_deleted(
    stack: Stack, batch_key: str
) -> None:
    record_intent(stack, lease_until=1)
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 118")

    stack.delete_user(USER, batch_key)

    assert outcome(stack)[0] is Outcome.DELETED


def test_rule_7_the_lease_lasts_until_the_functions_deadline(
    stack: Stack, batch_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_user_deletion.steps.change_user.time.time", lambda: 1_000_000)
    monkeypatch.setattr("bulk_user_deletion.portal.Portal.delete", _crash)

    with pytest.raises(KeyboardInterrupt):
        stack.delete_user(USER, batch_key, remaining_seconds=200)

    row = stack.row(USER)
    assert row is not None
    assert (row.state, row.lease_until) == (UserState.INTENT, 1_000_201)


def _crash(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("seen", ["gone", "changed", "refused"])
def test_rule_3_a_slow_look_does_not_hide_a_delete_that_another_invocation_sent_since(
    stack: Stack, batch_key: str, monkeypatch: pytest.MonkeyPatch, seen: str
) -> None:
    look, delete = Portal.look, Portal.delete
    looks = count(1)

    def slow_at_first(portal: Portal, user_id: str) -> Answer:
        number = next(looks)
        answer = look(portal, user_id)
        if number > 1:
            return answer
        with pytest.raises(KeyboardInterrupt):
            stack.delete_user(USER, batch_key)  # another invocation, killed after its DELETE
        match seen:
            case "gone":
                return look(portal, user_id)
            case "changed":
                return replace(answer, body=json.loads(json.dumps(answer.body).replace("@", "@x")))
            case _:
                return Answer(400, {"status": "ERROR", "message": "no"})

    def killed(portal: Portal, user_id: str) -> Answer:
        delete(portal, user_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(Portal, "look", slow_at_first)
    monkeypatch.setattr(Portal, "delete", killed)

    progress = stack.delete_user(USER, batch_key)

    assert not progress["finished"]
    row = stack.row(USER)
    assert row is not None
    assert (row.state, row.outcome) == (UserState.INTENT, None)


def test_rule_8_a_stop_holds_before_the_next_users_delete(stack: Stack, batch_key: str) -> None:
    stack.ledger.runs.press_stop("run-1", reason="wrong list", by="night shift", now=1)

    progress = stack.delete_user(USER, batch_key)

    assert progress["finished"]
    assert stack.portal.requests == []
    assert stack.row(USER) is None


def test_rule_8_a_stop_that_comes_after_the_look_still_holds_before_the_delete(
    stack: Stack, batch_key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bulk_user_deletion.ledger.users import Users

    record = Users.record_intent

    def pressed_just_before(users: Users, *args: object, **kwargs: object) -> bool:
        stack.ledger.runs.press_stop("run-1", reason="wrong list", by="night shift", now=1)
        return record(users, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Users, "record_intent", pressed_just_before)

    stack.delete_until_finished(USER, batch_key)

    assert stack.writes() == []
    assert stack.row(USER) is None


def test_rule_8_a_user_in_flight_is_still_looked_at_after_a_stop(
    stack: Stack, batch_key: str
) -> None:
    stack.portal.knobs = Knobs(delete_mode="ignored")
    stack.delete_user(USER, batch_key)
    stack.ledger.runs.press_stop("run-1", reason="wrong list", by="night shift", now=1)
    stack.portal.database.execute("DELETE FROM user WHERE user_id = 118")

    stack.delete_user(USER, batch_key)

    assert outcome(stack)[0] is Outcome.DELETED


def test_a_closed_run_deletes_nobody(stack: Stack, batch_key: str) -> None:
    stack.ledger.runs.close("run-1", EXECUTIONS + "run-1")

    with pytest.raises(RunClosed):
        stack.delete_user(USER, batch_key)

    assert stack.portal.requests == []


def test_a_body_of_500_mb_is_not_read(stack: Stack, batch_key: str) -> None:
    stack.portal.faults.script(Fault.HUGE_BODY, method="GET")

    with pytest.raises(PortalAnswerUnusable, match="too_large"):
        stack.delete_user(USER, batch_key)

    assert stack.writes() == []

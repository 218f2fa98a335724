"""What a run claims: only what a look has shown, whatever the portal's lists and answers say."""

import csv
import io
from typing import Any

import pytest

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.errors import (
    BulkUserDeletionError,
    PortalAnswerUnusable,
    RequestRefused,
)
from bulk_user_deletion.models.users import Outcome
from local.portal import Fault, Knobs
from tests.functions.machine import Machine
from tests.functions.stack import Stack

USERS = ["118", "119", "120", "121", "122", "123"]


def run(stack: Stack, users: list[str] = USERS, **request: Any) -> dict[str, Any]:
    """Apply a list, as the state machine does; return the summary."""
    request = {"mode": "apply", "source": {"users": users}, **request}
    return Machine(stack).execute(request, "run-1")


def rows(stack: Stack, run_id: str = "run-1") -> dict[str, dict[str, str]]:
    """The rows of report.csv by entry."""
    body = stack.read_bytes(f"runs/{run_id}/report.csv").decode()
    return {row["entry"]: row for row in csv.DictReader(io.StringIO(body))}


def ignore_deletes_of(stack: Stack, *user_ids: int) -> None:
    """Make each DELETE of these answer 200 with an error, and do nothing."""
    for user_id in user_ids:
        stack.portal.faults.script(Fault.ERROR_200, user_id=user_id)


# A list never overrules a look


def test_rule_4_a_list_that_is_cut_short_makes_nobody_deleted(stack: Stack) -> None:
    ignore_deletes_of(stack, 120, 121)
    stack.plan(USERS)
    stack.work_off()
    stack.portal.knobs = Knobs(hidden_users=tuple(map(int, USERS)))

    summary = stack.report_run()

    assert summary["counts"] == {"deleted": 4, "unknown": 2}
    assert {120, 121} <= stack.portal.user_ids()
    again = Machine(stack).execute({"mode": "apply", "resume": "run-1"}, "run-2")
    assert again["counts"] == {"deleted": 6}


def test_rule_3_whom_the_list_shows_and_a_look_too_becomes_unknown_and_its_record_is_withdrawn(
    stack: Stack,
) -> None:
    stack.portal.faults.script(Fault.ERROR_200, user_id=120)
    for _ in range(2):  # "gone" twice, although the user exists
        stack.portal.faults.script(Fault.OWN_404, method="GET", user_id=120, nth=2)

    summary = run(stack)

    assert summary["counts"] == {"deleted": 5, "unknown": 1}
    assert summary["succeeded"] is False
    row = rows(stack)["120"]
    assert row["outcome"] == "unknown"
    assert "a look shows it" in row["reason"]
    assert row["history"].startswith("deleted at ")
    # Naming the survivor by username works again: nothing says that it was deleted.
    by_name = stack.plan(["user0120"], "run-2")
    assert by_name["users"] == 1
    stack.end("run-2")
    again = Machine(stack).execute({"mode": "apply", "resume": "run-1"}, "run-3")
    assert again["counts"] == {"deleted": 6}


def test_a_cached_list_is_read_once_more_and_then_makes_the_outcome_doubtful(stack: Stack) -> None:
    stack.plan(USERS)
    stack.work_off()
    stack.portal.knobs = Knobs(stale_list=(120,))

    first = stack.report_run()

    assert (first["wait_seconds"], first["status"]) == (60, None)
    again = stack.report_run(list_doubted=first["list_doubted"])
    assert again["counts"] == {"deleted": 5, "unknown": 1}
    assert "in two lists a minute apart" in rows(stack)["120"]["reason"]


def test_a_list_that_was_cached_for_a_moment_changes_nothing(stack: Stack) -> None:
    stack.plan(USERS)
    stack.work_off()
    stack.portal.knobs = Knobs(stale_list=(120,))
    assert stack.report_run()["wait_seconds"] == 60
    stack.portal.knobs = Knobs()

    assert stack.report_run(list_doubted=True)["counts"] == {"deleted": 6}
    assert stack.ledger.users.deleted_before(["username:user0120"])


def test_a_short_last_list_claims_no_losses_and_has_everybody_looked_at_again(
    stack: Stack,
) -> None:
    stack.plan(USERS)
    stack.work_off()
    stack.portal.knobs = Knobs(list_limit=10)

    summary = stack.report_run()

    assert summary["counts"] == {"deleted": 6}
    report = stack.read_json("runs/run-1/report.json")
    assert report["unexplained_losses"] is None
    assert any("last list of users is incomplete" in warning for warning in report["warnings"])


# Absent only by a look


@pytest.mark.parametrize("mode", ["preview", "apply"])
def test_an_id_that_the_list_lacks_and_a_look_shows_refuses_the_run(
    stack: Stack, mode: str
) -> None:
    stack.portal.knobs = Knobs(hidden_users=(120,))

    with pytest.raises(RequestRefused, match="list of users is incomplete: it lacks user 120"):
        stack.plan(["118", "120"], mode=mode)

    assert stack.writes() == []


def test_an_id_that_the_portal_does_not_show_is_failed_and_refuses_nobody_else(
    stack: Stack,
) -> None:
    for _ in range(3):
        stack.portal.faults.script(Fault.FORBIDDEN, method="GET", user_id=9001)

    summary = run(stack, ["118", "9001"])

    assert summary["counts"] == {"deleted": 1, "failed": 1}
    assert "resume" not in summary["sentence"].partition("a resume")[0]


def test_an_error_of_the_portals_that_passes_fails_nobody(stack: Stack) -> None:
    stack.portal.faults.script(Fault.SERVER_ERROR, method="GET", user_id=9001)

    assert run(stack, ["118", "9001"])["counts"] == {"deleted": 1, "already_absent": 1}


def test_a_list_without_our_own_user_refuses_the_run(stack: Stack) -> None:
    stack.portal.knobs = Knobs(hidden_users=(101,))

    with pytest.raises(PortalAnswerUnusable, match="does not list the user that our token acts as"):
        stack.plan(["118"])


def test_an_id_in_the_secret_replaces_a_user_that_is_not_listed(stack: Stack) -> None:
    stack.portal.knobs = Knobs(hidden_users=(101,))
    stack.fill_credentials(user_id="101")

    assert stack.plan(["118"])["users"] == 1


def test_the_id_of_another_user_in_the_secret_refuses_the_run(stack: Stack) -> None:
    stack.fill_credentials(user_id="118")

    with pytest.raises(PortalAnswerUnusable, match="118 is not the one that our own token acts as"):
        stack.plan(["119"])


# Oneself


def test_our_own_user_is_kept_when_the_secret_calls_it_by_its_e_mail(stack: Stack) -> None:
    stack.portal.database.execute(
        "UPDATE user SET username = 'svc-api', email = ?, type = 'power' WHERE user_id = 102",
        (stack.portal.api_user,),
    )

    summary = run(stack, ["svc-api", "118"])

    assert summary["counts"] == {"deleted": 1, "skipped": 1}
    assert rows(stack)["svc-api"]["reason_kind"] == "self"
    assert stack.read_json("runs/run-1/plan.json")["self_ids"] == ["101", "102"]


def test_delete_user_keeps_our_own_user_by_its_id_whatever_its_name_is_now(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.table.update_item(
        Key={"pk": "run#run-1", "sk": "run"},
        UpdateExpression="SET self_ids = :ids",
        ExpressionAttributeValues={":ids": ["101", "118"]},
    )

    stack.delete_user(118, key)

    row = stack.row(118)
    assert row
    assert (row.outcome, row.reason_kind) == (Outcome.SKIPPED, "self")
    assert stack.writes() == []


# Control looks


@pytest.mark.parametrize(
    ("every_look", "said"),
    [("gone", "does not show it"), ("there", "which nobody has, does not say so")],
)
def test_looks_that_do_not_tell_who_is_there_refuse_the_run(
    stack: Stack, every_look: Any, said: str
) -> None:
    stack.portal.knobs = Knobs(every_look=every_look)

    with pytest.raises(PortalAnswerUnusable, match=said):
        stack.plan(["118"])
    with pytest.raises(PortalAnswerUnusable, match=said):
        stack.fetch_user_ids({"check": "portal"}, "check-1")
    with pytest.raises(PortalAnswerUnusable, match=said):
        stack.fetch_user_ids({"check": "population"}, "watch-1")

    assert stack.writes() == []


@pytest.mark.parametrize("gone_as", ["null_user", "empty_list", "error_200"])
def test_a_portals_own_way_to_say_nobody_is_learned(stack: Stack, gone_as: Any) -> None:
    stack.portal.knobs = Knobs(gone_as=gone_as)

    summary = run(stack, [*USERS, "9001"])

    assert summary["counts"] == {"deleted": 6, "already_absent": 1}


@pytest.mark.parametrize("status", [410, 404])
def test_the_portals_own_410_says_nobody_as_its_404_does(stack: Stack, status: int) -> None:
    stack.portal.knobs = Knobs(unknown_user_status=status)

    assert run(stack)["counts"] == {"deleted": 6}


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_no_other_answer_is_learned_as_nobody(stack: Stack, status: int) -> None:
    stack.portal.knobs = Knobs(unknown_user_status=status)

    with pytest.raises((BulkUserDeletionError, AssertionError)):  # always rejected, with 401
        stack.plan(["118"])

    assert stack.writes() == []


def test_a_learned_way_counts_only_while_our_own_user_is_shown(stack: Stack) -> None:
    stack.portal.knobs = Knobs(gone_as="null_user")
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.knobs = Knobs(gone_as="null_user", every_look="gone")

    progress = stack.delete_user(118, key)

    assert not progress["finished"]
    assert stack.row(118) is None


def test_gone_for_one_look_and_back_is_not_deleted(stack: Stack) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.knobs = Knobs(delete_mode="ignored")
    stack.portal.faults.script(Fault.OWN_404, method="GET", user_id=118, nth=3)

    stack.delete_until_finished(118, key)

    row = stack.row(118)
    assert row
    assert row.outcome is Outcome.UNKNOWN


# One user's problem affects only that user


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.SERVER_ERROR, Fault.ERROR_200])
def test_a_user_whom_the_portal_does_not_show_is_failed_and_the_others_go(
    stack: Stack, fault: Fault
) -> None:
    stack.portal.faults.rate(fault, 1.0, method="GET", user_id=120)

    summary = run(stack)

    assert summary["counts"] == {"deleted": 5, "failed": 1}
    assert "look: HTTP" in rows(stack)["120"]["reason"]


def test_a_portal_that_shows_nobody_any_more_stops_the_run(stack: Stack) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.faults.rate(Fault.FORBIDDEN, 1.0, method="GET")

    with pytest.raises(Exception, match="may not manage users"):
        stack.delete_user(118, key)

    found = stack.ledger.runs.read("run-1")
    assert found
    assert found.stop


def test_after_a_delete_a_user_that_is_not_shown_is_unknown(stack: Stack) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.knobs = Knobs(delete_mode="ignored")
    stack.delete_user(118, key)
    stack.portal.faults.rate(Fault.FORBIDDEN, 1.0, method="GET", user_id=118)

    stack.delete_until_finished(118, key)

    row = stack.row(118)
    assert row
    assert row.outcome is Outcome.UNKNOWN


def test_a_resumed_run_hands_out_whom_the_portal_refused_last(stack: Stack) -> None:
    stack.portal.faults.script(Fault.CONFLICT, user_id=118)
    stack.plan(["118", "119", "120"])
    key = stack.hand_out()["118"]
    stack.delete_until_finished(118, key)
    stack.report_run()

    stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "run-2")

    assert stack.read_json("runs/run-1/open-2.json") == ["119", "120", "118"]


# The portal's own words


def test_rule_6_the_portals_message_stands_in_its_row_and_nowhere_else(stack: Stack) -> None:
    stack.portal.knobs = Knobs(refusal="user0120 owns 12\x1b[31m elements\n" + "x" * 900)
    stack.portal.faults.script(Fault.CONFLICT, user_id=120)

    summary = run(stack)

    row = rows(stack)["120"]
    assert row["reason"] == "DELETE: HTTP 409; still there"
    assert row["portal_message"].startswith("user0120 owns 12 [31m elements xxx")
    assert len(row["portal_message"]) == 300
    assert "owns" not in str(summary)


def test_a_success_with_an_error_in_it_is_reported_as_such(stack: Stack) -> None:
    ignore_deletes_of(stack, 120)

    run(stack)

    row = rows(stack)["120"]
    assert row["reason"].startswith("DELETE: HTTP 200, but an error; still there")
    assert row["portal_message"] == "Something went wrong"


# After a refusal one look decides


@pytest.mark.parametrize("fault", [Fault.CONFLICT, Fault.BAD_REQUEST, Fault.OWN_404])
def test_after_the_portals_own_refusal_one_look_decides(stack: Stack, fault: Fault) -> None:
    stack.portal.faults.script(fault, user_id=118)
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.portal.requests.clear()

    progress = stack.delete_user(118, key)

    assert progress["finished"]
    row = stack.row(118)
    assert row
    assert row.outcome is Outcome.FAILED
    sent = [request.method for request in stack.portal.requests if request.user_id == 118]
    assert sent == ["GET", "DELETE", "GET"]


# Odd records


@pytest.mark.parametrize(
    "odd",
    [
        {"username": 4711},
        {"email": None},
        {"manager": {"username": "boss", "id": "7", "type": 3}},
        {"department": {"owner": {"username": 5}}},
        {"enabled": True},
        {"username": "half a pair \ud800"},
    ],
)
def test_a_record_that_is_text_in_all_but_its_type_is_read(
    stack: Stack, odd: dict[str, Any]
) -> None:
    stack.portal.knobs = Knobs(odd_records={120: odd})

    assert run(stack)["counts"] == {"deleted": 6}


@pytest.mark.parametrize("odd", [{"username": ...}, {"type": ...}, {"email": []}, {"type": " "}])
def test_an_incomplete_record_fails_its_own_user_and_nobody_else(
    stack: Stack, odd: dict[str, Any]
) -> None:
    stack.portal.knobs = Knobs(odd_records={120: odd, 125: odd})

    summary = run(stack)

    assert summary["counts"] == {"deleted": 5, "failed": 1}
    assert "user 120 lacks" in rows(stack)["120"]["reason"]
    assert {120, 125} <= stack.portal.user_ids()


def test_an_incomplete_record_still_makes_a_name_ambiguous(stack: Stack) -> None:
    stack.portal.database.execute(
        "UPDATE user SET email = 'user0118@example.com' WHERE user_id = 125"
    )
    stack.portal.knobs = Knobs(odd_records={125: {"type": ...}})

    run(stack, ["user0118@example.com"])

    assert rows(stack)["user0118@example.com"]["reason_kind"] == "ambiguous"


def test_a_record_without_an_id_refuses_the_run(stack: Stack) -> None:
    stack.portal.knobs = Knobs(odd_records={125: {"id": ...}})

    with pytest.raises(PortalAnswerUnusable, match="a user without an id"):
        stack.plan(["118"])


def test_rule_1_a_record_that_becomes_incomplete_fails_only_that_user(stack: Stack) -> None:
    stack.plan(["118", "119"])
    key = stack.hand_out()["118"]
    stack.portal.knobs = Knobs(odd_records={118: {"email": ...}})

    stack.delete_user(118, key)
    stack.delete_user(119, key)

    assert [row.outcome for row in map(stack.row, ["118", "119"]) if row] == [
        Outcome.FAILED,
        Outcome.DELETED,
    ]


# People who come back


def test_a_name_that_came_back_refuses_nobody_else(stack: Stack) -> None:
    Machine(stack).execute({"mode": "apply", "source": {"users": ["user0118"]}}, "run-0")
    stack.portal.database.execute(
        "INSERT INTO user (username, first_name, last_name, email)"
        " VALUES ('user0118', 'A', 'B', 'user0118@example.com')"
    )
    adapters.cache_clear()
    request = {"mode": "apply", "source": {"users": ["user0118", "user0119"]}}
    scheduled = {"scheduled_time": "2026-11-20T20:00:00Z", "request": request}

    summary = Machine(stack).execute(scheduled, "run-1")

    assert summary["counts"] == {"deleted": 1, "unresolved": 1}
    assert rows(stack)["user0118"]["reason_kind"] == "came_back"
    warnings = stack.read_json("runs/run-1/report.json")["warnings"]
    assert any("why they are back" in warning for warning in warnings)

"""The protected list and the breaker, where they take effect: in the functions."""

from collections.abc import Callable

import pytest

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.users import Outcome
from local.portal import Fault
from tests.functions.stack import Stack

LIST = "protected.csv"


@pytest.fixture
def protect(stack: Stack, set_parameter: Callable[[str, str], None]) -> Callable[[str], None]:
    """Put lines on the protected list."""
    set_parameter("PROTECTED_LIST", LIST)

    def write(lines: str) -> None:
        body = f"user,until,reason\n{lines}".encode()
        stack.s3.put_object(Bucket="data", Key=LIST, Body=body)

    write("")
    return write


def test_a_user_on_the_protected_list_is_planned_to_be_kept_with_a_warning(
    stack: Stack, protect: Callable[[str], None]
) -> None:
    protect("USER0118,,board\n")

    stack.plan(["118", "119"])

    plan = stack.read_json("runs/run-1/plan.json")
    assert [(row["outcome"], row["reason"]) for row in plan["entries"]] == [
        ("skipped", "protected: line 2 of the protected list"),
        ("would_delete", ""),
    ]
    assert "check where the list comes from" in plan["warnings"][0]


def test_rule_1_a_user_that_is_protected_since_the_plan_is_skipped(
    stack: Stack, protect: Callable[[str], None]
) -> None:
    stack.plan(["118", "119"])
    keys = stack.hand_out()
    protect("user0118@example.com,,board\n")

    for user_id, key in keys.items():
        stack.delete_until_finished(user_id, key)

    row = stack.row(118)
    assert row is not None
    assert (row.outcome, row.reason) == (
        Outcome.SKIPPED,
        "protected: line 2 of the protected list",
    )
    assert [request.user_id for request in stack.writes()] == [119]


def test_a_protected_list_that_is_missing_refuses_a_run_before_the_portal_is_called(
    stack: Stack, set_parameter: Callable[[str, str], None]
) -> None:
    set_parameter("PROTECTED_LIST", LIST)

    with pytest.raises(RequestRefused, match="missing or empty"):
        stack.plan(["118"])

    assert stack.portal.requests == []


def test_a_protected_list_that_becomes_malformed_during_a_run_stops_it(
    stack: Stack, protect: Callable[[str], None]
) -> None:
    stack.plan(["118"])
    key = stack.hand_out()["118"]
    stack.s3.put_object(Bucket="data", Key=LIST, Body=b"user\n")

    with pytest.raises(RequestRefused, match="Line 1 of the protected list"):
        stack.delete_user(118, key)

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert stack.writes() == []


def test_the_breaker_presses_the_stop_button_after_three_failures_in_a_row(stack: Stack) -> None:
    users = ["118", "119", "120", "121"]
    stack.plan(users)
    keys = stack.hand_out()
    stack.portal.faults.rate(Fault.CONFLICT, 1)

    for user_id in users:
        stack.delete_until_finished(user_id, keys[user_id])

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert run.stop.by == "breaker"
    assert "3 users in a row failed or are unknown, the last one 120" in run.stop.reason
    assert [request.user_id for request in stack.writes()] == [118, 119, 120]


def test_rule_5_every_user_that_is_sent_a_delete_counts_towards_the_cap_per_day_once(
    stack: Stack, set_parameter: Callable[[str, str], None]
) -> None:
    set_parameter("MAX_USERS_PER_DAY", "3")
    stack.plan(["118", "119"])
    stack.portal.faults.script(Fault.DEADLOCK, user_id=118)  # refused once: sent two DELETEs
    for user_id, key in stack.hand_out().items():
        stack.delete_until_finished(user_id, key)
    stack.end("run-1")

    with pytest.raises(RequestRefused, match="2 users were sent a DELETE in the last 24 hours"):
        stack.plan(["120", "121"], "run-2")
    stack.end("run-2")

    assert stack.plan(["120"], "run-3")["users"] == 1


def let_a_day_pass(stack: Stack) -> None:
    for intent in stack.table.query(
        KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": "intent"}
    )["Items"]:
        stack.table.delete_item(Key={"pk": intent["pk"], "sk": intent["sk"]})
        moment, _, rest = str(intent["sk"]).partition("#")
        yesterday = {**intent, "sk": f"{int(moment) - 24 * 3600 - 1:012}#{rest}"}
        stack.table.put_item(Item=yesterday)


def test_rule_5_what_was_deleted_more_than_a_day_ago_no_longer_counts(
    stack: Stack,
    set_parameter: Callable[[str, str], None],
) -> None:
    set_parameter("MAX_USERS_PER_DAY", "1")
    stack.plan(["118"])
    stack.delete_until_finished(118, stack.hand_out()["118"])
    stack.end("run-1")
    let_a_day_pass(stack)

    assert stack.plan(["119"], "run-2")["users"] == 1


def test_rule_5_a_user_that_is_deleted_after_a_resume_counts_towards_the_cap_of_that_day(
    stack: Stack, set_parameter: Callable[[str, str], None]
) -> None:
    set_parameter("MAX_USERS_PER_DAY", "2")
    stack.plan(["118", "119"])
    stack.portal.faults.script(Fault.CONFLICT)
    stack.portal.faults.script(Fault.CONFLICT)
    for user_id, key in stack.hand_out().items():
        stack.delete_until_finished(user_id, key)
    stack.report_run()
    let_a_day_pass(stack)

    stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, "resumed")
    for user_id, key in stack.hand_out().items():
        stack.delete_until_finished(user_id, key)
    assert stack.report_run()["counts"] == {"deleted": 2}

    with pytest.raises(RequestRefused, match="2 users were sent a DELETE in the last 24 hours"):
        stack.plan(["120"], "run-2")

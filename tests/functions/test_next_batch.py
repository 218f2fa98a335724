"""NextBatch: the canaries one by one, then the rest, unless the run was stopped."""

import pytest

from bulk_user_deletion.errors import RequestRefused, RunClosed
from bulk_user_deletion.models.users import Outcome
from tests.functions.stack import EXECUTIONS, Stack

USERS = [str(user_id) for user_id in range(110, 116)]


def users_of(stack: Stack, key: str) -> list[str]:
    return [user["user_id"] for user in stack.read_json(key)]


def end(stack: Stack, user_id: str, outcome: Outcome) -> None:
    stack.ledger.users.record_outcome("run-1", user_id, outcome, reason="", now=1)


def test_canaries_come_one_by_one_then_all_others(stack: Stack) -> None:
    stack.plan(USERS, options={"canary_users": 2})

    first = stack.next_batch(0)
    end(stack, "110", Outcome.DELETED)
    second = stack.next_batch(1)
    end(stack, "111", Outcome.DELETED)
    check = stack.next_batch(2)
    stack.check_losses(check)
    rest = stack.next_batch(2)
    nothing = stack.next_batch(3)

    assert users_of(stack, first["key"]) == ["110"]
    assert users_of(stack, second["key"]) == ["111"]
    assert (check["users"], check["check_losses"], check["is_canary"]) == (0, True, True)
    assert users_of(stack, rest["key"]) == USERS[2:]
    assert (nothing["users"], nothing["check_losses"]) == (0, False)


def test_a_canary_that_proves_nothing_is_replaced_by_the_next_user(stack: Stack) -> None:
    stack.plan(USERS, options={"canary_users": 2})

    handed_out = []
    for number, outcome in enumerate(
        [Outcome.ALREADY_ABSENT, Outcome.DELETED, Outcome.SKIPPED, Outcome.DELETED]
    ):
        batch = stack.next_batch(number)
        handed_out += users_of(stack, batch["key"])
        end(stack, handed_out[-1], outcome)

    assert handed_out == USERS[:4]
    assert stack.next_batch(4)["is_canary"]


@pytest.mark.parametrize("outcome", [Outcome.UNKNOWN, Outcome.FAILED, None])
def test_a_canary_that_was_not_deleted_stops_the_run(stack: Stack, outcome: Outcome | None) -> None:
    stack.plan(USERS, options={"canary_users": 2})
    stack.next_batch(0)
    if outcome:
        end(stack, "110", outcome)

    assert stack.next_batch(1)["users"] == 0

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    assert run.stop is not None
    assert run.stop.by == "canary"


@pytest.mark.parametrize(("started", "goes_on"), [("110", False), ("113", True)])
def test_a_batch_at_whose_end_no_user_was_started_stops_the_run_to_be_resumed(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, started: str, goes_on: bool
) -> None:
    monkeypatch.setattr("bulk_user_deletion.rules.batches.BATCH_SIZE", 4)
    stack.plan(USERS, options={"canary_users": 0})
    stack.next_batch(0)
    end(stack, started, Outcome.DELETED)

    assert stack.next_batch(1)["check_losses"] is goes_on

    run = stack.ledger.runs.read("run-1")
    assert run is not None
    if not goes_on:
        assert run.stop is not None
        assert run.stop.by == "NextBatch"
        assert "(111, 112, 113)" in run.stop.reason


def test_a_stopped_run_gets_no_further_batch(stack: Stack) -> None:
    stack.plan(USERS, options={"canary_users": 2})
    stack.ledger.runs.press_stop("run-1", reason="wrong list", by="night shift", now=1)

    assert stack.next_batch(0)["users"] == 0


def test_rule_7_a_step_that_is_retried_hands_out_the_same_users(stack: Stack) -> None:
    stack.plan(USERS, options={"canary_users": 2})

    assert stack.next_batch(0) == stack.next_batch(0)


def test_rule_1_a_refused_plan_is_not_handed_out(stack: Stack) -> None:
    with pytest.raises(RequestRefused):
        stack.plan(USERS, options={"max_users": 1})

    with pytest.raises(RunClosed):
        stack.next_batch(0)


def test_rule_7_a_closed_run_hands_out_nobody(stack: Stack) -> None:
    stack.plan(USERS, options={"canary_users": 2})
    stack.ledger.runs.close("run-1", EXECUTIONS + "run-1")

    with pytest.raises(RunClosed):
        stack.next_batch(0)


def test_rule_2_a_preview_hands_out_nobody(stack: Stack) -> None:
    stack.plan(USERS, mode="preview")

    with pytest.raises(RunClosed):
        stack.next_batch(0)

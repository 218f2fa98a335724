"""The ledger's conditions on outcomes: what may replace which, whoever writes."""

import time
from itertools import product

import pytest

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.users import Outcome, ReasonKind
from bulk_user_deletion.rules.identity import user_keys
from tests.builders import a_user
from tests.functions.stack import Stack

ENDS = [outcome for outcome in Outcome if not outcome.startswith("would_")]
DONE = {Outcome.DELETED, Outcome.DISABLED, Outcome.ENABLED}


@pytest.mark.parametrize(("first", "then"), list(product(ENDS, ENDS)))
def test_rule_3_an_outcome_is_replaced_only_if_it_is_unknown_and_only_by_what_a_request_did(
    stack: Stack, first: Outcome, then: Outcome
) -> None:
    assert stack.ledger.users.record_outcome("run-1", "118", first, reason="first", now=1)

    is_recorded = stack.ledger.users.record_outcome("run-1", "118", then, reason="then", now=2)

    assert is_recorded == (first is Outcome.UNKNOWN and then in DONE)
    row = stack.row(118)
    assert row
    assert (row.outcome, row.reason) == ((then, "then") if is_recorded else (first, "first"))


def test_rule_7_an_outcome_is_recorded_only_for_the_deletes_that_its_writer_knows_of(
    stack: Stack,
) -> None:
    stack.plan(["118"])
    stack.cut_off("118", for_seconds=200)
    ended = stack.ledger.users.record_outcome

    assert not ended("run-1", "118", Outcome.ALREADY_ABSENT, reason="", now=1, attempts=0)
    assert ended("run-1", "118", Outcome.DELETED, reason="", now=1, attempts=1)


@pytest.mark.parametrize("recorded_by", ["run-1", "run-2"])
def test_an_outcome_that_is_taken_back_takes_along_its_own_record_of_the_deletion_alone(
    stack: Stack, recorded_by: str
) -> None:
    user = a_user(118)
    for run_id in ("run-1", recorded_by):
        stack.ledger.users.record_outcome(
            run_id, "118", Outcome.DELETED, reason="", now=1, gone=user, portal_url="x"
        )
    row = stack.row(118)
    assert row

    assert stack.ledger.users.take_back_outcome(
        "run-1", row, user, reason="seen", kind=ReasonKind.LISTED_AGAIN, now=2
    )

    row = stack.row(118)
    assert row
    assert (row.outcome, row.reason) == (Outcome.UNKNOWN, "seen")
    assert [past.outcome for past in row.history] == [Outcome.DELETED]
    on_record = stack.ledger.users.deleted_before(user_keys(user))
    assert on_record == (set() if recorded_by == "run-1" else set(user_keys(user)))


def test_an_intent_is_found_by_its_run_its_kind_and_its_time(stack: Stack) -> None:
    stack.plan(["118", "119"])
    stack.cut_off("118", for_seconds=200)
    now, users = int(time.time()), stack.ledger.users

    def found(run_id: str, action: Action, since: int) -> tuple[list[str], int]:
        of_run = list(users.intents_of(run_id, action, since=since))
        return of_run, users.count_intents(action, since=since)

    assert found("run-1", Action.DELETE, now - 60) == (["118"], 1)
    assert found("run-2", Action.DELETE, now - 60) == ([], 1)
    assert found("run-1", Action.DISABLE, now - 60) == ([], 0)
    assert found("run-1", Action.DELETE, now + 60) == ([], 0)

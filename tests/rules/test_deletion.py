"""One user's deletion, decision by decision."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.names import fold
from bulk_user_deletion.models.users import (
    Outcome,
    PortalUser,
    ReasonKind,
    UserRow,
    UserState,
    Why,
)
from bulk_user_deletion.rules.decisions import End, LookAgain, Send
from bulk_user_deletion.rules.deletion import (
    MAX_ATTEMPTS,
    decide,
    leases_left,
    pace_wait,
    reason_to_keep,
    retry_wait,
    settle_wait,
)
from tests.builders import API_USER, TODAY, a_row, a_user, protected_by, users

PLANNED = a_user(118, "jdoe", email="jdoe@example.com")

# Right before the DELETE


def why_kept(planned: PortalUser, found: PortalUser) -> str:
    why = reason_to_keep(
        planned, found, action=Action.DELETE, protected=protected_by(), today=TODAY
    )
    return why.text if why else ""


@pytest.mark.parametrize(
    "now",
    [
        {},
        {"username": "JDoe"},
        {"email": " JDOE@example.com"},
        {"enabled": "N"},
        {"ldap": "Y"},
        {"type": "power"},
    ],
)
def test_rule_1_a_user_that_is_who_the_plan_says_may_be_deleted(now: dict[str, str]) -> None:
    assert why_kept(PLANNED, replace(PLANNED, **now)) == ""


@pytest.mark.parametrize(
    ("now", "reason"),
    [
        ({"user_id": "119"}, "changed_since_plan: id no longer as planned"),
        ({"username": "asmith"}, "changed_since_plan: username no longer as planned"),
        ({"username": ""}, "changed_since_plan: username no longer as planned"),
        ({"email": "asmith@example.com"}, "changed_since_plan: email no longer as planned"),
        ({"email": ""}, "changed_since_plan: email no longer as planned"),
        (
            {"username": "asmith", "email": "asmith@example.com"},
            "changed_since_plan: username and email no longer as planned",
        ),
        ({"type": "administrator"}, "administrator"),
        ({"username": "JDOE", "type": "Administrator"}, "administrator"),
    ],
)
def test_rule_1_a_user_that_changed_or_became_protected_is_kept(
    now: dict[str, str], reason: str
) -> None:
    assert why_kept(PLANNED, replace(PLANNED, **now)) == reason


def test_rule_1_a_user_that_was_enabled_again_since_the_plan_is_kept() -> None:
    disabled, enabled = replace(PLANNED, enabled="N"), replace(PLANNED, enabled="Y")

    assert why_kept(disabled, enabled) == "changed_since_plan: enabled again since the plan"
    assert why_kept(enabled, disabled) == why_kept(disabled, disabled) == ""


def test_rule_1_a_user_that_our_token_acts_as_by_now_is_kept() -> None:
    why = reason_to_keep(
        PLANNED, PLANNED, action=Action.DELETE, protected=protected_by(api_user="JDoe"), today=TODAY
    )

    assert why
    assert why.kind is ReasonKind.SELF


@given(users, users)
def test_rule_1_only_the_planned_person_may_be_deleted(before: PortalUser, now: PortalUser) -> None:
    if not why_kept(before, now):
        assert now.user_id == before.user_id
        assert fold(now.username) == fold(before.username) != API_USER
        assert fold(now.email) == fold(before.email)
        assert fold(now.type) != "administrator"


def test_rule_6_the_reason_names_columns_but_no_users() -> None:
    found = replace(PLANNED, username="asmith", email="asmith@example.com")
    reason = why_kept(PLANNED, found)

    assert "jdoe" not in reason
    assert "asmith" not in reason


# What a look at the user leads to

KEEP = Why(ReasonKind.CHANGED_SINCE_PLAN, "changed_since_plan: id no longer as planned")


@pytest.mark.parametrize("row", [None, a_row(UserState.REFUSED)])
def test_rule_1_before_a_delete_a_user_who_is_kept_is_skipped_and_any_other_is_sent_one(
    row: UserRow | None,
) -> None:
    assert decide(row, keep=None) == Send()
    assert decide(row, keep=KEEP) == End(Outcome.SKIPPED, KEEP.text, KEEP.kind)


@pytest.mark.parametrize("state", [UserState.INTENT, UserState.SETTLING, UserState.DECLINED])
def test_rule_4_whoever_is_somebody_else_after_our_delete_is_unknown(state: UserState) -> None:
    ended = decide(a_row(state), keep=KEEP)

    assert ended == End(Outcome.UNKNOWN, f"after the DELETE: {KEEP.text}", KEEP.kind)


@pytest.mark.parametrize("state", [UserState.INTENT, UserState.SETTLING])
def test_rule_4_a_user_who_is_there_after_our_delete_is_looked_at_again(state: UserState) -> None:
    assert decide(a_row(state), keep=None) == LookAgain("still there")


def test_a_user_who_is_there_after_a_refused_delete_is_failed() -> None:
    row = a_row(UserState.DECLINED, reason="DELETE: HTTP 409")

    assert decide(row, keep=None) == End(Outcome.FAILED, "DELETE: HTTP 409; still there")


# After the DELETE


def settle(delete_seconds: int) -> list[int]:
    """Look at a user that is never gone, until settling is over; return the waits between looks."""
    row = a_row(UserState.SETTLING, delete_seconds=delete_seconds)
    waits: list[int] = []
    while (wait := settle_wait(row)) is not None:
        waits.append(wait)
        row = replace(row, looks=row.looks + 1, waited=row.waited + wait)
    return waits


def test_rule_4_looks_come_quickly_at_first_then_every_minute() -> None:
    assert settle(delete_seconds=0) == [5, 10, 20, 40, 60, 60, 60, 45]


@pytest.mark.parametrize(
    ("delete_seconds", "settle_seconds"),
    [(0, 300), (60, 300), (100, 300), (101, 303), (180, 540)],
)
def test_rule_4_a_user_settles_three_times_its_delete_and_five_minutes_at_least(
    delete_seconds: int, settle_seconds: int
) -> None:
    assert sum(settle(delete_seconds)) == settle_seconds


@given(st.integers(0, 3_600))
def test_rule_4_settling_ends_and_never_early(delete_seconds: int) -> None:
    waits = settle(delete_seconds)

    assert sum(waits) == max(300, 3 * delete_seconds)
    assert all(1 <= wait <= 60 for wait in waits)


def test_rule_4_looks_without_a_wait_do_not_use_the_settle_time_up() -> None:
    assert settle_wait(a_row(UserState.SETTLING, looks=1_000, waited=0)) == 60


# After a definite refusal


@pytest.mark.parametrize(
    ("attempts", "retry_after", "wait"),
    [
        (1, None, 20),
        (2, None, 40),
        (4, None, 160),
        (1, 7, 7),
        (1, 0, 0),
        (4, 3_600, 3_600),
        (1, 999_999, 999_999),
        (MAX_ATTEMPTS, None, None),
        (MAX_ATTEMPTS, 7, None),
        (MAX_ATTEMPTS + 1, None, None),
    ],
)
def test_a_refused_delete_is_retried_later_and_only_a_few_times(
    attempts: int, retry_after: int | None, wait: int | None
) -> None:
    assert retry_wait(attempts, retry_after) == wait


# The pause after each user


@pytest.mark.parametrize(
    ("row", "seconds_since", "wait"),
    [
        (a_row(UserState.DONE, Outcome.DELETED, answered_at=1_000), 0, 60),
        (a_row(UserState.DONE, Outcome.DELETED, answered_at=1_000), 25, 35),
        (a_row(UserState.DONE, Outcome.DELETED, answered_at=1_000), 60, 0),
        (a_row(UserState.DONE, Outcome.DELETED, answered_at=1_000), 500, 0),
        (a_row(UserState.DONE, Outcome.UNKNOWN, answered_at=1_000), 10, 50),
        (a_row(UserState.DONE, Outcome.FAILED, answered_at=1_000), 10, 50),
        # No DELETE was answered: the portal has nothing to recover from.
        (a_row(UserState.DONE, Outcome.SKIPPED, attempts=0), 0, 0),
        (a_row(UserState.INTENT), 0, 0),
        (a_row(UserState.SETTLING, answered_at=1_000), 0, 0),
        (a_row(UserState.REFUSED, answered_at=1_000), 0, 0),
    ],
)
def test_the_pause_is_counted_from_the_deletes_answer(
    row: UserRow, seconds_since: int, wait: int
) -> None:
    assert pace_wait(row, wait_seconds=60, now=1_000 + seconds_since) == wait


@given(st.sampled_from(UserState), st.integers(0, 4_000), st.integers(0, 4_000))
def test_no_pause_is_negative(state: UserState, wait_seconds: int, since: int) -> None:
    row = a_row(state, answered_at=1_000)

    assert 0 <= pace_wait(row, wait_seconds=wait_seconds, now=1_000 + since) <= wait_seconds


def test_leases_are_left_until_the_last_function_that_may_be_deleting_has_ended() -> None:
    deleting = [
        UserRow("118", UserState.INTENT, lease_until=1000),
        UserRow("119", UserState.INTENT, lease_until=1200),
        UserRow("120", UserState.SETTLING, lease_until=9000),
    ]

    assert leases_left(deleting, now=1150) == 51
    assert leases_left(deleting, now=1200) == 1
    assert leases_left(deleting, now=1201) == 0
    assert leases_left([], now=1150) == 0

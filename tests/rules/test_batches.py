"""How a plan's users are handed out: the canaries one by one, then batches."""

from itertools import count, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models import Outcome, UserRow, UserState
from bulk_user_deletion.rules.batches import BATCH_SIZE, batch_range, canary_problem
from tests.builders import a_row


def handed_out(*, canary_users: int, users: int) -> list[range]:
    """Ask for one batch after the other, until an empty one ends the loop."""
    batches = (batch_range(n, canary_users=canary_users, users=users) for n in count(1))
    return list(takewhile(len, batches))


@pytest.mark.parametrize(
    ("canary_users", "users", "sizes"),
    [
        (2, 0, []),
        (2, 1, [1]),
        (2, 2, [1, 1]),
        (2, 3, [1, 1, 1]),
        (2, 102, [1, 1, 100]),
        (2, 103, [1, 1, 100, 1]),
        (0, 100, [100]),
        (0, 101, [100, 1]),
        (0, 1, [1]),
        (5, 3, [1, 1, 1]),
    ],
)
def test_canaries_come_one_by_one_then_all_others_in_hundreds(
    canary_users: int, users: int, sizes: list[int]
) -> None:
    assert [len(batch) for batch in handed_out(canary_users=canary_users, users=users)] == sizes


@given(canary_users=st.integers(0, 300), users=st.integers(0, 1_500))
def test_rule_7_every_user_is_handed_out_exactly_once_and_in_order(
    canary_users: int, users: int
) -> None:
    batches = handed_out(canary_users=canary_users, users=users)

    assert [index for batch in batches for index in batch] == list(range(users))
    assert all(len(batch) == 1 for batch in batches[:canary_users])
    assert all(len(batch) <= BATCH_SIZE for batch in batches)


@given(canary_users=st.integers(0, 20), users=st.integers(0, 500), later=st.integers(1, 10))
def test_after_the_last_batch_there_is_nobody_left_however_often_one_asks(
    canary_users: int, users: int, later: int
) -> None:
    number = len(handed_out(canary_users=canary_users, users=users)) + later

    assert not batch_range(number, canary_users=canary_users, users=users)


@pytest.mark.parametrize("outcome", [Outcome.DELETED, Outcome.ALREADY_ABSENT])
def test_after_a_canary_that_is_gone_the_rest_may_follow(outcome: Outcome) -> None:
    assert canary_problem([a_row(UserState.DONE, outcome)]) == ""


@pytest.mark.parametrize(
    "outcome", [outcome for outcome in Outcome if outcome not in {"deleted", "already_absent"}]
)
def test_after_a_canary_that_is_not_gone_the_rest_does_not_follow(outcome: Outcome) -> None:
    gone = a_row(UserState.DONE, Outcome.DELETED)

    assert canary_problem([gone, a_row(UserState.DONE, outcome)]) == (
        f"canary user 118 ended {outcome}, not deleted"
    )


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (None, "not begun ended not_attempted"),
        (a_row(UserState.INTENT), "user 118 ended unknown"),
        (a_row(UserState.SETTLING), "user 118 ended unknown"),
        (a_row(UserState.REFUSED), "user 118 ended unknown"),
    ],
)
def test_after_a_canary_without_an_outcome_the_rest_does_not_follow(
    row: UserRow | None, said: str
) -> None:
    assert said in canary_problem([row])


def test_without_canaries_nothing_stands_in_the_way() -> None:
    assert canary_problem([]) == ""

"""How a plan's users are handed out: the canaries one by one, then batches."""

from itertools import count, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.users import Outcome, ReasonKind, UserRow, UserState
from bulk_user_deletion.rules.batches import BATCH_SIZE, Canaries, batch_range, canaries
from tests.builders import a_row


def handed_out(*, singles: int, users: int) -> list[range]:
    """Request one batch after another, until an empty one ends the loop."""
    batches = (batch_range(n, singles=singles, users=users) for n in count(1))
    return list(takewhile(len, batches))


@pytest.mark.parametrize(
    ("singles", "users", "sizes"),
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
    singles: int, users: int, sizes: list[int]
) -> None:
    assert [len(batch) for batch in handed_out(singles=singles, users=users)] == sizes


@given(singles=st.integers(0, 300), users=st.integers(0, 1_500))
def test_rule_7_every_user_is_handed_out_exactly_once_and_in_order(
    singles: int, users: int
) -> None:
    batches = handed_out(singles=singles, users=users)

    assert [index for batch in batches for index in batch] == list(range(users))
    assert all(len(batch) == 1 for batch in batches[:singles])
    assert all(len(batch) <= BATCH_SIZE for batch in batches)


@given(singles=st.integers(0, 20), users=st.integers(0, 500), later=st.integers(1, 10))
def test_after_the_last_batch_no_users_are_left_however_often_it_is_asked_for(
    singles: int, users: int, later: int
) -> None:
    number = len(handed_out(singles=singles, users=users)) + later

    assert not batch_range(number, singles=singles, users=users)


GONE = a_row(UserState.DONE, Outcome.DELETED)
ABSENT = a_row(UserState.DONE, Outcome.ALREADY_ABSENT)
SKIPPED = a_row(UserState.DONE, Outcome.SKIPPED, reason_kind=ReasonKind.PROTECTED)
CHANGED = a_row(UserState.DONE, Outcome.SKIPPED, reason_kind=ReasonKind.CHANGED_SINCE_PLAN)


def judged(*rows: UserRow | None, wanted: int = 2) -> Canaries:
    return canaries(rows, action=Action.DELETE, handed_out=len(rows), wanted=wanted)


def test_canaries_that_are_gone_are_enough() -> None:
    assert judged(GONE, GONE) == Canaries(2, is_enough=True)
    assert judged(GONE) == Canaries(1, is_enough=False)
    assert judged(wanted=0) == Canaries(0, is_enough=True)


@pytest.mark.parametrize("nothing", [ABSENT, SKIPPED, CHANGED])
def test_a_canary_that_proves_nothing_is_replaced_by_the_next_user(nothing: UserRow) -> None:
    assert judged(nothing, GONE) == Canaries(2, is_enough=False)
    assert judged(nothing, GONE, GONE) == Canaries(3, is_enough=True)


def test_a_canary_is_replaced_ten_times_at_most() -> None:
    assert judged(*[ABSENT] * 10, GONE, GONE).is_enough
    assert "prove nothing: 11 users" in judged(*[ABSENT] * 11).problem


def test_three_canaries_that_changed_since_the_plan_stop_the_run() -> None:
    assert judged(CHANGED, CHANGED, GONE, GONE).is_enough
    assert "3 of 4 users changed since the plan" in judged(CHANGED, CHANGED, GONE, CHANGED).problem


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.UNKNOWN])
def test_after_a_canary_that_was_not_deleted_nobody_follows(outcome: Outcome) -> None:
    problem = judged(GONE, a_row(UserState.DONE, outcome)).problem

    assert problem == f"canary user 118 ended {outcome}, not deleted"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (None, "not started ended not_attempted"),
        (a_row(UserState.INTENT), "user 118 ended unknown"),
        (a_row(UserState.SETTLING), "user 118 ended unknown"),
        (a_row(UserState.DECLINED), "user 118 ended unknown"),
        (a_row(UserState.REFUSED), "user 118 ended unknown"),
    ],
)
def test_after_a_canary_without_an_outcome_nobody_follows(row: UserRow | None, said: str) -> None:
    assert said in judged(row).problem


rows = st.lists(st.sampled_from([GONE, ABSENT, SKIPPED, CHANGED]), max_size=40)


@given(rows=rows, wanted=st.integers(0, 20))
def test_rule_7_what_the_canaries_showed_is_the_same_however_many_were_handed_out_since(
    rows: list[UserRow], wanted: int
) -> None:
    enough = [judged(*rows[:number], wanted=wanted).is_enough for number in range(len(rows) + 1)]
    if any(enough):
        first = enough.index(True)
        assert all(enough[first:])
        for number in range(first, len(rows) + 1):
            assert judged(*rows[:number], wanted=wanted) == Canaries(first, is_enough=True)
        assert rows[:first].count(GONE) == wanted

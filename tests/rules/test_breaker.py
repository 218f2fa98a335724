"""When a run presses its own stop button."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.models.users import Outcome, UserRow, UserState
from bulk_user_deletion.rules.breaker import breaker_problem
from tests.builders import a_row

D, F, U, S, A = (
    Outcome.DELETED,
    Outcome.FAILED,
    Outcome.UNKNOWN,
    Outcome.SKIPPED,
    Outcome.ALREADY_ABSENT,
)


def rows(*outcomes: Outcome) -> list[UserRow]:
    """Users that ended one after another."""
    return [
        a_row(UserState.DONE, outcome, user_id=str(200 + at), ended_at=1_000 + at)
        for at, outcome in enumerate(outcomes)
    ]


@pytest.mark.parametrize("outcomes", [(F, F, F), (U, U, U), (F, U, F), (D, D, D, F, F, F)])
def test_three_bad_ends_in_a_row_trip_it(outcomes: tuple[Outcome, ...]) -> None:
    assert "3 users in a row" in breaker_problem(rows(*outcomes))


@pytest.mark.parametrize(
    "outcomes", [(), (F,), (F, F), (F, F, D, F, F), (D, D, F), (F, S, F), (F, A, U)]
)
def test_fewer_do_not(outcomes: tuple[Outcome, ...]) -> None:
    assert breaker_problem(rows(*outcomes)) == ""


def test_a_fifth_of_ten_and_more_trips_it() -> None:
    assert breaker_problem(rows(D, D, D, F, D, D, D, D, D, F)) == (
        "2 of 10 users failed or are unknown"
    )
    assert breaker_problem(rows(D, D, D, F, D, D, D, D, F)) == ""  # nine are too few
    assert breaker_problem(rows(D, D, D, F, D, D, D, D, D, D, F)) == ""  # 18 %
    nearly = [D, D, D, D, F] * 5 + [D]
    assert breaker_problem(rows(*nearly)) == ""  # 19.2 %
    assert breaker_problem(rows(*nearly[:-1])) == "5 of 25 users failed or are unknown"


def test_users_that_have_not_ended_do_not_count() -> None:
    under_way = [a_row(UserState.INTENT, user_id="1"), a_row(UserState.SETTLING, user_id="2")]

    assert breaker_problem([*rows(F, F), *under_way]) == ""


@given(st.lists(st.sampled_from([D, F, U, S, A])), st.randoms(use_true_random=False))
def test_the_order_in_which_the_rows_are_read_does_not_matter(
    outcomes: list[Outcome], random: object
) -> None:
    ended = rows(*outcomes)
    shuffled = list(ended)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    assert breaker_problem(shuffled) == breaker_problem(ended)


@given(st.lists(st.sampled_from([D, S, A])))
def test_a_run_without_a_bad_end_goes_on(outcomes: list[Outcome]) -> None:
    assert breaker_problem(rows(*outcomes)) == ""

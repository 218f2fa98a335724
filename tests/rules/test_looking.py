"""How a portal says that nobody has an id."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.rules.answers import Answer, Transport
from bulk_user_deletion.rules.looking import (
    gone_shape,
    ids_that_nobody_holds,
    is_plain,
    says_gone,
)


def error(message: str = "User not found") -> dict[str, Any]:
    return {"status": "ERROR", "message": message}


@pytest.mark.parametrize(
    ("answer", "shape"),
    [
        (Answer(404, error()), "own_404"),
        (Answer(410, error()), "own_410"),
        (Answer(200, {"user": None}), "null_user"),
        (Answer(200, []), "empty_list"),
    ],
)
def test_the_ways_to_say_nobody_are_a_fixed_table(answer: Answer, shape: str) -> None:
    assert gone_shape(answer) == shape


NOT_ERRORS: list[Any] = [None, [], {}, {"user": None}]
NOT_USERS: list[Any] = [None, {}, [{}], "", 0, False, {"users": None}]
NOT_A_USER: list[Any] = [{}, [], "", {"id": "118"}, False]


@pytest.mark.parametrize(
    "answer",
    [
        *(Answer(status, body) for status in (404, 410) for body in NOT_ERRORS),
        *(Answer(status, error()) for status in (201, 204, 302, 400, 401, 403, 412, 429, 500, 503)),
        *(Answer(status, []) for status in (201, 204, 500)),
        *(Answer(200, body) for body in NOT_USERS),
        *(Answer(200, {"user": user}) for user in NOT_A_USER),
        *(Answer(None, transport=transport) for transport in Transport),
    ],
    ids=lambda answer: f"{answer.status} {answer.body}",
)
def test_rule_4_nothing_else_says_nobody(answer: Answer) -> None:
    assert gone_shape(answer) == ""
    assert not says_gone(answer, learned="")


def test_an_error_with_200_is_known_again_by_its_words_and_not_by_its_numbers() -> None:
    first, same, other = (
        gone_shape(Answer(200, error(message)))
        for message in ("No user 4711", "No user 118", "Try again later")
    )

    assert first == same != other
    assert first.startswith("error:")
    assert "user" not in first


@pytest.mark.parametrize("status", [404, 410])
def test_the_portals_own_404_and_410_need_not_be_learned(status: int) -> None:
    answer = Answer(status, error())

    assert is_plain(gone_shape(answer))
    assert says_gone(answer, learned="")


@pytest.mark.parametrize("body", [{"user": None}, [], error()])
def test_rule_4_any_other_way_counts_only_where_it_was_learned(body: Any) -> None:
    answer = Answer(200, body)

    assert not is_plain(gone_shape(answer))
    assert says_gone(answer, learned=gone_shape(answer))
    assert not says_gone(answer, learned="")
    assert not says_gone(answer, learned="own_404")


@given(st.sets(st.integers(1, 60) | st.integers(2**31 - 20, 2**31 + 20)))
def test_control_looks_ask_for_two_ids_that_nobody_holds(taken: set[int]) -> None:
    one, other = map(int, ids_that_nobody_holds({str(user_id) for user_id in taken}))

    assert one != other
    assert not {one, other} & taken
    assert all(0 < user_id < 2**31 for user_id in (one, other))


def test_control_looks_ask_far_above_the_highest_id() -> None:
    assert ids_that_nobody_holds({"7", "1001"}) == ("1073742324", "1073742323")
    assert ids_that_nobody_holds({"5", str(2**40)}) == ("1073741826", "1073741825")
    assert ids_that_nobody_holds({str(2**31 - 1)}) == ("2147483646", "2147483645")
    assert ids_that_nobody_holds(set()) == ("1073741823", "1073741822")

"""Words for people: counts with their nouns, ids and lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.rules.text import counted, lines_of, some


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 leavers are"), (1, "1 leaver is"), (2, "2 leavers are")]
)
def test_one_is_told_in_the_singular_and_everything_else_in_the_plural(
    number: int, said: str
) -> None:
    assert counted(number, "leaver is", "leavers are") == said


def test_an_s_makes_the_plural_where_none_is_given() -> None:
    assert (counted(1, "user"), counted(12, "user")) == ("1 user", "12 users")


def test_lines_of_a_file_are_told_in_their_number() -> None:
    assert (lines_of([3]), lines_of([3, 7])) == ("line 3", "lines 3, 7")


@given(st.lists(st.integers().map(str), min_size=1), st.integers(1, 30))
def test_a_long_list_is_cut_and_says_so(ids: list[str], most: int) -> None:
    said = some(ids, most=most)

    assert said.endswith(", …") == (len(ids) > most)
    assert said.removesuffix(", …").split(", ") == ids[:most]

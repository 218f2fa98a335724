"""A throttled table, which returns some of the requested keys and leaves others unprocessed."""

from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.errors import StoreUnavailable
from bulk_user_deletion.ledger import table as module
from bulk_user_deletion.ledger.users import Users


class ThrottledTable:
    """DynamoDB's client, which returns some of the keys of each batch at first, then all."""

    def __init__(self, answered: list[int]) -> None:
        self.answered = list(answered)
        self.asked: list[int] = []
        self.waits: list[float] = []

    def batch_get_item(self, RequestItems: dict[str, Any]) -> dict[str, Any]:  # noqa: N803
        [(table, request)] = RequestItems.items()
        keys = request["Keys"]
        number = min(self.answered.pop(0), len(keys)) if self.answered else len(keys)
        self.asked.append(len(keys))
        unread = {table: {"Keys": keys[number:]}} if keys[number:] else {}
        return {"Responses": {table: keys[:number]}, "UnprocessedKeys": unread}

    def deleted(self, keys: set[str]) -> set[str]:
        """Ask the ledger which of these users were deleted: here, all of them."""
        table = module.Table("table", kept_seconds=0)
        with (
            patch.object(table, "_client", self),
            patch.object(module, "sleep", self.waits.append),
            patch.object(module, "uniform", lambda _, most: most),
        ):
            return Users(table).deleted_before(keys)


@pytest.fixture(scope="module", autouse=True)
def _region() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield


@given(
    keys=st.sets(st.text(), max_size=300),
    answered=st.lists(st.integers(0, 100), max_size=module._MAX_UNPROCESSED),
)
def test_every_key_is_answered_in_the_end_however_many_are_left_at_first(
    keys: set[str], answered: list[int]
) -> None:
    table = ThrottledTable(answered)

    assert table.deleted(keys) == keys
    assert all(number <= 100 for number in table.asked)
    assert len(table.waits) <= len(answered)


def test_it_waits_twice_as_long_each_time_and_gives_up_in_the_end() -> None:
    table = ThrottledTable([0] * 100)

    with pytest.raises(StoreUnavailable, match="keys are left unprocessed"):
        table.deleted({"118"})

    assert len(table.waits) == module._MAX_UNPROCESSED
    assert [later / sooner for sooner, later in pairwise(table.waits)] == [2] * 7
    assert sum(table.waits) < 15


def test_a_table_that_answers_for_all_is_asked_again_at_once() -> None:
    table = ThrottledTable([])

    table.deleted({str(n) for n in range(250)})

    assert (table.asked, table.waits) == ([100, 100, 50], [])

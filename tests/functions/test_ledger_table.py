"""The ledger's table: what each write does to a row, and when its condition prevents it."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from bulk_user_deletion.errors import StoreUnavailable
from bulk_user_deletion.ledger.table import (
    EXISTS,
    IS_NEW,
    Condition,
    Table,
    check,
    delete,
    put,
    update,
)

KEY, OTHER = ("pk", "sk"), ("pk", "other")

# Including words that DynamoDB reserves, and one that starts with another.
NAMES = ["state", "until", "name", "count", "state_of"]
values = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9), max_size=3)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        names = ("pk", "sk")
        boto3.client("dynamodb").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": name, "KeyType": kind}  # type: ignore[typeddict-item]
                for name, kind in zip(names, ("HASH", "RANGE"), strict=True)
            ],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        )
        yield Table("ledger", kept_seconds=1)


def holds(table: Table, row: dict[str, Any] | None, key: tuple[str, str] = KEY) -> None:
    """Set a row to its state before a write."""
    table.write("Deleting", delete(key, IS_NEW | EXISTS))
    if row is not None:
        table.write("Putting", put(key, row))


def row_of(table: Table, key: tuple[str, str] = KEY) -> dict[str, Any] | None:
    row = dict(table.get("Reading", key))
    return {name: row[name] for name in row if name not in {"pk", "sk"}} if row else None


@settings(max_examples=60, deadline=None)
@given(before=st.none() | values, data=st.data())
def test_an_update_sets_adds_appends_and_removes_what_it_says_and_nothing_else(
    table: Table, before: dict[str, Any] | None, data: st.DataObject
) -> None:
    names = data.draw(st.permutations(NAMES))
    ends = sorted(data.draw(st.tuples(*[st.integers(0, len(NAMES))] * 4)))
    replace, once, add, remove = (names[start:end] for start, end in pairwise([0, *ends]))
    is_listed = data.draw(st.booleans())
    condition = data.draw(
        st.sampled_from([None, IS_NEW, EXISTS, Condition("#state = :was", was=3)])
    )
    holds(table, before)

    is_held = table.write(
        "Writing",
        update(
            KEY,
            {"written": True} | dict.fromkeys(replace, 5),
            condition,
            once=dict.fromkeys(once, 6),
            add=dict.fromkeys(add, 7),
            remove=remove,
            append={"list": [8]} if is_listed else {},
        ),
    )

    assert is_held is {
        None: True,
        IS_NEW: before is None,
        EXISTS: before is not None,
    }.get(condition, (before or {}).get("state") == 3)
    if not is_held:
        assert row_of(table) == before
        return
    was = before or {}
    assert row_of(table) == {
        **{name: value for name, value in was.items() if name not in remove},
        "written": True,
        **dict.fromkeys(replace, 5),
        **{name: was.get(name, 6) for name in once},
        **{name: was.get(name, 0) + 7 for name in add},
        **({"list": [8]} if is_listed else {}),
    }


def test_what_is_appended_follows_what_was_there(table: Table) -> None:
    holds(table, {"list": [1]})

    table.write("Writing", update(KEY, append={"list": [2, 3]}))

    assert row_of(table) == {"list": [1, 2, 3]}


_IS_ONE = Condition("#state = :one", one=1)
_IS_TWO = Condition("#state = :two", two=2)


@pytest.mark.parametrize("state", [None, 1, 2, 3])
@pytest.mark.parametrize(
    ("condition", "held_by"),
    [
        (IS_NEW | _IS_ONE, [None, 1]),
        ((IS_NEW | _IS_ONE) & (EXISTS | _IS_TWO), [1]),
        (IS_NEW | _IS_ONE | _IS_TWO & EXISTS, [None, 1, 2]),
    ],
)
def test_conditions_are_joined_as_wholes(
    table: Table, condition: Condition, held_by: list[int | None], state: int | None
) -> None:
    holds(table, None if state is None else {"state": state})

    assert table.write("Writing", put(KEY, {"state": 9}, condition)) is (state in held_by)


def test_two_conditions_that_use_the_same_value_name_cannot_be_joined() -> None:
    with pytest.raises(TypeError, match="was"):
        Condition("#state = :was", was=1) & Condition("#until = :was", was=2)


@pytest.mark.parametrize("decisive_holds", [True, False])
@pytest.mark.parametrize("checked_holds", [True, False])
@pytest.mark.parametrize("other_holds", [True, False])
def test_a_transaction_is_carried_out_whole_or_not_at_all_and_its_decisive_rows_answer(
    table: Table, decisive_holds: bool, checked_holds: bool, other_holds: bool
) -> None:
    third = ("pk", "third")
    holds(table, None if decisive_holds else {"state": 1})
    holds(table, {"state": 1} if checked_holds else None, OTHER)
    holds(table, {"state": 1} if other_holds else None, third)
    decisive = [put(KEY, {"state": 2}, IS_NEW), check(OTHER, EXISTS)]
    before = row_of(table)

    def transact() -> bool:
        return table.transact("Writing both", decisive, [delete(third, EXISTS)])

    if decisive_holds and checked_holds and not other_holds:
        with pytest.raises(StoreUnavailable, match=r"Writing both: transaction cancelled\."):
            transact()
    else:
        assert transact() is (decisive_holds and checked_holds)

    all_hold = decisive_holds and checked_holds and other_holds
    assert row_of(table) == ({"state": 2} if all_hold else before)
    assert row_of(table, third) == ({"state": 1} if other_holds and not all_hold else None)


def test_a_request_that_dynamodb_refuses_is_not_a_failed_condition(table: Table) -> None:
    nowhere = Table("nowhere", kept_seconds=1)

    for call in (
        lambda: nowhere.write("Writing", put(KEY, {}, IS_NEW)),
        lambda: nowhere.transact("Writing", [put(KEY, {}, IS_NEW)]),
        lambda: nowhere.get("Writing", KEY),
        lambda: nowhere.count("Writing", "pk", since=""),
    ):
        with pytest.raises(StoreUnavailable, match=r"Writing: ResourceNotFoundException on \w+\."):
            call()

"""The table in memory answers as moto's does, and keeps the same rows."""

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from decimal import Decimal
from importlib import import_module
from inspect import getmembers, isfunction, ismethod
from itertools import count
from pkgutil import iter_modules
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

import boto3
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from bulk_user_deletion import ledger
from bulk_user_deletion.errors import RunClosed, StoreUnavailable
from bulk_user_deletion.ledger import Ledger, rows
from bulk_user_deletion.ledger.table import (
    EXISTS,
    IS_NEW,
    Condition,
    Key,
    Table,
    Write,
    check,
    delete,
    put,
    update,
)
from bulk_user_deletion.models.requests import Request, S3Object
from bulk_user_deletion.models.rosters import Roster
from bulk_user_deletion.models.runs import Control, Limits, Pace, RunRow, Stop
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, UserRow, UserState
from bulk_user_deletion.models.watch import What
from tests.builders import a_request, a_user, some_limits
from tests.functions.memory_table import Tables, keep_in_memory

_numbers = count(1)


class Both:
    """One table in memory and one in moto, of the same name, which are asked the same."""

    def __init__(self) -> None:
        self.name = f"ledger-{next(_numbers)}"
        self.tables = Tables()
        self.ask(self._create)

    def ask(self, question: Callable[[], Any]) -> Any:
        """Ask both; return the one answer that they gave."""
        in_moto = answer(question)
        with pytest.MonkeyPatch.context() as patch:
            keep_in_memory(patch, self.tables)
            in_memory = answer(question)
        assert exact(in_memory) == exact(in_moto)
        return in_memory

    def table(self) -> Table:
        return Table(self.name, kept_seconds=1)

    def write(self, write: Write) -> Any:
        return self.ask(lambda: self.table().write("Writing", write))

    def transact(self, decisive: list[Write], others: list[Write]) -> Any:
        return self.ask(lambda: self.table().transact("Writing", decisive, others))

    def get(self, key: Key) -> Any:
        return self.ask(lambda: self.table().get("Reading", key))

    def have_the_same_rows(self) -> None:
        in_moto = boto3.resource("dynamodb").meta.client.scan(TableName=self.name)["Items"]
        in_moto.sort(key=lambda row: (row["pk"], row["sk"]))
        assert exact(self.tables.rows(self.name)) == exact(in_moto)

    def _create(self) -> None:
        boto3.client("dynamodb").create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
        )


def answer(question: Callable[[], Any]) -> Any:
    """Return what a question is answered, or the error that it raises."""
    try:
        found = question()
        return list(found) if isinstance(found, Iterator) else found
    except (StoreUnavailable, RunClosed, ValueError, TypeError) as error:
        return type(error).__name__, str(error) if not isinstance(error, TypeError) else ""


def exact(value: Any) -> Any:
    """Return a value in which what is equal in Python but different in DynamoDB differs."""
    if isinstance(value, dict):
        return {name: exact(each) for name, each in value.items()}
    if isinstance(value, list):
        return [exact(each) for each in value]
    return type(value), value


@pytest.fixture(scope="module", autouse=True)
def _moto() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield


@pytest.fixture
def both() -> Both:
    return Both()


# What the ledger's conditions and methods are passed, by the name or else the type of a parameter

names = st.sampled_from(["a", "b", "c", ""])
numbers = st.integers(0, 4)
run_ids, arns, user_ids = (st.sampled_from(two) for two in (["r-1", "r-2"], ["a", "b"], ["1", "2"]))
NAMED: dict[str, st.SearchStrategy[Any]] = {
    "run_id": run_ids,
    "name": run_ids,
    "execution_arn": arns,
    "user_id": user_ids,
    "user_ids": st.sets(user_ids),
    "losses": st.lists(user_ids),
    "keys": st.sets(st.sampled_from(["id:1", "username:user1", "x"])),
}
TYPED: dict[Any, st.SearchStrategy[Any]] = {
    str: names,
    int: numbers,
    float: st.floats(0, 4),
    Control: st.builds(Control, st.tuples(user_ids), names),
    Limits: st.builds(some_limits, wait_seconds=numbers),
    # Seconds are rounded to tenths.
    Pace: st.builds(
        Pace, st.integers(0, 1000).map(lambda n: n / 10), quiet_until=numbers, version=numbers
    ),
    PortalUser: user_ids.map(a_user),
    Request: st.just(a_request()),
    Roster: st.builds(Roster, run_ids, st.floats(0, 4), numbers),
    RunRow: st.builds(RunRow, run_ids, arns, st.booleans()),
    S3Object: st.builds(S3Object, st.just("data"), names),
    Stop: st.builds(Stop, names, names, numbers),
    Write: st.builds(put, st.just(("leaver", "x")), st.fixed_dictionaries({"by": names})),
    UserRow: st.builds(
        UserRow,
        user_ids,
        st.sampled_from([UserState.SETTLING, UserState.DECLINED]),
        st.none() | st.sampled_from(Outcome),
        names,
        attempts=numbers,
        ended_at=numbers,
    ),
}


def argument(name: str, kind: Any) -> st.SearchStrategy[Any]:
    """Draw from few values, so that one is often what another call has stored.

    The fields of a dataclass and the values of a mapping are drawn in the same way: not every
    number fits into DynamoDB.
    """
    if isinstance(kind, UnionType):
        return st.one_of(*(argument(name, each) for each in get_args(kind)))
    if name in NAMED:
        return NAMED[name]
    if kind in TYPED:
        return TYPED[kind]
    if get_origin(kind) is Mapping:
        return st.dictionaries(*(argument("", each) for each in get_args(kind)))
    if isinstance(kind, type) and is_dataclass(kind):
        hints = get_type_hints(kind)
        return st.builds(kind, **{f.name: argument("", hints[f.name]) for f in fields(kind)})
    return st.from_type(kind)


def arguments(function: Callable[..., Any]) -> st.SearchStrategy[dict[str, Any]]:
    kinds = get_type_hints(function)
    del kinds["return"]
    return st.fixed_dictionaries({name: argument(name, kind) for name, kind in kinds.items()})


# Every condition of the ledger

MODULES = [
    import_module(f"{ledger.__name__}.{found.name}") for found in iter_modules(ledger.__path__)
]


def conditions_of(value: Any) -> st.SearchStrategy[Condition] | None:
    """The conditions that something in a module stands for, if that is what it stands for."""
    if isinstance(value, Condition):
        return st.just(value)
    if isfunction(value) and get_type_hints(value).get("return") is Condition:
        return arguments(value).map(lambda given: value(**given))
    return None


# Each once, although modules import each other's.
_NAMES = {
    value: f"{module.__name__.rpartition('.')[2]}.{name}"
    for module in reversed(MODULES)
    for name, value in getmembers(module)
    if isinstance(value, Condition) or isfunction(value)
}
CONDITIONS: dict[str, st.SearchStrategy[Condition]] = {
    name: found for value, name in _NAMES.items() if (found := conditions_of(value)) is not None
}
stops = st.fixed_dictionaries({"reason": st.text(max_size=3), "by": names, "at": numbers})
ATTRIBUTES: dict[str, st.SearchStrategy[Any]] = {
    "arn": names,
    "lease_owner": names,
    "execution_arn": names,
    "run_id": run_ids,
    "until": numbers,
    "version": numbers,
    "stopped_at_ms": st.integers(0, 4000),
    "attempts": numbers,
    "is_open": st.booleans(),
    "waited_for_content": st.just(True),
    "state": st.sampled_from(UserState),
    "outcome": st.sampled_from(Outcome),
    "reason_kind": st.sampled_from(ReasonKind),
    "stop_flag": stops,
    "withdrawal": stops,
    "pause": stops,
    "changed_at": numbers,
    "changed_by": names,
    "run_count": numbers,
    "history": st.lists(stops, max_size=2),
    "seconds_per_delete": st.decimals(0, 100, places=2),
    "expires_at": st.integers(0, 10**12),
    "is_back": st.booleans(),
    "what": st.sampled_from(What),
}
SUMS = ["version", "stopped_at_ms", "attempts"]
attributes = st.fixed_dictionaries({}, optional=ATTRIBUTES)
few_attributes = st.lists(st.sampled_from(sorted(ATTRIBUTES)), unique=True, max_size=3).flatmap(
    lambda chosen: st.fixed_dictionaries({name: ATTRIBUTES[name] for name in chosen})
)


@pytest.mark.parametrize("name", CONDITIONS)
def test_each_condition_holds_for_the_same_rows(both: Both, name: str) -> None:
    @settings(max_examples=8)
    @given(CONDITIONS[name], st.data())
    def for_any(condition: Condition, data: st.DataObject) -> None:
        used = set(re.findall(r"(?<!:)\b[a-z_]+\b(?!\()", condition.expression)) - {"pk"}
        row = data.draw(
            st.none() | st.fixed_dictionaries({}, optional={n: ATTRIBUTES[n] for n in used})
        )
        pk = f"pk-{next(_numbers)}"
        key, other = (pk, "sk"), (pk, "other")
        for each in (key, other):
            if row is not None:
                both.write(put(each, row))

        both.write(update(key, {"is_written": True}, condition))
        both.transact([check(other, condition)], [update(key, {"is_written": False})])

    for_any()
    both.have_the_same_rows()


# Any writes and reads, in any order

KEYS = [(pk, sk) for pk in ("run#1", "run#10") for sk in ("run", "user#1", "user#10")]
keys = st.sampled_from(KEYS)
conditions = st.one_of(*CONDITIONS.values())
some_condition = st.none() | st.just(EXISTS) | conditions


@st.composite
def updates(draw: st.DrawFn, key: Key) -> Write:
    replaced = {"is_written": True, **draw(few_attributes)}
    once = {name: v for name, v in draw(few_attributes).items() if name not in replaced}
    left = ATTRIBUTES.keys() - replaced.keys() - once.keys()
    add = {name: draw(numbers) for name in SUMS if name in left and draw(st.booleans())}
    is_longer = "history" in left and draw(st.booleans())
    append = {"history": draw(ATTRIBUTES["history"])} if is_longer else {}
    left -= add.keys() | append.keys()
    remove = draw(st.lists(st.sampled_from(sorted(left)), unique=True, max_size=5))
    condition = draw(some_condition)
    return update(key, replaced, condition, once=once, append=append, add=add, remove=remove)


def writes(key: Key) -> st.SearchStrategy[Write]:
    return st.one_of(
        st.builds(put, st.just(key), attributes, some_condition),
        updates(key),
        st.builds(delete, st.just(key), conditions),
    )


@settings(max_examples=40)
@given(data=st.data())
def test_any_sequence_of_writes_is_answered_alike_and_leaves_the_same_rows(
    data: st.DataObject,
) -> None:
    both = Both()
    for _ in range(data.draw(st.integers(1, 8))):
        match data.draw(st.sampled_from(["write", "transact", "read"])):
            case "write":
                both.write(data.draw(keys.flatmap(writes)))
            case "transact":
                some = data.draw(st.lists(keys, min_size=1, max_size=4, unique=True))
                batch = [
                    data.draw(writes(key) | st.builds(check, st.just(key), conditions))
                    for key in some
                ]
                number = data.draw(st.integers(1, len(batch)))
                both.transact(batch[:number], batch[number:])
            case "read":
                key = data.draw(keys)
                pk, sk = key
                some = data.draw(st.lists(keys, unique=True))
                both.get(key)
                both.ask(lambda: both.table().get_many(some))  # noqa: B023 -- asked at once
                both.ask(lambda: both.table().query("Reading", pk, prefix=sk))  # noqa: B023
                both.ask(lambda: both.table().count("Reading", pk, since=sk))  # noqa: B023

        both.have_the_same_rows()


# The ledger itself


def methods(of: Ledger) -> dict[str, Callable[..., Any]]:
    """Every public method of every part of a ledger that asks the table for something."""
    return {
        f"{part_name}.{name}": method
        for part_name, part in vars(of).items()
        for name, method in getmembers(part, ismethod)
        if not name.startswith("_") and get_type_hints(method)["return"] is not Write
    }


@settings(max_examples=40)
@given(data=st.data())
def test_the_ledger_answers_alike_whichever_table_it_has(data: st.DataObject) -> None:
    both = Both()
    known = methods(Ledger(both.name))
    both.ask(
        lambda: Ledger(both.name).runs.open("r-1", execution_arn="a", request=a_request(), now=1)
    )

    for _ in range(data.draw(st.integers(1, 20))):
        name = data.draw(st.sampled_from(sorted(known)))
        given_arguments = data.draw(arguments(known[name]), label=name)
        both.ask(lambda: methods(Ledger(both.name))[name](**given_arguments))  # noqa: B023

    both.have_the_same_rows()


# Examples

KEY, OTHER, THIRD = ("pk", "sk"), ("pk", "other"), ("pk", "third")
_IS_ONE, _IS_TWO = Condition("#state = :one", one=1), Condition("#state = :two", two=2)


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        (Condition("attribute_not_exists(version)"), True),
        (Condition("attribute_not_exists(#state)"), False),
        (Condition("version = :v", v=1), False),
        (Condition("version <> :v", v=1), True),
        (Condition("version < :v", v=1), False),
        (Condition("#state < :v", v=1), False),
        (Condition("#state < :v", v=2), True),
        (Condition("#state = :v", v="1"), False),
        (_IS_TWO & _IS_ONE | EXISTS, True),
        (_IS_TWO & (_IS_ONE | EXISTS), False),
        (Condition("attribute_exists(pk) OR #state = :two AND #state = :two", two=2), True),
        (Condition("#state = :two AND #state = :two OR attribute_exists(pk)", two=2), True),
        (Condition("(attribute_exists(pk) OR #state = :two) AND #state = :two", two=2), False),
    ],
)
def test_a_condition_is_met_by_a_row_in_state_1(
    both: Both, condition: Condition, holds: bool
) -> None:
    both.write(put(KEY, {"state": 1}))

    assert both.write(update(KEY, {"version": 1}, condition)) is holds

    both.have_the_same_rows()


def test_appending_and_adding_start_from_nothing(both: Both) -> None:
    assert both.write(update(KEY, append={"history": [1]}, add={"attempts": 2}))
    assert both.write(update(KEY, append={"history": ["b"]}, add={"attempts": 3}))

    assert both.get(KEY) == {"pk": "pk", "sk": "sk", "history": [1, "b"], "attempts": 5}


def test_an_attribute_that_is_set_once_or_removed(both: Both) -> None:
    both.write(update(KEY, once={"state": 1, "stop_flag": {}}))
    both.write(update(KEY, once={"state": 2}, remove=["stop_flag", "never_there"]))
    both.write(update(OTHER, remove=["never_there"]))

    assert both.get(KEY) == {"pk": "pk", "sk": "sk", "state": 1}
    assert both.get(OTHER) == {"pk": "pk", "sk": "other"}


def test_a_value_comes_back_as_boto3_returns_it(both: Both) -> None:
    values = {
        "number": 7,
        "long": 10**20,
        "amount": Decimal("1.50"),
        "kind": Outcome.DELETED,
        "nothing": "",
        "none": None,
        "yes": True,
        "list": [],
        "row": {},
        "nested": {"of": (1, {"kind": ReasonKind.NONE})},
    }

    both.write(put(KEY, values))

    stored = both.get(KEY)
    assert exact(stored["number"]) == (Decimal, Decimal(7))
    assert exact(stored["kind"]) == (str, "deleted")
    assert exact(stored["nested"]) == {
        "of": [(Decimal, Decimal(1)), {"kind": (str, "")}],
    }
    both.have_the_same_rows()


@pytest.mark.parametrize("value", [0.5, Decimal("NaN"), Decimal("Infinity")])
def test_what_boto3_does_not_store_is_not_stored(both: Both, value: Any) -> None:
    assert both.write(put(KEY, {"value": value})) == ("TypeError", "")

    assert both.get(KEY) == {}


def test_a_row_belongs_to_the_table_alone(both: Both) -> None:
    given_row = {"history": [{"at": 1}]}
    both.write(put(KEY, given_row))
    given_row["history"].append({"at": 2})
    read = both.get(KEY)
    read["history"][0]["at"] = 3
    both.write(update(KEY, {"copy": read["history"]}))
    read["history"].clear()

    assert both.get(KEY)["history"] == [{"at": 1}]
    assert both.get(KEY)["copy"] == [{"at": 3}]
    both.have_the_same_rows()


@pytest.mark.parametrize(
    ("other_condition", "third_condition", "answered"),
    [
        (EXISTS, EXISTS, True),
        (IS_NEW, EXISTS, False),
        (IS_NEW, IS_NEW, False),
        (EXISTS, IS_NEW, ("StoreUnavailable", "Writing: transaction cancelled.")),
    ],
)
def test_a_transaction_that_fails_leaves_everything_as_it_was(
    both: Both, other_condition: Condition, third_condition: Condition, answered: Any
) -> None:
    both.write(put(OTHER, {"attempts": 1}))
    both.write(put(THIRD, {"attempts": 1}))

    given_answer = both.transact(
        [put(KEY, {"state": 1}, IS_NEW), update(OTHER, {}, other_condition, add={"attempts": 1})],
        [delete(THIRD, third_condition)],
    )

    assert given_answer == answered
    assert (both.get(KEY) == {}) is (answered is not True)
    both.have_the_same_rows()


@pytest.mark.parametrize(
    "write",
    [
        update(KEY, add={"history": 1}),
        update(KEY, append={"attempts": [1]}),
        update(KEY),
        update(KEY, {"sk": "other"}),
        put(("", "sk"), {}),
        update(KEY, {"state": 1}, Condition("state = :two", two=2)),
        update(KEY, {"state": 1}, Condition("attribute_exists(pk)", two=2)),
    ],
)
def test_what_dynamodb_finds_invalid_is_refused_and_changes_nothing(
    both: Both, write: Write
) -> None:
    both.write(put(KEY, {"attempts": 1, "history": []}))

    kind, said = both.write(write)

    assert (kind, said.split(" on ")[0]) == ("StoreUnavailable", "Writing: ValidationException")
    both.have_the_same_rows()


def test_no_row_is_written_twice_in_a_transaction(both: Both) -> None:
    kind, said = both.transact([put(KEY, {"state": 1})], [put(KEY, {"state": 2})])

    assert (kind, said) == (
        "StoreUnavailable",
        "Writing: ValidationException on TransactWriteItems.",
    )
    both.have_the_same_rows()


def test_a_row_is_not_asked_for_twice_at_once(both: Both) -> None:
    kind, said = both.ask(lambda: both.table().get_many([KEY, OTHER, KEY]))

    assert (kind, said) == (
        "StoreUnavailable",
        "Reading the ledger: ValidationException on BatchGetItem.",
    )


@pytest.mark.parametrize("empty", ["", 0, False, None, [], {}])
def test_an_empty_attribute_exists(both: Both, empty: Any) -> None:
    both.write(put(KEY, {"stop_flag": empty, "history": []}))

    assert both.write(update(KEY, {"state": 1}, rows.IS_STOPPED))
    assert not both.write(update(KEY, {"state": 2}, rows.IS_NOT_STOPPED))
    assert both.write(update(KEY, once={"stop_flag": 1}))

    both.have_the_same_rows()


def test_a_table_that_does_not_exist_refuses_everything(both: Both) -> None:
    nowhere = Table("nowhere", kept_seconds=1)

    for question in (
        lambda: nowhere.get("Asking", KEY),
        lambda: nowhere.get_many([KEY]),
        lambda: nowhere.query("Asking", "pk", prefix="s"),
        lambda: nowhere.write("Asking", put(KEY, {})),
        lambda: nowhere.transact("Asking", [put(KEY, {})]),
    ):
        assert "ResourceNotFoundException" in both.ask(question)[1]


def test_more_rows_than_a_page_or_a_batch_holds_are_all_found_in_order(both: Both) -> None:
    sort_keys = [f"user#{n}" for n in range(120)] + ["user#é", "user#\U0001f600", "user", "z"]
    for sk in sort_keys:
        both.write(put(("pk", sk), {}))
        both.write(put(("pk2", sk), {}))

    def found(prefix: str) -> list[str]:
        answered = both.ask(lambda: both.table().query("Reading", "pk", prefix=prefix))
        return [row["sk"] for row in answered]

    everyone = sorted(sk for sk in sort_keys if sk.startswith("user#"))
    assert found("user#") == everyone
    assert found("user#1") == [sk for sk in everyone if sk.startswith("user#1")]
    assert found("zz") == []
    assert both.ask(lambda: both.table().count("Counting", "pk", since="user#5")) == 1 + len(
        [sk for sk in everyone if sk >= "user#5"]
    )
    wanted = [("pk", sk) for sk in sort_keys]
    assert len(both.ask(lambda: both.table().get_many(wanted))) == len(wanted)


# What only the in-memory table does


@pytest.fixture
def in_memory(monkeypatch: pytest.MonkeyPatch) -> Table:
    tables = Tables()
    tables.call("CreateTable", {"TableName": "ledger"})
    keep_in_memory(monkeypatch, tables)
    return Table("ledger", kept_seconds=1)


@pytest.mark.parametrize(
    "expression",
    [
        "NOT attribute_exists(pk)",
        "size(pk) = :v",
        "begins_with(pk, :v)",
        "contains(pk, :v)",
        "attribute_type(pk, :v)",
        "version > :v",
        "version >= :v",
        "version <= :v",
        "version BETWEEN :v AND :v",
        "version IN (:v)",
        "version = version",
        "stop_flag.reason = :v",
        "history[0] = :v",
        "version = :v version = :v",
        "version =",
        "(version = :v",
        "",
    ],
)
def test_a_condition_of_a_form_that_the_ledger_does_not_use_is_refused(
    in_memory: Table, expression: str
) -> None:
    values = {"v": 1} if ":v" in expression else {}

    with pytest.raises(AssertionError):
        in_memory.write("Writing", put(KEY, {}, Condition(expression, **values)))


@pytest.mark.parametrize("value", [None, [1], {"at": 1}])
@pytest.mark.parametrize("operator", ["=", "<>", "<"])
def test_a_comparison_with_what_the_ledger_compares_nothing_with_is_refused(
    in_memory: Table, operator: str, value: Any
) -> None:
    with pytest.raises(AssertionError):
        in_memory.write("Writing", put(KEY, {}, Condition(f"version {operator} :v", v=value)))


@pytest.mark.parametrize(
    "expression",
    [
        "SET version = version + :v",
        "SET version = :v + :v",
        "SET stop_flag.reason = :v",
        "SET history[0] = :v",
        "DELETE version :v",
        "SET version = :v,",
        "SET",
    ],
)
def test_an_update_of_a_form_that_the_ledger_does_not_use_is_refused(
    in_memory: Table, expression: str
) -> None:
    values = {"ExpressionAttributeValues": {":v": 1}} if ":v" in expression else {}

    with pytest.raises(AssertionError):
        in_memory.write(
            "Writing",
            Write("Update", Key={"pk": "pk", "sk": "sk"}, UpdateExpression=expression, **values),
        )


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("Scan", {"TableName": "ledger"}),
        ("GetItem", {"TableName": "ledger", "Key": {}, "ProjectionExpression": "pk"}),
        ("PutItem", {"TableName": "ledger", "Item": {}, "ReturnValues": "ALL_OLD"}),
        (
            "Query",
            {
                "TableName": "ledger",
                "KeyConditionExpression": "pk = :pk AND sk < :sk",
                "ExpressionAttributeValues": {":pk": "pk", ":sk": "sk"},
            },
        ),
    ],
)
def test_a_call_that_the_ledger_does_not_make_is_refused(
    operation: str, parameters: dict[str, Any]
) -> None:
    tables = Tables()
    tables.call("CreateTable", {"TableName": "ledger"})

    with pytest.raises(AssertionError, match="the ledger does not use"):
        tables.call(operation, parameters)


@pytest.mark.parametrize("key", [("", "sk"), ("pk", "")])
def test_a_row_without_a_key_is_refused_as_by_dynamodb(in_memory: Table, key: Key) -> None:
    # moto creates it.
    with pytest.raises(StoreUnavailable, match="ValidationException"):
        in_memory.write("Writing", update(key, {"state": 1}))


def test_callers_at_the_same_time_take_their_turns(in_memory: Table) -> None:
    counted = update(KEY, add={"attempts": 1}, append={"history": ["once"]})
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as callers:
            taken = list(
                callers.map(
                    lambda n: in_memory.write("Taking", put(OTHER, {"n": n}, IS_NEW)), range(8)
                )
            )
            list(callers.map(lambda _: in_memory.write("Counting", counted), range(400)))
    finally:
        sys.setswitchinterval(before)

    assert sum(taken) == 1
    row = in_memory.get("Reading", KEY)
    assert (row["attempts"], len(row["history"])) == (400, 400)

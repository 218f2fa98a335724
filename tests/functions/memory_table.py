"""DynamoDB in memory, as far as the ledger uses it: what moto does in milliseconds, at once.

It answers the client's calls, below the ledger's `Table` and below what the tests do to a call:
permissions are checked, and functions killed, as with any other service. What the ledger does not
use is refused with an `AssertionError`. `test_memory_table.py` compares it with moto.

Limits of size and throughput are not here, and nothing expires.
"""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from decimal import Decimal
from threading import Lock
from typing import Any

import pytest
from boto3.dynamodb.types import DYNAMODB_CONTEXT
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords

Row = dict[str, Any]
Key = tuple[str, str]

_RESERVED = frozenset(ReservedKeywords.get_reserved_keywords())
_MISSING = object()
_MAX_KEYS, _MAX_WRITES = 100, 100

# DynamoDB's pages end after 1 MB. These end so early that every reader has to request the next one.
_PAGE = 20

# Whether a sort key is among those that are asked for; all of them sort after the value of `:sk`.
_KEY_CONDITIONS: dict[str, Callable[[str, str], bool]] = {
    "pk = :pk": lambda sk, nothing: True,
    "pk = :pk AND begins_with(sk, :sk)": str.startswith,
    "pk = :pk AND sk >= :sk": str.__ge__,
}
_EXPRESSIONS = {"ConditionExpression", "ExpressionAttributeNames", "ExpressionAttributeValues"}
_PARAMETERS = {
    "CreateTable": {"TableName", "BillingMode", "AttributeDefinitions", "KeySchema"},
    "GetItem": {"TableName", "Key", "ConsistentRead"},
    "BatchGetItem": {"RequestItems"},
    "Query": {
        "TableName",
        "KeyConditionExpression",
        "ExpressionAttributeValues",
        "ConsistentRead",
        "Select",
        "ExclusiveStartKey",
    },
    "PutItem": {"TableName", "Item", *_EXPRESSIONS},
    "UpdateItem": {"TableName", "Key", "UpdateExpression", *_EXPRESSIONS},
    "DeleteItem": {"TableName", "Key", *_EXPRESSIONS},
    "ConditionCheckItem": {"TableName", "Key", *_EXPRESSIONS},
    "TransactWriteItems": {"TransactItems"},
}


def keep_in_memory(patch: pytest.MonkeyPatch, tables: "Tables | None" = None) -> None:
    """Answer the calls to DynamoDB from memory, and leave all others as they are.

    The client is one of boto3's resource: it is passed Python's values, not DynamoDB's.
    """
    answer = (tables or Tables()).call
    call = vars(BaseClient)["_make_api_call"]

    def answered(client: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        if client.meta.service_model.service_name == "dynamodb":
            return answer(operation, given)
        return call(client, operation, given)

    patch.setattr(BaseClient, "_make_api_call", answered)


class _Refused(Exception):
    """DynamoDB refuses a call, with a code and more in its response."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(message)
        self.response: Any = {"Error": {"Code": code, "Message": message}, **more}


class _ConditionFailed(_Refused):
    """A row does not meet a write's condition."""

    def __init__(self) -> None:
        super().__init__("ConditionalCheckFailedException", "The conditional request failed")


@dataclass
class _Table:
    """Rows by their keys, and their keys in order."""

    rows: dict[Key, Row] = field(default_factory=dict)
    keys: list[Key] = field(default_factory=list)

    def store(self, key: Key, row: Row | None) -> None:
        """Store a row, or delete it if there is none to store."""
        if key in self.rows:
            self.keys.pop(bisect_left(self.keys, key))
            del self.rows[key]
        if row is not None:
            insort(self.keys, key)
            self.rows[key] = row


class Tables:
    """The tables of an account, with the keys `pk` and `sk`. Calls are carried out one by one."""

    def __init__(self) -> None:
        self._tables: dict[str, _Table] = {}
        self._lock = Lock()

    def rows(self, table_name: str) -> list[Row]:
        """Return all rows of a table, in the order of their keys."""
        with self._lock:
            table = self._tables[table_name]
            return [deepcopy(table.rows[key]) for key in table.keys]

    def call(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation of DynamoDB's API."""
        assert operation in _PARAMETERS, f"the ledger does not use {operation}"
        _has_only(given, _PARAMETERS[operation], operation)
        try:
            with self._lock:
                return self._carry_out(operation, given)
        except _Refused as refused:
            raise ClientError(refused.response, operation) from None

    def _carry_out(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        match operation:
            case "CreateTable":
                self._tables[given["TableName"]] = _Table()
                return {}
            case "GetItem":
                row = self._table(given["TableName"]).rows.get(_key(given["Key"]))
                return {"Item": deepcopy(row)} if row is not None else {}
            case "BatchGetItem":
                return self._batch_get(given)
            case "Query":
                return self._query(given)
            case "TransactWriteItems":
                return self._transact(given)
            case _:
                table = self._table(given["TableName"])
                table.store(*_written(operation, given, table))
                return {}

    def _table(self, name: str) -> _Table:
        if name not in self._tables:
            raise _Refused("ResourceNotFoundException", "Requested resource not found")
        return self._tables[name]

    def _batch_get(self, given: Mapping[str, Any]) -> dict[str, Any]:
        [(name, request)] = given["RequestItems"].items()
        _has_only(request, {"Keys", "ConsistentRead"}, "BatchGetItem")
        table = self._table(name)
        keys = [_key(key) for key in request["Keys"]]
        if not 1 <= len(keys) <= _MAX_KEYS:
            raise _invalid(f"{len(keys)} keys")
        if len(set(keys)) < len(keys):
            raise _invalid("Provided list of item keys contains duplicates")
        found = [deepcopy(table.rows[key]) for key in keys if key in table.rows]
        return {"Responses": {name: found}, "UnprocessedKeys": {}}

    def _query(self, given: Mapping[str, Any]) -> dict[str, Any]:
        table = self._table(given["TableName"])
        values = {name: _stored(v) for name, v in given["ExpressionAttributeValues"].items()}
        pk = values.pop(":pk")
        least = values.pop(":sk", "")
        condition = given["KeyConditionExpression"]
        assert condition in _KEY_CONDITIONS, f"the ledger does not use {condition!r}"
        matches = _KEY_CONDITIONS[condition]
        if values or (":sk" in condition) != bool(least):
            raise _invalid("values that are empty, or used or given alone")
        start = bisect_left(table.keys, (pk, least))
        if "ExclusiveStartKey" in given:
            start = bisect_right(table.keys, _key(given["ExclusiveStartKey"]))
        page = table.keys[start : start + _PAGE]
        found = [key for key in page if key[0] == pk and matches(key[1], least)]
        answer: dict[str, Any] = {"Count": len(found)}
        if given.get("Select") != "COUNT":
            answer["Items"] = [deepcopy(table.rows[key]) for key in found]
        if len(found) == _PAGE:
            answer["LastEvaluatedKey"] = dict(zip(("pk", "sk"), found[-1], strict=True))
        return answer

    def _transact(self, given: Mapping[str, Any]) -> dict[str, Any]:
        writes = [next(iter(item.items())) for item in given["TransactItems"]]
        if not 1 <= len(writes) <= _MAX_WRITES:
            raise _invalid(f"{len(writes)} writes")
        results: dict[tuple[str, Key], Row | None] = {}
        reasons = []
        for kind, write in writes:
            _has_only(write, _PARAMETERS[f"{kind}Item"], kind)
            table = self._table(write["TableName"])
            identity = write["TableName"], _key_of(write)
            if identity in results:
                raise _invalid("multiple operations on one item")
            results[identity] = None
            try:
                _, results[identity] = _written(f"{kind}Item", write, table)
            except _ConditionFailed:
                reasons.append("ConditionalCheckFailed")
            else:
                reasons.append("None")
        if set(reasons) != {"None"}:
            raise _Refused(
                "TransactionCanceledException",
                f"Transaction cancelled, please refer cancellation reasons [{', '.join(reasons)}]",
                CancellationReasons=[{"Code": reason} for reason in reasons],
            )
        for (name, key), row in results.items():
            self._tables[name].store(key, row)
        return {}


def _written(operation: str, given: Mapping[str, Any], table: _Table) -> tuple[Key, Row | None]:
    """Return a row after a write; nothing if it deletes the row.

    Raises:
        _ConditionFailed: the row is not as the condition wants it.
    """
    key = _key_of(given)
    before = table.rows.get(key)
    condition, update = given.get("ConditionExpression"), given.get("UpdateExpression")
    names: Mapping[str, str] = given.get("ExpressionAttributeNames", {})
    values = {name: _stored(v) for name, v in given.get("ExpressionAttributeValues", {}).items()}
    used = set(re.findall(r"[#:]\w+", f"{condition} {update}"))
    if used != {*names, *values}:
        raise _invalid(f"names and values that are used, or given, alone: {used}")
    row = before if before is not None else {}
    if condition is not None and not _Expression(condition, row, names, values).condition():
        raise _ConditionFailed
    match operation:
        case "PutItem":
            return key, _stored(given["Item"])
        case "UpdateItem":
            if not update:
                raise _invalid("The expression can not be empty")
            changed = _Expression(update, row, names, values).update()
            return key, {**changed, "pk": key[0], "sk": key[1]}
        case "DeleteItem":
            return key, None
        case "ConditionCheckItem" if condition:
            return key, before
    raise AssertionError(f"the ledger does not use {operation} like this")


class _Expression:
    """A condition or an update, which is evaluated for a row while it is read.

    `row` is the row before the write, and is left as it is. Only attributes as a whole are known.
    """

    _TOKEN = re.compile(r"\s*(?:([#:]?[A-Za-z_]\w*)|(<>|[=<(),]))\s*")

    def __init__(
        self, text: str, row: Row, names: Mapping[str, str], values: Mapping[str, Any]
    ) -> None:
        self._text, self._row, self._names, self._values = text, row, names, values
        self._tokens = self._split(text)

    def _split(self, text: str) -> list[str]:
        tokens, end = [], 0
        while end < len(text):
            found = self._TOKEN.match(text, end)
            assert found, f"the ledger does not use {text[end:]!r}"
            tokens.append(found[1] or found[2])
            end = found.end()
        return [*reversed(tokens)]

    def condition(self) -> bool:
        """Return whether the row meets this condition."""
        holds = self._any()
        assert not self._tokens, f"the ledger does not use {self._text!r}"
        return holds

    def update(self) -> Row:
        """Return the row as this update leaves it."""
        row = dict(self._row)
        touched = []
        while self._tokens:
            clause = self._next()
            while True:
                name = self._name()
                touched.append(name)
                if clause == "SET":
                    self._take("=")
                    row[name] = self._operand()
                elif clause == "ADD":
                    number, before = self._value(), self._row.get(name, Decimal(0))
                    if not (isinstance(number, Decimal) and isinstance(before, Decimal)):
                        raise _invalid("ADD is for numbers")
                    row[name] = before + number
                else:
                    assert clause == "REMOVE", f"the ledger does not use {clause}"
                    row.pop(name, None)
                if not self._is_next(","):
                    break
        if len(set(touched)) < len(touched):
            raise _invalid("Two document paths overlap with each other")
        if {"pk", "sk"} & set(touched):
            raise _invalid("This attribute is part of the key")
        return row

    # The parts of a condition. No `or`, no `and`: each part must be read, whatever the others are.

    def _any(self) -> bool:
        holds = [self._all()]
        while self._is_next("OR"):
            holds.append(self._all())
        return any(holds)

    def _all(self) -> bool:
        holds = [self._one()]
        while self._is_next("AND"):
            holds.append(self._one())
        return all(holds)

    def _one(self) -> bool:
        if self._is_next("("):
            holds = self._any()
            self._take(")")
            return holds
        for function, wants in (("attribute_exists", True), ("attribute_not_exists", False)):
            if self._is_next(function):
                self._take("(")
                name = self._name()
                self._take(")")
                return (name in self._row) is wants
        name, operator = self._next(), self._next()
        assert operator in {"=", "<>", "<"}, f"the ledger does not use {name} {operator}"
        left, right = self._row.get(self._attribute(name), _MISSING), self._value()
        is_same = type(left) is type(right) and left == right
        match operator, left, right:
            case "=", _, str() | Decimal() | bool():
                return is_same
            case "<>", _, str() | Decimal() | bool():
                return not is_same
            case ("<", str(), str()) | ("<", Decimal(), Decimal()):
                return bool(left < right)
            case "<", _, str() | Decimal():
                return False
        raise AssertionError(f"the ledger does not use {operator} with a {type(right).__name__}")

    # The parts of an update

    def _operand(self) -> Any:
        if self._is_next("if_not_exists"):
            self._take("(")
            name = self._name()
            self._take(",")
            value = self._value()
            self._take(")")
            return self._row.get(name, value)
        if self._is_next("list_append"):
            self._take("(")
            first = self._operand()
            self._take(",")
            second = self._operand()
            self._take(")")
            if not (isinstance(first, list) and isinstance(second, list)):
                raise _invalid("list_append is for lists")
            return [*first, *second]
        return self._value()

    def _name(self) -> str:
        return self._attribute(self._next())

    def _attribute(self, token: str) -> str:
        if token.startswith("#"):
            return self._names[token]
        assert token.isidentifier(), f"the ledger does not use {token!r} for an attribute"
        if token.upper() in _RESERVED:
            raise _invalid(f"Attribute name is a reserved keyword: {token}")
        return token

    def _value(self) -> Any:
        token = self._next()
        assert token.startswith(":"), f"the ledger does not use {token!r} for a value"
        return self._values[token]

    def _next(self) -> str:
        assert self._tokens, f"{self._text!r} ends too early"
        return self._tokens.pop()

    def _is_next(self, token: str) -> bool:
        """Take a token if it is the next one."""
        return bool(self._tokens) and self._tokens[-1] == token and bool(self._tokens.pop())

    def _take(self, token: str) -> None:
        assert self._is_next(token), f"{self._text!r} has no {token!r} where it belongs"


def _key_of(given: Mapping[str, Any]) -> Key:
    """Return the key of the row that a write is about."""
    if "Item" in given:
        return _key({name: given["Item"].get(name) for name in ("pk", "sk")})
    return _key(given["Key"])


def _key(key: Mapping[str, Any]) -> Key:
    match _stored(key):
        case {"pk": str(pk), "sk": str(sk), **nothing} if pk and sk and not nothing:
            return pk, sk
    raise _invalid("The provided key element does not match the schema")


def _stored(value: Any) -> Any:
    """Return a copy of a value as boto3 returns it once it was stored.

    Raises:
        TypeError: boto3 stores no float and nothing infinite, the ledger no sets and no bytes.
    """
    match value:
        case None | bool():
            return value
        case int() | Decimal():
            number = DYNAMODB_CONTEXT.create_decimal(value)
            if number.is_finite():
                return number
        case str():
            return str.__str__(value)  # plain, also if it was an enum's
        case list() | tuple():
            return [_stored(each) for each in value]
        case Mapping():
            return {str.__str__(name): _stored(each) for name, each in value.items()}
    raise TypeError(f"a {type(value).__name__} cannot be stored, or not this one")


def _has_only(given: Mapping[str, Any], known: set[str], operation: str) -> None:
    assert set(given) <= known, f"the ledger does not use {set(given) - known} of {operation}"


def _invalid(message: str) -> _Refused:
    return _Refused("ValidationException", message)

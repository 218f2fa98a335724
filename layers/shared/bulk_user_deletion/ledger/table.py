"""The ledger's table: reads and conditional writes. The only module here that uses boto3."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from random import uniform
from time import sleep
from typing import Any

import boto3
from botocore.exceptions import ClientError

from bulk_user_deletion.errors import StoreUnavailable
from bulk_user_deletion.meter import meter
from bulk_user_deletion.store import CONFIG, error_code, store_errors

Key = tuple[str, str]  # pk and sk
Item = Mapping[str, Any]

_NOTHING: Item = {}
_BATCH_GET = 100

# How many times in a row a batch may leave keys unprocessed, and the first wait: 13 s in all.
_MAX_UNPROCESSED = 8
_FIRST_BACKOFF_SECONDS = 0.025


class Condition:
    """What must be true of a row for a write to happen, in DynamoDB's syntax.

    `values` are those that the expression refers to as `:name`. An attribute is written as is, or
    as `#name` if DynamoDB reserves the word.
    """

    def __init__(self, expression: str, **values: Any) -> None:
        self.expression = expression
        self.values = values

    def __and__(self, other: "Condition") -> "Condition":
        return self._joined("AND", other)

    def __or__(self, other: "Condition") -> "Condition":
        return self._joined("OR", other)

    def _joined(self, word: str, other: "Condition") -> "Condition":
        expression = f"({self.expression}) {word} ({other.expression})"
        return Condition(expression, **self.values, **other.values)


IS_NEW = Condition("attribute_not_exists(pk)")
EXISTS = Condition("attribute_exists(pk)")


class Write:
    """A write of one row, alone or in a transaction. The four functions below create one.

    `kind` and `parameters` are those of an item of a transaction.
    """

    def __init__(self, kind: str, **parameters: Any) -> None:
        self.kind = kind
        self.parameters = parameters


def put(key: Key, attributes: Item, condition: Condition | None = None) -> Write:
    """Write a whole row, replacing an existing one."""
    return Write("Put", Item={**_row_key(key), **attributes}, **_conditional(condition))


def update(
    key: Key,
    values: Item = _NOTHING,
    condition: Condition | None = None,
    *,
    once: Item = _NOTHING,
    append: Mapping[str, list[Any]] = _NOTHING,
    add: Mapping[str, int] = _NOTHING,
    remove: Collection[str] = (),
) -> Write:
    """Set attributes of a row, which is created if it does not exist.

    Those in `once` are set unless they exist; `append` adds to lists, `add` to numbers.
    """
    clauses = {
        "SET": [
            *(f"#{n} = :new_{n}" for n in values),
            *(f"#{n} = if_not_exists(#{n}, :new_{n})" for n in once),
            *(f"#{n} = list_append(if_not_exists(#{n}, :none), :new_{n})" for n in append),
        ],
        "ADD": [f"#{n} :new_{n}" for n in add],
        "REMOVE": [f"#{n}" for n in remove],
    }
    expression = " ".join(f"{word} {', '.join(each)}" for word, each in clauses.items() if each)
    new = {f"new_{n}": value for n, value in {**values, **once, **append, **add}.items()}
    none: Item = {"none": []} if append else {}
    return Write(
        "Update",
        Key=_row_key(key),
        UpdateExpression=expression,
        **_conditional(condition, expression, {**new, **none}),
    )


def delete(key: Key, condition: Condition) -> Write:
    """Delete a row."""
    return Write("Delete", Key=_row_key(key), **_conditional(condition))


def check(key: Key, condition: Condition) -> Write:
    """Leave a row unchanged: in a transaction, only its condition counts."""
    return Write("ConditionCheck", Key=_row_key(key), **_conditional(condition))


def _conditional(
    condition: Condition | None, expression: str = "", values: Item = _NOTHING
) -> dict[str, Any]:
    """Return a write's condition, with the names and values that it and its update use."""
    parameters: dict[str, Any] = {}
    if condition:
        parameters["ConditionExpression"] = condition.expression
        expression = f"{expression} {condition.expression}"
        values = {**values, **condition.values}
    if names := re.findall(r"#(\w+)", expression):
        parameters["ExpressionAttributeNames"] = {f"#{name}": name for name in names}
    if values:
        parameters["ExpressionAttributeValues"] = {f":{name}": v for name, v in values.items()}
    return parameters


class Table:
    """The ledger's table. `doing` says in an error what was being done.

    Every method raises `StoreUnavailable` if DynamoDB refuses a request or does not respond.
    """

    def __init__(self, name: str, *, kept_seconds: int) -> None:
        self._name = name
        self._kept_seconds = kept_seconds
        self._client = boto3.resource("dynamodb", config=CONFIG).meta.client

    def expiry(self, now: int) -> dict[str, int]:
        """Return the attribute that makes DynamoDB expire a row written `now`."""
        return {"expires_at": now + self._kept_seconds}

    def get(self, doing: str, key: Key) -> Item:
        """Return a row, or an empty one if it does not exist."""
        meter.count("reads")
        with store_errors(doing):
            answer = self._client.get_item(
                TableName=self._name, Key=_row_key(key), ConsistentRead=True
            )
        return answer.get("Item", _NOTHING)

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """Return those of these rows that exist."""
        return {(item["pk"], item["sk"]): item for item in self._batches(keys)}

    def query(self, doing: str, pk: str, *, prefix: str) -> Iterator[Item]:
        """Yield the rows whose sort keys start with `prefix`."""
        for page in self._pages(doing, "begins_with(sk, :sk)", pk, prefix):
            yield from page["Items"]

    def query_since(self, doing: str, pk: str, *, since: str) -> Iterator[Item]:
        """Yield the rows with this sort key or a later one."""
        for page in self._pages(doing, "sk >= :sk", pk, since):
            yield from page["Items"]

    def count(self, doing: str, pk: str, *, since: str) -> int:
        """Return the number of rows with this sort key or a later one."""
        pages = self._pages(doing, "sk >= :sk", pk, since, Select="COUNT")
        return sum(page["Count"] for page in pages)

    def write(self, doing: str, write: Write) -> bool:
        """Write a row; return False if its condition is not met."""
        calls: dict[str, Callable[..., object]] = {
            "Put": self._client.put_item,
            "Update": self._client.update_item,
            "Delete": self._client.delete_item,
        }
        send = calls[write.kind]
        meter.count("writes")
        return _did_hold(doing, lambda: send(TableName=self._name, **write.parameters))

    def transact(
        self, doing: str, decisive: Collection[Write], others: Collection[Write] = ()
    ) -> bool:
        """Carry out all of these writes or none; return False if a condition of `decisive` fails.

        If only a condition of the `others` fails, what the caller read before has changed. That
        raises `StoreUnavailable`, because a retry may succeed.
        """
        items: list[Any] = [
            {write.kind: {"TableName": self._name, **write.parameters}}
            for write in (*decisive, *others)
        ]
        meter.count("writes", 2 * len(items))  # a transaction prepares and commits each
        return _did_hold(
            doing,
            lambda: self._client.transact_write_items(TransactItems=items),
            decisive=len(decisive),
        )

    def _pages(self, doing: str, condition: str, pk: str, sk: str, **more: Any) -> Iterator[Any]:
        while True:
            meter.count("reads")
            with store_errors(doing):
                page: Any = self._client.query(
                    TableName=self._name,
                    KeyConditionExpression=f"pk = :pk AND {condition}",
                    ExpressionAttributeValues={":pk": pk, ":sk": sk},
                    ConsistentRead=True,
                    **more,
                )
            yield page
            if "LastEvaluatedKey" not in page:
                return
            more["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _batches(self, keys: Iterable[Key]) -> Iterator[Item]:
        """Yield the rows of these keys.

        A throttled table leaves keys unprocessed without an error. They must be requested again
        "using an exponential backoff algorithm":
        https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html
        """
        pending: list[Any] = [_row_key(key) for key in keys]
        in_a_row = 0
        while pending:
            asked, pending = pending[:_BATCH_GET], pending[_BATCH_GET:]
            meter.count("reads", len(asked))
            with store_errors("Reading the ledger"):
                answer = self._client.batch_get_item(
                    RequestItems={self._name: {"Keys": asked, "ConsistentRead": True}}
                )
            yield from answer["Responses"].get(self._name, [])
            unread = answer.get("UnprocessedKeys", {}).get(self._name)
            if not unread:
                in_a_row = 0
                continue
            in_a_row += 1
            if in_a_row > _MAX_UNPROCESSED:
                raise StoreUnavailable("Reading the ledger: keys are left unprocessed.")
            sleep(uniform(0, _FIRST_BACKOFF_SECONDS * 2**in_a_row))  # noqa: S311 -- no secret
            pending += unread["Keys"]


def _did_hold(doing: str, send: Callable[[], object], *, decisive: int = 1) -> bool:
    """Send a write; return whether the conditions of its first `decisive` rows were met."""
    with store_errors(doing):
        try:
            send()
        except ClientError as error:
            code = error_code(error)
            if code == "TransactionCanceledException":
                reasons: list[Any] = error.response.get("CancellationReasons", [])
                failed = [reason.get("Code") for reason in reasons[:decisive]]
                if "ConditionalCheckFailed" not in failed:
                    raise StoreUnavailable(f"{doing}: transaction cancelled.") from None
            elif code != "ConditionalCheckFailedException":
                raise
            return False
    return True


def _row_key(key: Key) -> dict[str, str]:
    pk, sk = key
    return {"pk": pk, "sk": sk}

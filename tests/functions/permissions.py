"""What a function's role allows, decided as IAM decides it, as far as this template needs.

In-process AWS checks no permissions, so a function that lacks one works in every test and fails on
its first day. Here each of a function's calls is first checked against the template.
"""

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from fnmatch import fnmatchcase
from typing import Any

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.definition.loading import Statement, statements

_acting: ContextVar[str] = ContextVar("role", default="")

# The test stack's resources, by what the template calls them.
_ARNS = {
    "LedgerTable": "table/ledger",
    "DataBucket": "arn:aws:s3:::data",
    "TokenSecret": "token",
    "CredentialsSecret": "credentials",
    "Topic": "arn:aws:sns:us-east-1:123456789012:topic",
    "AWS::Partition": "aws",
    "AWS::Region": "us-east-1",
    "AWS::AccountId": "123456789012",
    "AWS::StackName": "bulk-user-deletion",
}

Used = set[tuple[str, str]]


@contextmanager
def acting_as(function: str) -> Iterator[None]:
    """Allow calls in this context what this function's role allows, and nothing else."""
    role = "".join(word.title() for word in function.split("_")) + "Role"
    before = _acting.set(role)
    try:
        yield
    finally:
        _acting.reset(before)


def enforced(call: Callable[..., Any], used: Used) -> Any:
    """Wrap `BaseClient._make_api_call`; add every role and action that was allowed to `used`."""

    def checked(client: BaseClient, operation: str, given: dict[str, Any]) -> Any:
        role = _acting.get()
        if not role:
            return call(client, operation, given)
        names = {**_ARNS, "ProtectedList": os.environ["PROTECTED_LIST"]}
        service = client.meta.service_model.service_name
        for action, resource, key in _wanted(service, operation, given):
            if not _allows(role, action, resource, key, names):
                raise _denied(operation)
            used.add((role, action))
        try:
            return call(client, operation, given)
        except ClientError as error:
            # A caller who may not list a bucket does not learn that an object is missing.
            if error.response["Error"]["Code"] in {"NoSuchKey", "404"}:
                if not _allows(role, "s3:ListBucket", "arn:aws:s3:::data", None, names):
                    raise _denied(operation) from None
                used.add((role, "s3:ListBucket"))
            raise

    return checked


def _wanted(
    service: str, operation: str, given: Mapping[str, Any]
) -> Iterator[tuple[str, str, str | None]]:
    """Yield each action that a call needs, with its resource and leading key."""
    match service:
        case "dynamodb":
            yield from _wanted_of_table(operation, given)
        case "s3":
            resource = f"arn:aws:s3:::{given['Bucket']}/{given['Key']}"
            # HeadObject requires the permission to read the object.
            action = operation.replace("HeadObject", "GetObject")
            version = "Version" if "VersionId" in given else ""
            yield f"s3:{action}{version}", resource, None
            if "ObjectLockMode" in given:
                yield "s3:PutObjectRetention", resource, None
        case "sns":
            yield f"sns:{operation}", given["TopicArn"], None
        case "secretsmanager":
            yield f"secretsmanager:{operation}", given["SecretId"], None
        case "stepfunctions":
            yield f"states:{operation}", given["executionArn"], None
        case _:
            raise AssertionError(f"no function calls {service} so far")


def _wanted_of_table(
    operation: str, given: Mapping[str, Any]
) -> Iterator[tuple[str, str, str | None]]:
    if operation == "TransactWriteItems":
        for item in given["TransactItems"]:
            [(kind, write)] = item.items()
            yield from _wanted_of_table(f"{kind}Item", write)
    elif operation == "BatchGetItem":
        for table in given["RequestItems"]:
            yield "dynamodb:BatchGetItem", f"table/{table}", None
    else:
        row = given.get("Key") or given.get("Item") or {}
        yield f"dynamodb:{operation}", f"table/{given['TableName']}", row.get("pk")


def _allows(
    role: str, action: str, resource: str, key: str | None, names: Mapping[str, str]
) -> bool:
    return any(
        action in statement.actions
        and any(fnmatchcase(resource, _arn(allowed, names)) for allowed in statement.resources)
        and _meets(statement, key)
        for statement in statements()
        if statement.owner == role and statement.effect == "Allow"
    )


def _meets(statement: Statement, key: str | None) -> bool:
    """Return whether the statement applies to a row's leading key."""
    if not statement.condition:
        return True
    keys = [
        pattern
        for operator in ("ForAllValues:StringLike", "ForAllValues:StringEquals")
        for pattern in statement.condition.get(operator, {}).get("dynamodb:LeadingKeys", [])
    ]
    return key is not None and any(fnmatchcase(key, pattern) for pattern in keys)


def _arn(value: Any, names: Mapping[str, str]) -> str:
    """Resolve a resource of a statement to the test stack's resource."""
    if "Ref" in value:
        return names[value["Ref"]]
    if "Fn::GetAtt" in value:
        return names[value["Fn::GetAtt"][0]]
    text: str = value["Fn::Sub"]
    for name, arn in names.items():
        text = text.replace(f"${{{name}}}", arn).replace(f"${{{name}.Arn}}", arn)
    return text


def _denied(operation: str) -> ClientError:
    return ClientError(
        {"Error": {"Code": "AccessDenied", "Message": "no policy of this role allows it"}},
        operation,
    )

"""S3, Secrets Manager, SNS and Step Functions in memory, as far as the application uses them.

They answer the client's calls, like the table of `memory_table`, and for the same reason: what moto
does in milliseconds, at once. What the application does not use is refused with an
`AssertionError`. `test_memory_services.py` compares them with moto.
"""

import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from typing import Any
from uuid import uuid4

from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.response import StreamingBody


@dataclass(frozen=True)
class Object:
    """The newest version of an object in a bucket."""

    body: bytes
    content_type: str
    version_id: str
    written_at: float


@dataclass(frozen=True)
class Execution:
    """An execution of the state machine; `started_at` is in epoch seconds."""

    status: str
    started_at: float
    request: str = "{}"


@dataclass
class Services:
    """What the services hold: objects by key, secrets by name, executions by ARN."""

    objects: dict[str, Object] = field(default_factory=dict)
    secrets: dict[str, tuple[str, str]] = field(default_factory=dict)  # version and text
    executions: dict[str, Execution] = field(default_factory=dict)
    published: list[str] = field(default_factory=list)  # the subjects

    def copy(self) -> "Services":
        """Return the same content, to change on its own."""
        return Services(
            dict(self.objects), dict(self.secrets), dict(self.executions), list(self.published)
        )

    def call(self, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out an operation of one of their APIs.

        Raises:
            ClientError: as boto3 does.
        """
        answers: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
            "CreateBucket": _nothing,
            "PutBucketVersioning": _nothing,
            "PutObject": self._put_object,
            "GetObject": self._get_object,
            "HeadObject": self._head_object,
            "CreateSecret": _nothing,
            "PutSecretValue": self._put_secret,
            "GetSecretValue": self._get_secret,
            "CreateTopic": lambda given: {"TopicArn": f"arn:aws:sns:::{given['Name']}"},
            "Publish": self._publish,
            "DescribeExecution": self._describe_execution,
            "GetExecutionHistory": self._history,
        }
        assert operation in answers, f"the application does not use {operation}"
        return answers[operation](given)

    def answer(self, client: BaseClient, operation: str, given: Mapping[str, Any]) -> Any:
        """Carry out an operation for a client, which has an exception of its own for some codes."""
        try:
            return self.call(operation, given)
        except ClientError as error:
            kinds: Any = client.exceptions
            kind = kinds.from_code(error.response["Error"]["Code"])
            raise kind(error.response, operation) from None

    def _put_object(self, given: Mapping[str, Any]) -> dict[str, Any]:
        stored = Object(
            bytes(given["Body"]),
            given.get("ContentType", "binary/octet-stream"),
            str(uuid4()),
            time.time(),
        )
        self.objects[given["Key"]] = stored
        return {"ETag": _etag(stored), "VersionId": stored.version_id}

    def _get_object(self, given: Mapping[str, Any]) -> dict[str, Any]:
        assert not {"VersionId", "IfMatch"} & set(given), "no file is dropped here"
        found = self._object(given, "NoSuchKey", "GetObject")
        return {**_head(found), "Body": StreamingBody(io.BytesIO(found.body), len(found.body))}

    def _head_object(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return _head(self._object(given, "404", "HeadObject"))

    def _object(self, given: Mapping[str, Any], missing: str, operation: str) -> Object:
        if given["Key"] not in self.objects:
            raise _refused(missing, operation)
        return self.objects[given["Key"]]

    def _put_secret(self, given: Mapping[str, Any]) -> dict[str, Any]:
        version = given.get("ClientRequestToken", str(uuid4()))
        self.secrets[given["SecretId"]] = version, given["SecretString"]
        return {"VersionId": version}

    def _get_secret(self, given: Mapping[str, Any]) -> dict[str, Any]:
        if given["SecretId"] not in self.secrets:
            raise _refused("ResourceNotFoundException", "GetSecretValue")
        version, text = self.secrets[given["SecretId"]]
        return {"VersionId": version, "SecretString": text}

    def _publish(self, given: Mapping[str, Any]) -> dict[str, Any]:
        self.published.append(given["Subject"])
        return {"MessageId": str(uuid4())}

    def _execution(self, given: Mapping[str, Any], operation: str) -> Execution:
        if given["executionArn"] not in self.executions:
            raise _refused("ExecutionDoesNotExist", operation)
        return self.executions[given["executionArn"]]

    def _history(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return how an execution began: its states are not kept here."""
        began = self._execution(given, "GetExecutionHistory").started_at
        return {
            "events": [
                {"type": "ExecutionStarted", "timestamp": datetime.fromtimestamp(began, UTC)}
            ]
        }

    def _describe_execution(self, given: Mapping[str, Any]) -> dict[str, Any]:
        found = self._execution(given, "DescribeExecution")
        return {
            "status": found.status,
            "startDate": datetime.fromtimestamp(found.started_at, UTC),
            "input": found.request,
        }


def _nothing(given: Mapping[str, Any]) -> dict[str, Any]:
    return {}


def _head(found: Object) -> dict[str, Any]:
    return {
        "ContentLength": len(found.body),
        "ContentType": found.content_type,
        "ETag": _etag(found),
        "VersionId": found.version_id,
        "LastModified": datetime.fromtimestamp(int(found.written_at), UTC),
    }


def _etag(found: Object) -> str:
    return f'"{md5(found.body).hexdigest()}"'


def _refused(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "refused"}}, operation)

"""A stack to invoke functions in: the resources of `template.yaml`, created in moto."""

import importlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from typing import Any

import boto3

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.errors import TokenRejected
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.users import UserRow
from local.portal import PortalSimulator, Request
from tests.functions.permissions import acting_as

MACHINE_ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:bulk-user-deletion"
EXECUTIONS = "arn:aws:states:us-east-1:123456789012:execution:bulk-user-deletion:"

_request_ids = count(1)


@dataclass
class Context:
    """What Lambda passes to a handler in addition to the event; each invocation has its own id."""

    remaining_seconds: float = 240
    function_name: str = "a-function"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:a-function"
    aws_request_id: str = field(default_factory=lambda: f"invocation-{next(_request_ids)}")

    def get_remaining_time_in_millis(self) -> int:
        return int(self.remaining_seconds * 1000)


def dropped(stack: "Stack", content: bytes, key: str = "inbox/leavers.csv") -> dict[str, Any]:
    """Put a file into the inbox; return the event that EventBridge would send."""
    put = stack.s3.put_object(Bucket="data", Key=key, Body=content)
    return {
        "detail-type": "Object Created",
        "source": "aws.s3",
        "detail": {
            "bucket": {"name": "data"},
            "object": {
                "key": key,
                "etag": put["ETag"].strip('"'),
                "version-id": put["VersionId"],
                "sequencer": "0061",
            },
        },
    }


class Stack:
    """The resources, and the functions as the state machine would call them."""

    @staticmethod
    def environment(portal_url: str) -> dict[str, str]:
        """The variables that the template sets, with its default limits."""
        return {
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "POWERTOOLS_DEV": "false",
            "POWERTOOLS_SERVICE_NAME": "bulk-user-deletion",
            "PORTAL_URL": portal_url,
            "CA_BUNDLE": "",
            "RETENTION_DAYS": "400",
            "OBJECT_LOCK_DAYS": "0",
            "LEDGER_TABLE": "ledger",
            "DATA_BUCKET": "data",
            "CREDENTIALS_SECRET": "credentials",
            "TOKEN_SECRET": "token",
            "TOPIC_ARN": "arn:aws:sns:us-east-1:123456789012:topic",
            "FILE_DROP_MODE": "apply",
            "TOKEN_LIFE_SECONDS": "900",
            "READ_TIMEOUT_SECONDS": "30",
            "WAIT_SECONDS": "60",
            "MAX_USERS": "50",
            "MAX_PERCENT": "50",
            "MAX_USERS_PER_DAY": "100",
            "MAX_PERCENT_PER_DAY": "60",
            "APPLY_ONLY_PLANS": "false",
            "PLAN_MAX_AGE_HOURS": "24",
            "MAX_WAIT_HOURS": "12",
            "CHANGE_WINDOWS": "",
            "CHANGE_WINDOWS_FOR": "delete",
            "SCHEDULE_TIMEZONE": "UTC",
            "PROTECTED_LIST": "",
            "PACING": "fixed",
            "CONCURRENCY": "1",
            "CANARY_USERS": "0",
            "MAX_NOT_FOUND_PERCENT": "20",
            "MAX_UNEXPLAINED_LOSSES": "3",
            "LEAVER_ACTION": "delete",
            "GRACE_DAYS": "30",
            "ROSTER_MIN_MATCH_PERCENT": "50",
            "ROSTER_MAX_SHRINK_PERCENT": "10",
            "GUARD_DATASET": "0",
            "GUARD_MAX_AGE_HOURS": "24",
            "MAX_DISABLE_USERS": "50",
            "MAX_DISABLE_PERCENT": "80",
            "MAX_DISABLE_USERS_PER_DAY": "100",
            "MAX_DISABLE_PERCENT_PER_DAY": "90",
            "DISABLE_WAIT_SECONDS": "0",
        }

    def __init__(self, portal: PortalSimulator) -> None:
        self.portal = portal
        self.remaining_seconds = 240.0  # that a function has left when it is invoked
        self._arns: dict[str, str] = {}  # of the executions that carry out another execution's run
        adapters.cache_clear()
        self.s3 = boto3.client("s3")
        self.s3.create_bucket(Bucket="data", ObjectLockEnabledForBucket=True)
        self.s3.put_bucket_versioning(Bucket="data", VersioningConfiguration={"Status": "Enabled"})
        boto3.client("dynamodb").create_table(
            TableName="ledger",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
        )
        self.table = boto3.resource("dynamodb").Table("ledger")
        self.ledger = Ledger("ledger")
        self.secrets = boto3.client("secretsmanager")
        self.secrets.create_secret(Name="token")
        self.secrets.create_secret(Name="credentials")
        self.fill_credentials()
        self.topic_arn = boto3.client("sns").create_topic(Name="topic")["TopicArn"]

    def end(self, run_id: str) -> None:
        """End a run without a report."""
        self.ledger.runs.close(run_id, EXECUTIONS + run_id)
        self.ledger.portal.release_locks(EXECUTIONS + run_id)

    def fill_credentials(self, **changes: str) -> None:
        """Write the credentials secret, as a person would."""
        credentials = {
            "application_id": self.portal.application_id,
            "application_key": self.portal.application_key,
            "user": self.portal.api_user,
            **changes,
        }
        self.secrets.put_secret_value(SecretId="credentials", SecretString=json.dumps(credentials))

    def invoke(self, function: str, event: Mapping[str, Any], **context: Any) -> dict[str, Any]:
        """Invoke a function's handler; the event and the result go through JSON, as in Lambda."""
        handler = importlib.import_module(f"functions.{function}.app").lambda_handler
        context = {"remaining_seconds": self.remaining_seconds, **context}
        with acting_as(function):
            result = handler(json.loads(json.dumps(event)), Context(**context))
        return dict(json.loads(json.dumps(result)))

    # The state machine's steps, each with what the definition passes it

    def fetch_user_ids(self, request: Mapping[str, Any], run_id: str = "run-1") -> dict[str, Any]:
        """FetchUserIds, with the token renewed whenever it requests that."""
        planned = self._with_token(
            "fetch_user_ids",
            {"run_id": run_id, "execution_arn": EXECUTIONS + run_id, "request": request},
        )
        self._arns[planned["run_id"]] = EXECUTIONS + run_id
        return planned

    def plan(self, users: list[str], run_id: str = "run-1", **request: Any) -> dict[str, Any]:
        """Plan to delete a list of users."""
        return self.fetch_user_ids({"mode": "apply", "source": {"users": users}, **request}, run_id)

    def plan_sha256(self, run_id: str = "run-1") -> str:
        """The hash of a run's stored plan."""
        return sha256(self.read_bytes(f"runs/{run_id}/plan.json")).hexdigest()

    def next_batch(self, number: int = 0, run_id: str = "run-1") -> dict[str, Any]:
        """NextBatch, after batch `number`."""
        return self.invoke(
            "next_batch",
            {
                "run_id": run_id,
                "execution_arn": self._arn(run_id),
                "batch": {"number": number},
                "can_pause": True,
            },
        )

    def hand_out(self, run_id: str = "run-1") -> dict[str, str]:
        """Hand out all batches; return each user's batch key."""
        keys: dict[str, str] = {}
        number = 0
        while (batch := self.next_batch(number, run_id))["users"] or batch["check_losses"]:
            number = batch["number"]
            if batch["check_losses"]:
                self.check_losses(batch, run_id)
                continue
            body = self.read_json(batch["key"])
            for user in body:
                keys[user["user_id"]] = batch["key"]
        return keys

    def check_losses(self, batch: Mapping[str, Any], run_id: str = "run-1") -> dict[str, Any]:
        """CheckLosses, if NextBatch requests it."""
        return self._with_token(
            "check_losses",
            {"run_id": run_id, "execution_arn": self._arn(run_id), "batch": batch},
        )

    def work_off(self, run_id: str = "run-1") -> None:
        """Hand out and delete all users, as the state machine does."""
        number = 0
        while (batch := self.next_batch(number, run_id))["users"] or batch["check_losses"]:
            number = batch["number"]
            if batch["check_losses"]:
                self.check_losses(batch, run_id)
                continue
            function = "switch_user" if batch["switches"] else "delete_user"
            for user in self.read_json(batch["key"]):
                self.change_until_finished(function, user["user_id"], batch["key"], run_id)

    def delete_user(
        self,
        user_id: int | str,
        batch_key: str,
        *,
        tries: int = 0,
        run_id: str = "run-1",
        **context: Any,
    ) -> dict[str, Any]:
        """DeleteUser once, with the token renewed whenever it requests that."""
        return self.change_user(
            "delete_user", user_id, batch_key, tries=tries, run_id=run_id, **context
        )

    def change_user(
        self,
        function: str,
        user_id: int | str,
        batch_key: str,
        *,
        tries: int = 0,
        run_id: str = "run-1",
        **context: Any,
    ) -> dict[str, Any]:
        """DeleteUser or SwitchUser once, with the token renewed whenever it requests that."""
        return self._with_token(
            function,
            {
                "run_id": run_id,
                "execution_arn": self._arn(run_id),
                "batch_key": batch_key,
                "user_id": str(user_id),
                "progress": {"finished": False, "wait_seconds": 0, "tries": tries},
            },
            **context,
        )

    def cut_off(self, user_id: str, *, for_seconds: int, run_id: str = "run-1") -> None:
        """Leave a user as a function does that was interrupted and may still be deleting it."""
        now = int(time.time())
        self.ledger.users.record_intent(
            run_id,
            user_id,
            action=Action.DELETE,
            execution_arn=EXECUTIONS + run_id,
            owner="cut off",
            lease_until=now + for_seconds,
            now=now,
            is_first=True,
        )

    def delete_until_finished(
        self, user_id: int | str, batch_key: str, run_id: str = "run-1"
    ) -> list[int]:
        """DeleteUser until it is finished; return the waits, of which the last one is the pause."""
        return self.change_until_finished("delete_user", user_id, batch_key, run_id)

    def change_until_finished(
        self, function: str, user_id: int | str, batch_key: str, run_id: str = "run-1"
    ) -> list[int]:
        """Either function until it is finished; return the waits, of which one is the pause."""
        waits: list[int] = []
        tries = 0
        for _ in range(100):
            progress = self.change_user(function, user_id, batch_key, tries=tries, run_id=run_id)
            tries = progress["tries"]
            waits.append(progress["wait_seconds"])
            if progress["finished"]:
                return waits
        raise AssertionError(f"{function} never finished")

    def report_run(
        self,
        run_id: str = "run-1",
        failure: Any = None,
        look: bool = True,
        list_doubted: bool = False,
    ) -> Any:
        """ReportRun; return its summary."""
        return self._with_token(
            "report_run",
            {
                "run_id": run_id,
                "execution_arn": self._arn(run_id),
                "failure": failure,
                "look": look,
                "list_doubted": list_doubted,
            },
        )

    def _arn(self, run_id: str) -> str:
        return self._arns.get(run_id, EXECUTIONS + run_id)

    def _with_token(self, function: str, event: dict[str, Any], **context: Any) -> dict[str, Any]:
        token = {"version_id": None, "renewals": 0}
        for _ in range(7):
            try:
                return self.invoke(function, {**event, "token": token}, **context)
            except TokenRejected as error:
                rejection = {
                    "Error": "TokenRejected",
                    "Cause": json.dumps({"errorMessage": str(error)}),
                }
                token = self.invoke(
                    "refresh_token",
                    {"run_id": event["run_id"], "token": token, "rejection": rejection},
                )
        raise AssertionError("the token is always rejected")

    # The state afterwards

    def row(self, user_id: int | str, run_id: str = "run-1") -> UserRow | None:
        """A user's row in the ledger."""
        rows = {row.user_id: row for row in self.ledger.users.read_all(run_id)}
        return rows.get(str(user_id))

    def read_bytes(self, key: str) -> bytes:
        """An object of the data bucket."""
        return self.s3.get_object(Bucket="data", Key=key)["Body"].read()

    def read_json(self, key: str) -> Any:
        """A JSON document of the data bucket."""
        return json.loads(self.read_bytes(key))

    def keys(self) -> list[str]:
        """All keys of the data bucket."""
        listed = self.s3.list_objects_v2(Bucket="data").get("Contents", [])
        return [item["Key"] for item in listed]

    def writes(self) -> list[Request]:
        """The requests that could have changed something in the portal, except for tokens."""
        return [
            request
            for request in self.portal.requests
            if request.method != "GET" and "get_token" not in request.path
        ]

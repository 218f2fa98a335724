"""A deployed stack, accessed with an operator's credentials: all AWS calls of this package."""

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.exceptions import ClientError

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import INBOX, UPLOADS
from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver
from bulk_user_deletion.models.routes import Route
from bulk_user_deletion.models.runs import Waiting
from bulk_user_deletion.rules.leavers import Grace
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.store import CONFIG, error_code

# What the functions know in addition to the stack's parameters. No command needs it.
NO_PARAMETERS = (
    "LEDGER_TABLE",
    "DATA_BUCKET",
    "CREDENTIALS_SECRET",
    "TOKEN_SECRET",
    "TOPIC_ARN",
    "READ_TIMEOUT_SECONDS",
)


def variable_of(parameter: str) -> str:
    """Return the functions' environment variable that holds a parameter of the stack."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", parameter).upper()


class NoStackError(Exception):
    """No stack has this name, or it is not a stack of this application."""


@dataclass(frozen=True)
class Execution:
    """An execution of the stack's state machine."""

    arn: str
    name: str
    status: ExecutionStatus
    started_at: datetime
    output: dict[str, Any]
    error: str = ""
    cause: str = ""

    @property
    def is_running(self) -> bool:
        return self.status.is_running

    @property
    def succeeded(self) -> bool:
        return self.status is ExecutionStatus.SUCCEEDED

    @property
    def nothing_because(self) -> str:
        """Why there was no run: what an order did, or what happened to the event; else empty."""
        is_nothing = self.output.get("next_step") == Route.NOTHING
        return str(self.output["nothing_because"]) if is_nothing else ""


class Deployment:
    """A stack, found by its name; boto3 determines the account, the region and the endpoint."""

    def __init__(self, stack_name: str) -> None:
        self.stack_name = stack_name
        self._sfn = boto3.client("stepfunctions", config=CONFIG)
        self._s3 = boto3.client("s3", config=CONFIG)

    @property
    def endpoint(self) -> str:
        """Return the endpoint of Step Functions: AWS, or the emulator."""
        return self._sfn.meta.endpoint_url

    @cached_property
    def stack(self) -> dict[str, Any]:
        """Return the stack as CloudFormation describes it.

        Raises:
            NoStackError: the stack does not exist.
        """
        client = boto3.client("cloudformation", config=CONFIG)
        try:
            stack = dict(client.describe_stacks(StackName=self.stack_name)["Stacks"][0])
        except ClientError as error:
            if error_code(error) != "ValidationError":
                raise
            raise NoStackError(
                f"There is no stack {self.stack_name} in region {client.meta.region_name} of this"
                " account. Name another with --stack-name or BULK_USER_DELETION_STACK, or another"
                " account or region with --profile and --region."
            ) from None
        return stack

    @cached_property
    def outputs(self) -> dict[str, str]:
        """Return the template's outputs."""
        outputs = self.stack.get("Outputs", [])
        found = {output["OutputKey"]: output["OutputValue"] for output in outputs}
        if "StateMachineArn" not in found:
            raise NoStackError(f"The stack {self.stack_name} is not one of this application.")
        return found

    @cached_property
    def parameters(self) -> dict[str, str]:
        """Return the stack's parameters."""
        parameters = self.stack.get("Parameters", [])
        return {item["ParameterKey"]: item.get("ParameterValue", "") for item in parameters}

    @cached_property
    def settings(self) -> Settings:
        """Return what the stack's functions are set to, read from its parameters.

        Raises:
            NoStackError: an earlier version deployed it, which lacks one of them.
        """
        variables = {variable_of(name): value for name, value in self.parameters.items()}
        try:
            return Settings.from_environment({**dict.fromkeys(NO_PARAMETERS, "0"), **variables})
        except KeyError as missing:
            raise NoStackError(
                f"The stack {self.stack_name} was deployed by another version, which does not know"
                f" {missing}. Deploy it again, or use that version's commands."
            ) from None

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.outputs["LedgerTableName"])

    @cached_property
    def bucket(self) -> Bucket:
        return Bucket(self.outputs["DataBucketName"])

    # Leavers

    @property
    def leaver_action(self) -> Action:
        """Return the most that the stack does to leavers."""
        return Action(self.parameters.get("LeaverAction", Action.DELETE))

    @property
    def grace(self) -> Grace:
        """Return what the stack requires today of a leaver who is due."""
        return Grace(
            self.days("GraceDays"),
            only_previewed=self.parameters.get("ApplyOnlyPlans") == "true",
        )

    def days(self, parameter: str) -> int:
        """Return a parameter that is a number of days; 0 if the stack does not know it."""
        return int(self.parameters.get(parameter, 0))

    def leavers(self) -> list[Leaver]:
        """Return everybody in the stack's portal whom a run disabled, whatever the state."""
        return list(self.ledger.leavers.read_all(self.parameters["PortalUrl"]))

    # Executions

    def start(self, request: dict[str, Any], *, kind: str = "run") -> str:
        """Start the state machine with a request; return the execution's ARN."""
        return self._sfn.start_execution(
            stateMachineArn=self.outputs["StateMachineArn"],
            name=f"{kind}-{time.strftime('%Y%m%dT%H%M%S')}-{uuid4().hex[:6]}",
            input=json.dumps(request),
        )["executionArn"]

    def execution_arn(self, name: str) -> str:
        """Return the ARN of an execution with this name, whether or not it exists."""
        machine = self.outputs["StateMachineArn"]
        return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"

    def waits_for(self, name: str) -> Waiting | None:
        """Return what the execution of this name waits for, or None."""
        behind = self.ledger.turns.read(name)
        execution = self.execution(self.execution_arn(name)) if behind else None
        return behind if execution and execution.is_running else None

    def execution(self, arn: str) -> Execution | None:
        """Return an execution, or None if Step Functions has no record of it (any more)."""
        try:
            found = self._sfn.describe_execution(executionArn=arn)
        except ClientError as error:
            if error_code(error) != "ExecutionDoesNotExist":
                raise
            return None
        return Execution(
            arn=arn,
            name=found["name"],
            status=ExecutionStatus(found["status"]),
            started_at=found["startDate"],
            output=json.loads(found.get("output") or "{}"),
            error=found.get("error", ""),
            cause=found.get("cause", ""),
        )

    def executions(self) -> Iterator[str]:
        """Yield the ARNs of all executions on record, newest first."""
        pages = self._sfn.get_paginator("list_executions").paginate(
            stateMachineArn=self.outputs["StateMachineArn"]
        )
        for page in pages:
            for execution in page["executions"]:
                yield execution["executionArn"]

    # Files

    def upload(self, file: Path) -> dict[str, Any]:
        """Upload a file for a run to read; return it as the source of a request."""
        key = f"{UPLOADS}{uuid4().hex[:12]}/{file.name}"
        return {"s3": self._put(key, file)}

    def drop(self, file: Path) -> None:
        """Drop a file into the inbox, which starts a run."""
        self._put(f"{INBOX}{file.name}", file)

    def _put(self, key: str, file: Path) -> dict[str, str]:
        answer = self._s3.put_object(Bucket=self.bucket.name, Key=key, Body=file.read_bytes())
        version = answer.get("VersionId")
        where = {"bucket": self.bucket.name, "key": key}
        return {**where, "version_id": version} if version else where

    # What doctor checks

    @cached_property
    def resources(self) -> dict[str, str]:
        """Return the physical ids, keyed by logical id."""
        client = boto3.client("cloudformation", config=CONFIG)
        resources = client.describe_stack_resources(StackName=self.stack_name)["StackResources"]
        return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}

    def secret(self, logical_id: str) -> dict[str, Any]:
        """Describe a secret of the stack, without reading it."""
        client = boto3.client("secretsmanager", config=CONFIG)
        return dict(client.describe_secret(SecretId=self.resources[logical_id]))

    def rule_state(self, logical_id: str) -> str:
        """Return ENABLED or DISABLED for an EventBridge rule of the stack."""
        client = boto3.client("events", config=CONFIG)
        name = self.resources[logical_id].rpartition("|")[2]
        return str(client.describe_rule(Name=name)["State"])

    def stacks_of_this_application(self) -> Iterator[tuple[str, str]]:
        """Yield the name and PortalUrl of each stack of this application here, including this one.

        Here means this account and region: an operator sees no others with these credentials.
        """
        client = boto3.client("cloudformation", config=CONFIG)
        for page in client.get_paginator("describe_stacks").paginate():
            for stack in page["Stacks"]:
                outputs = {output["OutputKey"] for output in stack.get("Outputs", [])}
                if {"StateMachineArn", "LedgerTableName"} <= outputs:
                    parameters = {
                        item["ParameterKey"]: item.get("ParameterValue", "")
                        for item in stack.get("Parameters", [])
                    }
                    yield stack["StackName"], parameters.get("PortalUrl", "")

    def bucket_locks_objects(self) -> bool:
        """Return whether objects of the data bucket can be locked."""
        try:
            found = self._s3.get_object_lock_configuration(Bucket=self.bucket.name)
        except ClientError as error:
            if error_code(error) != "ObjectLockConfigurationNotFoundError":
                raise
            return False
        return found["ObjectLockConfiguration"].get("ObjectLockEnabled") == "Enabled"

    def bucket_sends_events(self) -> bool:
        """Return whether the data bucket notifies EventBridge of new objects."""
        answer = self._s3.get_bucket_notification_configuration(Bucket=self.bucket.name)
        return "EventBridgeConfiguration" in answer

    def schedule(self, logical_id: str) -> dict[str, Any]:
        """Return a schedule of the stack."""
        client = boto3.client("scheduler", config=CONFIG)
        group, name = (
            self.resources[resource].rpartition("/")[2]
            for resource in ("ScheduleGroup", logical_id)
        )
        return dict(client.get_schedule(GroupName=group, Name=name))


@dataclass(frozen=True)
class Caller:
    """The identity under which we call AWS, and how far our clock is behind AWS's clock."""

    arn: str
    clock_behind_seconds: float | None


def caller() -> Caller:
    """Ask AWS who we are; everyone is allowed to."""
    answer = boto3.client("sts", config=CONFIG).get_caller_identity()
    date = answer["ResponseMetadata"]["HTTPHeaders"].get("date")
    behind = parsedate_to_datetime(date).timestamp() - time.time() if date else None
    return Caller(answer["Arn"], behind)

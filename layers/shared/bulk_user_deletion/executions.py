"""Executions of the state machine."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError

from bulk_user_deletion.models.costs import Event
from bulk_user_deletion.store import CONFIG, error_code, store_errors

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions.type_defs import DescribeExecutionOutputTypeDef


class ExecutionStatus(StrEnum):
    """The status of an execution. Any other value is an error: nothing is decided by it.

    https://docs.aws.amazon.com/step-functions/latest/apireference/API_DescribeExecution.html
    """

    RUNNING = "RUNNING"
    PENDING_REDRIVE = "PENDING_REDRIVE"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    TIMED_OUT = "TIMED_OUT"
    ABORTED = "ABORTED"
    FORGOTTEN = "FORGOTTEN"  # our own: Step Functions has no record of it

    @property
    def is_running(self) -> bool:
        """True if the execution may still do something."""
        return self in {ExecutionStatus.RUNNING, ExecutionStatus.PENDING_REDRIVE}


class Executions:
    """Step Functions, as this application uses it."""

    def __init__(self) -> None:
        self._client = boto3.client("stepfunctions", config=CONFIG)

    def status(self, execution_arn: str) -> ExecutionStatus:
        """Return an execution's status.

        Raises:
            StoreUnavailable: Step Functions does not respond.
        """
        execution = self._describe(execution_arn)
        return ExecutionStatus(execution["status"]) if execution else ExecutionStatus.FORGOTTEN

    def started_at(self, execution_arn: str) -> float | None:
        """Return when an execution started, in epoch seconds, or None if there is no record of it.

        Raises:
            StoreUnavailable: Step Functions does not respond.
        """
        execution = self._describe(execution_arn)
        return execution["startDate"].timestamp() if execution else None

    def request(self, execution_arn: str) -> Mapping[str, Any]:
        """Return the input of an execution, or nothing if there is no record of it.

        Raises:
            StoreUnavailable: Step Functions does not respond.
        """
        execution = self._describe(execution_arn)
        request = json.loads(execution.get("input", "{}")) if execution else {}
        return request if isinstance(request, dict) else {}

    def history(self, execution_arn: str) -> list[Event] | None:
        """Return the events of an execution so far, or None if there is no record of it.

        Raises:
            StoreUnavailable: Step Functions does not respond.
        """
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=execution_arn, includeExecutionData=False
        )
        with store_errors("Reading the history of an execution"):
            try:
                return [
                    Event(
                        event["type"],
                        event.get("stateEnteredEventDetails", {}).get("name", ""),
                        event["timestamp"].timestamp(),
                    )
                    for page in pages
                    for event in page["events"]
                ]
            except ClientError as error:
                if error_code(error) == "ExecutionDoesNotExist":
                    return None
                raise

    def _describe(self, execution_arn: str) -> "DescribeExecutionOutputTypeDef | None":
        with store_errors("Looking at an execution"):
            try:
                return self._client.describe_execution(executionArn=execution_arn)
            except ClientError as error:
                if error_code(error) == "ExecutionDoesNotExist":
                    return None
                raise

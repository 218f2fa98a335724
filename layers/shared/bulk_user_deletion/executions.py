"""Executions of the state machine."""

import boto3
from botocore.exceptions import ClientError

from bulk_user_deletion.store import CONFIG, error_code, store_errors


class Executions:
    """Step Functions, as this application uses it."""

    def __init__(self) -> None:
        self._client = boto3.client("stepfunctions", config=CONFIG)

    ALIVE = ("RUNNING", "PENDING_REDRIVE")

    def status(self, execution_arn: str) -> str:
        """Return an execution's status, `FORGOTTEN` for one that Step Functions has no record of.

        Raises:
            StoreUnavailable: Step Functions does not answer.
        """
        with store_errors("Looking at an execution"):
            try:
                return self._client.describe_execution(executionArn=execution_arn)["status"]
            except ClientError as error:
                if error_code(error) == "ExecutionDoesNotExist":
                    return "FORGOTTEN"
                raise

"""Executions of the state machine."""

import boto3
from botocore.exceptions import ClientError

from bulk_user_deletion.store import CONFIG, error_code, store_errors


class Executions:
    """Step Functions, as this application uses it."""

    def __init__(self) -> None:
        self._client = boto3.client("stepfunctions", config=CONFIG)

    def is_running(self, execution_arn: str) -> bool:
        """Tell whether an execution goes on; one that nobody remembers does not.

        Raises:
            StoreUnavailable: Step Functions does not answer.
        """
        if not execution_arn:
            return False
        with store_errors("Looking at the execution that has the lock"):
            try:
                answer = self._client.describe_execution(executionArn=execution_arn)
            except ClientError as error:
                if error_code(error) == "ExecutionDoesNotExist":
                    return False
                raise
        return answer["status"] in {"RUNNING", "PENDING_REDRIVE"}

"""The real template on emulated AWS, deployed once; each test runs it with users of its own."""

import json
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bulk_user_deletion.bucket import report_key
from local.engine import Engine, Stack
from local.portal import Knobs, PortalSimulator, Request

PROJECT = Path(__file__).resolve().parents[2]
WAIT_SCALE = 0.001

_names = count(1)


class Run:
    """An ended run: its execution, its report, and what the portal was asked meanwhile."""

    def __init__(
        self, execution: dict[str, Any], report: dict[str, Any], requests: list[Request]
    ) -> None:
        self.id: str = execution["name"]
        self.status: str = execution["status"]
        self.error: str = execution.get("error", "")
        self.cause: str = execution.get("cause", "")
        self.report = report
        self.requests = requests

    @property
    def writes(self) -> list[Request]:
        """The requests that could have changed something in the portal; the token's are not."""
        return [
            request
            for request in self.requests
            if request.method != "GET" and "get_token" not in request.path
        ]

    @property
    def renewals(self) -> int:
        """How often the portal issued a token."""
        return sum("get_token" in request.path for request in self.requests)

    @property
    def outcomes(self) -> dict[str, str]:
        """Each entry's outcome."""
        return {row["entry"]: row["outcome"] for row in self.report["rows"]}


class Application:
    """The deployed stack and its portal."""

    def __init__(self, aws: Engine, stack: Stack, portal: PortalSimulator) -> None:
        self.aws = aws
        self.stack = stack
        self.portal = portal
        self.outputs = stack.outputs
        self._sfn = aws.client("stepfunctions")
        self._s3 = aws.client("s3")
        self._taken = 110

    def leavers(self, number: int) -> list[int]:
        """Take users that no other test has: neither administrators nor the API's own user."""
        first, self._taken = self._taken, self._taken + number
        return list(range(first, first + number))

    def start(self, request: dict[str, Any]) -> Run:
        """Start a run by hand, and wait for its end."""
        before = len(self.portal.requests)
        arn = self._sfn.start_execution(
            stateMachineArn=self.outputs["StateMachineArn"],
            name=f"test-{next(_names)}",
            input=json.dumps(request),
        )["executionArn"]
        return self._ended(arn, before)

    def drop(self, name: str, content: bytes) -> Run:
        """Drop a file into the inbox, and wait for the end of the run that it starts."""
        before = len(self.portal.requests)
        known = set(self._executions())
        self._s3.put_object(
            Bucket=self.outputs["DataBucketName"], Key=f"inbox/{name}", Body=content
        )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if new := set(self._executions()) - known:
                return self._ended(new.pop(), before)
            time.sleep(0.05)
        raise AssertionError("the dropped file started no execution")

    def read_json(self, key: str) -> Any:
        """A JSON document of the data bucket."""
        answer = self._s3.get_object(Bucket=self.outputs["DataBucketName"], Key=key)
        return json.loads(answer["Body"].read())

    def _executions(self) -> list[str]:
        machine = self.outputs["StateMachineArn"]
        listed = self._sfn.list_executions(stateMachineArn=machine)["executions"]
        return [execution["executionArn"] for execution in listed]

    def _ended(self, arn: str, before: int) -> Run:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            execution = self._sfn.describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                report = self.read_json(report_key(execution["name"], "json"))
                return Run(dict(execution), report, self.portal.requests[before:])
            time.sleep(0.05)
        raise AssertionError(f"{arn} did not end")


@pytest.fixture(scope="session")
def deployed() -> Iterator[Application]:
    """One engine, one portal of 600 users, one stack; files dropped are applied."""
    with PortalSimulator(users=600) as portal, Engine(wait_scale=WAIT_SCALE) as aws:
        parameters = {"PortalUrl": portal.url, "FileDropMode": "apply"}
        stack = aws.deploy(PROJECT, "bulk-user-deletion", parameters)
        aws.client("secretsmanager").put_secret_value(
            SecretId=stack.outputs["CredentialsSecretArn"],
            SecretString=json.dumps(
                {
                    "application_id": portal.application_id,
                    "application_key": portal.application_key,
                    "user": portal.api_user,
                }
            ),
        )
        yield Application(aws, stack, portal)


@pytest.fixture
def application(deployed: Application) -> Application:
    """The deployed application, its portal behaving well again, without a token to begin with."""
    deployed.portal.knobs = Knobs()
    deployed.portal.expire_tokens()
    return deployed

"""The real template on emulated AWS; each test uses its own users."""

import json
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from bulk_user_deletion.bucket_keys import report_key
from bulk_user_deletion_cli.main import main
from local.engine import Engine
from local.portal import Knobs, PortalSimulator, Request
from tests.definition.loading import RESOURCES

PROJECT = Path(__file__).resolve().parents[2]
WAIT_SCALE = 0.001

Command = Callable[..., Result]

_names = count(1)


class Run:
    """A run that has ended: its execution, its report, and the portal's requests during it."""

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
        """The requests that could have changed something in the portal, except for tokens."""
        return [
            request
            for request in self.requests
            if request.method != "GET" and "get_token" not in request.path
        ]

    @property
    def renewals(self) -> int:
        """How many tokens the portal issued."""
        return sum("get_token" in request.path for request in self.requests)

    @property
    def outcomes(self) -> dict[str, str]:
        """Each entry's outcome."""
        return {row["entry"]: row["outcome"] for row in self.report["rows"]}


class Application:
    """A deployed stack with its own portal."""

    def __init__(self, aws: Engine, name: str, portal: PortalSimulator, **parameters: str) -> None:
        self.portal = portal
        self.portal.clock = aws.now
        self.aws = aws
        self.stack = aws.deploy(PROJECT, name, {"PortalUrl": portal.url, **parameters})
        self.outputs = self.stack.outputs
        self.functions = [
            physical
            for logical, physical in self.stack.resources.items()
            if RESOURCES.get(logical, {}).get("Type") == "AWS::Serverless::Function"
        ]
        self._sfn = aws.client("stepfunctions")
        self._s3 = aws.client("s3")
        self._taken = 110
        self._secrets = aws.client("secretsmanager")
        self.fill_credentials()

    def without_schedules(self) -> None:
        """Delete all schedules: after a jump the emulator fires them some seconds later."""
        scheduler = self.aws.client("scheduler")
        for schedule in scheduler.list_schedules()["Schedules"]:
            scheduler.delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])

    def age_leavers(self, *, days: int) -> None:
        """Make every leaver one who was disabled so many days ago, if time must not jump."""
        table, client = self.outputs["LedgerTableName"], self.aws.client("dynamodb")
        for item in client.scan(TableName=table)["Items"]:
            if item["pk"]["S"] == "leaver":
                client.update_item(
                    TableName=table,
                    Key={"pk": item["pk"], "sk": item["sk"]},
                    UpdateExpression="ADD due_at :days, seen_disabled_at :days",
                    ExpressionAttributeValues={":days": {"N": str(-days * 86_400)}},
                )

    def jump(self, *, days: float) -> None:
        """Let days pass at once, for AWS, the functions and the portal, once nothing is running."""
        for arn in self.executions():
            self.wait(arn)
        self.aws.jump(days * 86_400)

    def fill_credentials(self, **changes: str) -> None:
        """Write the credentials secret, as a person would."""
        credentials = {
            "application_id": self.portal.application_id,
            "application_key": self.portal.application_key,
            "user": self.portal.api_user,
            **changes,
        }
        self._secrets.put_secret_value(
            SecretId=self.outputs["CredentialsSecretArn"], SecretString=json.dumps(credentials)
        )

    def leavers(self, number: int) -> list[int]:
        """Take users that no other test uses: neither administrators nor the API's own user."""
        first, self._taken = self._taken, self._taken + number
        return list(range(first, first + number))

    def behave(self) -> None:
        """Remove all of the portal's faults and the token."""
        self.portal.knobs = Knobs()
        self.portal.faults.clear()
        self.portal.expire_tokens()

    def apply(self, users: Iterable[int | str], **request: Any) -> Run:
        """Apply a list of users, and wait for the end."""
        source = {"users": [str(user) for user in users]}
        return self.start({"mode": "apply", "source": source, **request})

    def preview(self, users: Iterable[int | str], **request: Any) -> Run:
        """Preview a list of users, and wait for the end."""
        return self.start({"source": {"users": [str(user) for user in users]}, **request})

    def start(self, request: dict[str, Any]) -> Run:
        """Start a run by hand, and wait for its end."""
        before = len(self.portal.requests)
        return self.ended(self.start_execution(request), before)

    def start_execution(self, request: dict[str, Any]) -> str:
        """Start a run by hand; return its execution's ARN."""
        return self._sfn.start_execution(
            stateMachineArn=self.outputs["StateMachineArn"],
            name=f"test-{next(_names)}",
            input=json.dumps(request),
        )["executionArn"]

    def order(self, order: dict[str, Any]) -> str:
        """Send an order; return what the execution says was done."""
        arn = self.start_execution(order)
        execution = self.wait(arn)
        assert execution["status"] == "SUCCEEDED", execution.get("cause")
        return str(json.loads(execution["output"])["nothing_because"])

    def input_of(self, run_id: str) -> Any:
        """The input of a run's execution."""
        [arn] = [arn for arn in self.executions() if arn.endswith(f":{run_id}")]
        return json.loads(self._sfn.describe_execution(executionArn=arn)["input"])

    def abort(self, arn: str) -> None:
        """Stop an execution, like someone in the console who does not know the stop button."""
        self._sfn.stop_execution(executionArn=arn)

    def closed(self, arn: str) -> Any:
        """Wait for the report of a run whose execution ended without one."""
        key = report_key(arn.rpartition(":")[2], "json")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                return self.read_json(key)
            except self._s3.exceptions.NoSuchKey:
                time.sleep(0.05)
        raise AssertionError(f"{arn} was not closed")

    def drop(self, name: str, content: bytes) -> Run:
        """Drop a file into the inbox, and wait for the end of the run that it starts."""
        before = len(self.portal.requests)
        known = set(self.executions())
        self.put(f"inbox/{name}", content)
        return self.ended(self.new_execution(known), before)

    def new_execution(self, known: set[str]) -> str:
        """Wait for an execution that no test has started; return its ARN."""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if new := set(self.executions()) - known:
                return new.pop()
            time.sleep(0.05)
        raise AssertionError("no execution was started")

    def put(self, key: str, content: bytes) -> None:
        """Put an object into the data bucket."""
        self._s3.put_object(Bucket=self.outputs["DataBucketName"], Key=key, Body=content)

    def read(self, key: str) -> bytes:
        """An object of the data bucket."""
        answer = self._s3.get_object(Bucket=self.outputs["DataBucketName"], Key=key)
        return answer["Body"].read()

    def read_json(self, key: str) -> Any:
        """A JSON document of the data bucket."""
        return json.loads(self.read(key))

    def ended(self, arn: str, before: int) -> Run:
        """Wait for the end of a run that started when the portal had received `before` requests."""
        execution = self.wait(arn)
        output = json.loads(execution.get("output") or "{}")
        run_id = output.get("run_id") or execution["name"]
        report = self.read_json(report_key(run_id, "json"))
        return Run(execution, report, self.portal.requests[before:])

    def executions(self) -> list[str]:
        """The ARNs of all executions of the state machine."""
        machine = self.outputs["StateMachineArn"]
        listed = self._sfn.list_executions(stateMachineArn=machine)["executions"]
        return [execution["executionArn"] for execution in listed]

    def is_running(self, arn: str) -> bool:
        """Return whether an execution is still running."""
        return bool(self._sfn.describe_execution(executionArn=arn)["status"] == "RUNNING")

    def wait(self, arn: str) -> dict[str, Any]:
        """Wait for an execution to end; return its description from Step Functions."""
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            execution = self._sfn.describe_execution(executionArn=arn)
            if execution["status"] != "RUNNING":
                return dict(execution)
            time.sleep(0.05)
        raise AssertionError(f"{arn} did not end")


@pytest.fixture(scope="session")
def aws() -> Iterator[Engine]:
    """One engine for all."""
    with Engine(wait_scale=WAIT_SCALE) as aws:
        yield aws


@pytest.fixture(scope="session")
def deployed(aws: Engine) -> Iterator[Application]:
    """A stack whose caps per day are high enough for all tests; dropped files are applied."""
    with PortalSimulator(users=1_000) as portal:
        yield Application(
            aws,
            "bulk-user-deletion",
            portal,
            FileDropMode="apply",
            MaxUsersPerDay="10000",
            MaxPercentPerDay="100",
        )


@pytest.fixture
def application(deployed: Application) -> Application:
    """The deployed application, with a portal without faults."""
    deployed.behave()
    return deployed


@pytest.fixture
def command(aws: Engine, monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `bulk-user-deletion` with these arguments, its AWS the emulated one."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: object, typed: str = "") -> Result:
        return CliRunner().invoke(main, [str(part) for part in arguments], input=typed)

    return run


def said(result: Result) -> dict[str, Any]:
    """What a command with --json says: one document, and nothing else."""
    return dict(json.loads(result.stdout))


def states(result: Result) -> dict[str, str]:
    """The state of each thing that `doctor --json` looked at."""
    return {finding["what"]: finding["state"] for finding in said(result)["findings"]}

"""The application on the emulator, to run and inspect."""

import json
import re
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from bulk_user_deletion.bucket_keys import report_key, result_key
from local.engine import Engine
from local.portal import PortalSimulator
from local.portal.simulator import Request

PROJECT = Path(__file__).resolve().parent.parent

# So high that no cap is reached.
_NO_CAPS = {
    "MaxUsers": "100000",
    "MaxPercent": "100",
    "MaxUsersPerDay": "100000",
    "MaxPercentPerDay": "100",
    "MaxDisableUsers": "100000",
    "MaxDisablePercent": "100",
    "MaxDisableUsersPerDay": "100000",
    "MaxDisablePercentPerDay": "100",
}

_names = count(1)


@dataclass
class Run:
    """An ended run: the data of its execution, its report and the portal's log.

    `requests` are those that the portal received during the run, for its users or for none;
    `started` is on the clock of their `at`.
    """

    arn: str
    name: str
    status: str
    started: float
    seconds: float
    report: dict[str, Any]
    requests: list[Request]
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def deletes(self) -> list[Request]:
        """The DELETEs that succeeded, in order."""
        return good_deletes(self.requests)

    @property
    def seconds_per_user(self) -> float:
        """The time from one user's DELETE to the next."""
        return seconds_per_user(self.deletes)


def good_deletes(requests: Iterable[Request]) -> list[Request]:
    """Return the DELETEs that succeeded, in order."""
    return [request for request in requests if request.method == "DELETE" and request.status == 200]


def seconds_per_user(deletes: Sequence[Request]) -> float:
    """Return the mean time from one DELETE to the next."""
    return (deletes[-1].at - deletes[0].at) / (len(deletes) - 1)


class Application:
    """A deployed stack, for a portal that may also serve other stacks."""

    def __init__(self, aws: Engine, name: str, portal: PortalSimulator, **parameters: str) -> None:
        self._portal = portal
        parameters = {"PortalUrl": portal.url, **_NO_CAPS, **parameters}
        self.stack = aws.deploy(PROJECT, name, parameters)
        self.outputs = self.stack.outputs
        self._sfn = aws.client("stepfunctions")
        self._s3 = aws.client("s3")
        credentials = {
            "application_id": portal.application_id,
            "application_key": portal.application_key,
            "user": portal.api_user,
        }
        aws.client("secretsmanager").put_secret_value(
            SecretId=self.outputs["CredentialsSecretArn"], SecretString=json.dumps(credentials)
        )

    def apply(self, user_ids: Sequence[int], **request: str) -> Run:
        """Delete these users, all in one dataset, or what `request` asks for; wait for the end."""
        ids = ", ".join(map(str, user_ids))
        dataset = self._portal.add_dataset(
            f"SELECT user_id FROM user WHERE user_id IN ({ids})"  # noqa: S608 -- our own ids
        )
        before, started = len(self._portal.requests), time.monotonic()
        arn = self._sfn.start_execution(
            stateMachineArn=self.outputs["StateMachineArn"],
            name=f"bench-{next(_names)}",
            input=json.dumps({"mode": "apply", "source": {"dataset_id": dataset}, **request}),
        )["executionArn"]
        while (execution := self._sfn.describe_execution(executionArn=arn))["status"] == "RUNNING":
            time.sleep(0.2)
        ours = set(user_ids)
        return Run(
            arn=arn,
            name=execution["name"],
            status=execution["status"],
            started=started,
            seconds=time.monotonic() - started,
            report=self._report(execution["name"]),
            requests=[
                request
                for request in self._portal.requests[before:]
                if request.user_id is None or request.user_id in ours
            ],
            events=list(self.events(arn)),
        )

    def preview(self, name: str, content: bytes) -> float:
        """Drop a file, and wait for its answer; return the seconds until it was there."""
        bucket, key = self.outputs["DataBucketName"], f"inbox/{name}"
        started = time.monotonic()
        self._s3.put_object(Bucket=bucket, Key=key, Body=content)
        answer = result_key(key)
        while not self._s3.list_objects_v2(Bucket=bucket, Prefix=answer)["KeyCount"]:
            time.sleep(0.05)
        seconds = time.monotonic() - started
        said = json.loads(self._s3.get_object(Bucket=bucket, Key=answer)["Body"].read())
        if said["status"] != "PREVIEWED":
            raise RuntimeError(f"The answer is {said['status']}, no preview.")
        return seconds

    def events(self, arn: str) -> Iterator[dict[str, Any]]:
        """Yield an execution's history."""
        pages = self._sfn.get_paginator("get_execution_history").paginate(executionArn=arn)
        for page in pages:
            yield from (dict(event) for event in page["events"])

    def child_events(self, name: str) -> Iterator[list[dict[str, Any]]]:
        """Yield the histories of a run's child executions."""
        machine = self.outputs["StateMachineArn"]
        arn = f"{machine.replace(':stateMachine:', ':execution:')}:{name}"
        runs = self._sfn.list_map_runs(executionArn=arn)["mapRuns"]
        for run in runs:
            pages = self._sfn.get_paginator("list_executions").paginate(mapRunArn=run["mapRunArn"])
            for page in pages:
                for child in page["executions"]:
                    yield list(self.events(child["executionArn"]))

    def _report(self, name: str) -> dict[str, Any]:
        body = self._s3.get_object(
            Bucket=self.outputs["DataBucketName"], Key=report_key(name, "json")
        )["Body"]
        report: dict[str, Any] = json.loads(body.read())
        return report


def transitions(events: Iterable[dict[str, Any]]) -> Counter[str]:
    """Count the states that were entered, by name: Step Functions charges for these."""
    return Counter(
        event["stateEnteredEventDetails"]["name"]
        for event in events
        if event["type"].endswith("StateEntered")
    )


_PAYLOADS = re.compile("input|output|parameters")


def largest_payload(events: Iterable[dict[str, Any]]) -> int:
    """Return the size in bytes of the largest input or output in a history."""
    return max(
        (
            len(text.encode())
            for event in events
            for details in event.values()
            if isinstance(details, dict)
            for name, text in details.items()
            if _PAYLOADS.fullmatch(name) and isinstance(text, str)
        ),
        default=0,
    )

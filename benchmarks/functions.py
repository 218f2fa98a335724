"""The functions, each in its own process as on Lambda: time, memory, and calls to AWS."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.application import Application
from local.engine import Engine

PROJECT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Invocation:
    """What an invocation returned or raised, and its cost; `peak_mb` is the process's so far.

    `calls` counts the calls to AWS by operation, `writes` and `reads` DynamoDB's units, `written`
    and `read` these by the partition of the ledger.
    """

    result: Any
    error: str
    message: str
    seconds: float
    cpu_seconds: float
    peak_mb: float
    calls: dict[str, int]
    writes: int
    reads: int
    written: dict[str, int]
    read: dict[str, int]


def environment(aws: Engine, application: Application, **changes: str) -> dict[str, str]:
    """Return the variables that the deployed functions have."""
    name = application.stack.resources["DeleteUserFunction"]
    configuration = aws.client("lambda").get_function_configuration(FunctionName=name)
    paths = os.pathsep.join([str(PROJECT), str(PROJECT / "layers" / "shared")])
    return {
        **configuration["Environment"]["Variables"],
        **aws.environment,
        "PATH": os.defpath,
        "PYTHONPATH": paths,
        **changes,
    }


def invoke(
    function: str, events: Sequence[Mapping[str, Any]], variables: Mapping[str, str]
) -> list[Invocation]:
    """Invoke a function with each event, all in one new process."""
    answer = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "benchmarks.worker", function],
        input=json.dumps(list(events)).encode(),
        env=dict(variables),
        stdout=subprocess.PIPE,
        check=True,
        cwd=PROJECT,
    ).stdout
    return [Invocation(**line) for line in json.loads(answer.splitlines()[-1])]


def renew(run_id: str, cause: str, variables: Mapping[str, str]) -> Invocation:
    """Invoke RefreshToken for a caller whose token was rejected."""
    event = {
        "run_id": run_id,
        "token": {"version_id": None, "renewals": 0},
        "rejection": {"Error": "TokenRejected", "Cause": cause},
    }
    [renewed] = invoke("refresh_token", [event], variables)
    return renewed


def user_events(
    run: Mapping[str, Any], batch: Invocation, users: Sequence[str]
) -> list[dict[str, Any]]:
    """Return the event of DeleteUser or SwitchUser for each of these users of a batch."""
    return [
        {
            **run,
            "batch_key": batch.result["key"],
            "user_id": user,
            "token": {"version_id": None, "renewals": 0},
            "progress": {"finished": False, "wait_seconds": 0, "tries": 0},
        }
        for user in users
    ]


def report(event: Mapping[str, Any], variables: Mapping[str, str]) -> Invocation:
    """Invoke ReportRun for a run that succeeded."""
    reported = with_token("report_run", {**event, "failure": None, "look": True}, variables)
    if reported.error:
        raise RuntimeError(reported.message)
    return reported


def with_token(function: str, event: Mapping[str, Any], variables: Mapping[str, str]) -> Invocation:
    """Invoke a function, and again with a token if it asks for one."""
    [first] = invoke(function, [{**event, "token": {"version_id": None, "renewals": 0}}], variables)
    if first.error != "TokenRejected":
        return first
    token = renew(event["run_id"], first.message, variables).result
    [second] = invoke(function, [{**event, "token": token}], variables)
    return second

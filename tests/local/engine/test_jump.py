"""The time of emulated AWS jumps, and everything that runs on it follows."""

import io
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local.engine import Engine, JumpError, clock
from local.engine.packaging import bootstrap

DAY = 86_400
NO_LAYER = Path("/nowhere")
ROLE = "arn:aws:iam::000000000000:role/any"

HANDLER = """
import os, time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

@dataclass
class Step:
    clock: Callable[[], float] = time.time

def handler(event, context):
    return {
        "process": os.getpid(),
        "times": [time.time(), Step().clock(), datetime.now(UTC).timestamp()],
        "monotonic": time.monotonic(),
        "remaining": context.get_remaining_time_in_millis(),
    }
"""


@pytest.fixture(scope="module")
def aws() -> Iterator[Engine]:
    with Engine() as aws:
        yield aws


def create_function(aws: Engine, name: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for path, body in {**bootstrap(NO_LAYER), "app.py": HANDLER.encode()}.items():
            archive.writestr(path, body)
    aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="provided.al2023",
        Role=ROLE,
        Handler="app.handler",
        Timeout=60,
        Code={"ZipFile": content.getvalue()},
    )


def invoke(aws: Engine, name: str) -> Any:
    answer = aws.client("lambda").invoke(FunctionName=name, Payload=b"{}")
    return json.load(answer["Payload"])


def waiting_for_an_answer(queue: str) -> dict[str, Any]:
    """A state in which an execution does more than wait: it has called something."""
    return {
        "Type": "Task",
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": queue, "MessageBody": {"token.$": "$$.Task.Token"}},
    }


def create_machine(aws: Engine, name: str, state: dict[str, Any]) -> str:
    definition = {"StartAt": "Only", "States": {"Only": {**state, "End": True}}}
    return aws.client("stepfunctions").create_state_machine(
        name=name, definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]


def is_now(aws: Engine, moment: float) -> bool:
    """Whether a moment is the time of emulated AWS, which may be in whole seconds."""
    return bool(moment == pytest.approx(aws.now(), abs=30))


def test_every_service_tells_the_time_after_a_jump(aws: Engine) -> None:
    real = time.time()
    aws.jump(31 * DAY)
    assert aws.now() - real >= 31 * DAY

    s3, tables = aws.client("s3"), aws.client("dynamodb")
    s3.create_bucket(Bucket="jumped")
    s3.put_object(Bucket="jumped", Key="a", Body=b"")
    head = s3.head_object(Bucket="jumped", Key="a")
    secret = aws.client("secretsmanager")
    arn = secret.create_secret(Name="jumped", SecretString="{}")["ARN"]
    table = tables.create_table(
        TableName="jumped",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    sfn = aws.client("stepfunctions")
    machine = create_machine(aws, "jumped", {"Type": "Pass"})
    started = sfn.start_execution(stateMachineArn=machine, name="jumped")
    execution = sfn.describe_execution(executionArn=started["executionArn"])

    date = head["ResponseMetadata"]["HTTPHeaders"]["date"]
    assert is_now(aws, parsedate_to_datetime(date).timestamp())
    assert is_now(aws, head["LastModified"].timestamp())
    assert is_now(aws, secret.describe_secret(SecretId=arn)["CreatedDate"].timestamp())
    assert is_now(aws, table["TableDescription"]["CreationDateTime"].timestamp())
    assert is_now(aws, execution["startDate"].timestamp())


def test_functions_that_run_already_and_new_ones_follow_each_jump(aws: Engine) -> None:
    create_function(aws, "warm")
    create_function(aws, "cold")
    before = invoke(aws, "warm")

    aws.jump(31 * DAY)
    after = invoke(aws, "warm")
    aws.jump(DAY / 2)
    later = invoke(aws, "warm")
    cold = invoke(aws, "cold")

    assert before["process"] == after["process"] == later["process"] != cold["process"]
    assert after["times"][0] - before["times"][0] == pytest.approx(31 * DAY, abs=30)
    assert later["times"][0] - after["times"][0] == pytest.approx(DAY / 2, abs=30)
    for answer in (later, cold):
        assert all(is_now(aws, moment) for moment in answer["times"])


def test_timeouts_stay_real(aws: Engine) -> None:
    create_function(aws, "timed")
    before = invoke(aws, "timed")

    aws.jump(31 * DAY)
    after = invoke(aws, "timed")

    assert 0 < after["monotonic"] - before["monotonic"] < 30
    assert after["remaining"] == pytest.approx(60_000, abs=10_000)


FOLLOW = """
import runpy, sys, time
from pathlib import Path

clock = runpy.run_path(sys.argv[1])
file = Path(sys.argv[2])
ours = clock["Clock"](file)
started = time.time() - time.monotonic()
for total in map(float, sys.argv[3:]):
    clock["write"](file, total)
    ours.follow()
    print(time.time() - time.monotonic() - started - total)
"""


@given(jumps=st.lists(st.floats(0, 400 * DAY), min_size=1, max_size=4))
@settings(max_examples=10)
def test_a_process_is_where_all_jumps_together_lead(jumps: list[float]) -> None:
    with TemporaryDirectory() as folder:
        totals = [str(total) for total in accumulate(jumps)]
        said = subprocess.run(
            [sys.executable, "-c", FOLLOW, clock.__file__, f"{folder}/clock", *totals],
            capture_output=True,
            text=True,
            check=True,
        )

    apart = [float(line) for line in said.stdout.split()]
    assert apart == pytest.approx([0.0] * len(jumps), abs=0.2)


def test_a_schedule_that_came_due_in_a_jump_fires_once(aws: Engine) -> None:
    scheduler, sfn = aws.client("scheduler"), aws.client("stepfunctions")
    tomorrow = datetime.fromtimestamp(aws.now() + DAY, UTC)
    machines = {}
    for name, expression in (("rate", "rate(1 day)"), ("at", f"at({tomorrow:%Y-%m-%dT%H:%M:%S})")):
        machines[name] = create_machine(aws, f"scheduled-{name}", {"Type": "Pass"})
        scheduler.create_schedule(
            Name=name,
            ScheduleExpression=expression,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": machines[name], "RoleArn": ROLE, "Input": "{}"},
        )

    aws.jump(31 * DAY)

    started: dict[str, list[float]] = {}
    deadline = time.monotonic() + 30
    while len(started) < len(machines) and time.monotonic() < deadline:
        time.sleep(0.1)
        for name, machine in machines.items():
            if found := sfn.list_executions(stateMachineArn=machine)["executions"]:
                started[name] = [execution["startDate"].timestamp() for execution in found]
    assert {name: len(moments) for name, moments in started.items()} == {"rate": 1, "at": 1}
    assert all(is_now(aws, moment) for [moment] in started.values())


def test_time_does_not_jump_while_an_execution_runs(aws: Engine) -> None:
    create_function(aws, "untouched")
    queue = aws.client("sqs").create_queue(QueueName="runs")["QueueUrl"]
    machine = create_machine(aws, "runs", waiting_for_an_answer(queue))
    sfn = aws.client("stepfunctions")
    arn = sfn.start_execution(stateMachineArn=machine, name="run-7")["executionArn"]
    before = aws.now()

    with pytest.raises(JumpError, match=r"Execution run-7 is running"):
        aws.jump(DAY)

    assert aws.now() - before < 60
    assert is_now(aws, invoke(aws, "untouched")["times"][0])
    sfn.stop_execution(executionArn=arn)
    aws.jump(DAY)
    assert aws.now() - before >= DAY


def test_time_jumps_while_executions_only_wait(aws: Engine) -> None:
    """As for a change window: none of their requests is in progress."""
    machine = create_machine(aws, "waits", {"Type": "Wait", "Seconds": 600})
    sfn = aws.client("stepfunctions")
    arn = sfn.start_execution(stateMachineArn=machine, name="run-8")["executionArn"]
    history = sfn.get_execution_history
    while history(executionArn=arn)["events"][-1]["type"] != "WaitStateEntered":
        time.sleep(0.01)
    before = aws.now()

    aws.jump(DAY)

    assert aws.now() - before >= DAY
    sfn.stop_execution(executionArn=arn)


@pytest.mark.parametrize("seconds", [0, -1, float("inf"), float("nan")])
def test_time_only_jumps_forward(aws: Engine, seconds: float) -> None:
    before = aws.now()

    with pytest.raises(JumpError, match="forward"):
        aws.jump(seconds)

    assert aws.now() - before < 60


def test_a_function_that_was_idle_for_weeks_has_been_woken_when_the_time_is_over(
    aws: Engine,
) -> None:
    create_function(aws, "asleep")
    aws.refuse_invocations("asleep", "Lambda.ResourceNotReadyException", seconds=600)

    assert invoke(aws, "asleep")["errorType"] == "Lambda.ResourceNotReadyException"
    aws.jump(500)
    assert invoke(aws, "asleep")["errorType"] == "Lambda.ResourceNotReadyException"
    aws.jump(101)
    assert "times" in invoke(aws, "asleep")


def test_an_operators_command_has_the_time_of_emulated_aws(aws: Engine) -> None:
    aws.jump(DAY)

    said = subprocess.run(
        [sys.executable, "-c", "import time; print(time.time())"],
        env={**os.environ, "PYTHONPATH": str(aws.operators_clock())},
        capture_output=True,
        text=True,
        check=True,
    )

    assert is_now(aws, float(said.stdout))


def test_two_engines_have_two_times(aws: Engine) -> None:
    before = aws.now()
    with Engine() as other:
        other.jump(DAY)

        buckets = other.client("s3").list_buckets()
        date = buckets["ResponseMetadata"]["HTTPHeaders"]["date"]
        assert is_now(other, parsedate_to_datetime(date).timestamp())
    assert aws.now() - before < 60

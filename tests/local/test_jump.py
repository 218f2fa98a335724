"""The whole application jumps by days: emulated AWS, the functions, the portal and the commands."""

import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bulk_user_deletion.bucket_keys import report_key
from local.__main__ import main
from local.engine import Engine, EngineTime
from local.jump import announced
from local.portal import PortalSimulator
from tests.end_to_end.conftest import Application, Run
from tests.local.engine.test_jump import waiting_for_an_answer

PROJECT = Path(__file__).resolve().parents[2]
DAY = 86_400
DAYS = 31


@pytest.fixture(scope="module")
def application() -> Iterator[Application]:
    with PortalSimulator(users=200) as portal, Engine(wait_scale=0.001) as aws:
        yield Application(aws, "jumping", portal, PlanMaxAgeHours="24")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def plan_of(preview: Run) -> dict[str, Any]:
    """The request that applies what a preview planned."""
    plan = {"run_id": preview.id, "sha256": preview.report["plan_sha256"]}
    return {"mode": "apply", "plan": plan}


def test_a_run_after_a_jump_is_that_much_later_everywhere(application: Application) -> None:
    aws, portal = application.aws, application.portal
    users = application.leavers(2)
    first = application.preview(users)
    tokens = len(portal.tokens())

    application.jump(days=DAYS)
    second = application.preview(users)

    assert [run.report["status"] for run in (first, second)] == ["PREVIEWED", "PREVIEWED"]
    began, began_later = (moment(run.report["started_at"]) for run in (first, second))
    assert began_later - began == pytest.approx(DAYS * DAY, abs=120)
    sfn, s3 = aws.client("stepfunctions"), aws.client("s3")
    [arn] = [arn for arn in application.executions() if arn.endswith(f":{second.id}")]
    execution = sfn.describe_execution(executionArn=arn)
    assert execution["startDate"].timestamp() == pytest.approx(began_later, abs=60)
    report = s3.head_object(
        Bucket=application.outputs["DataBucketName"], Key=report_key(second.id, "json")
    )
    assert report["LastModified"].timestamp() == pytest.approx(began_later, abs=60)
    assert {request.when // DAY for request in second.requests} <= {
        began_later // DAY,
        began_later // DAY + 1,
    }
    assert len(portal.tokens()) == tokens + 1  # the old one has expired
    assert not {request.status for request in second.requests} & {401, 412}


def test_a_plan_of_before_a_jump_is_too_old_to_be_applied(application: Application) -> None:
    users = application.leavers(2)
    before = application.portal.user_ids()
    planned = application.preview(users)

    application.jump(days=25 / 24)
    late = application.start(plan_of(planned))

    assert late.report["status"] == "REFUSED"
    assert "plans may be applied for 24 hours" in late.report["sentence"]
    assert late.writes == []
    assert application.portal.user_ids() == before
    again = application.preview(users)
    application.jump(days=23 / 24)
    assert application.start(plan_of(again)).outcomes == {str(user): "deleted" for user in users}
    assert application.portal.user_ids() == before - set(users)


# From another terminal


class Up:
    """`python -m local up` in its own process, and what it tells the operator to type."""

    def __init__(self, folder: Path) -> None:
        self.output = folder / "output"
        with self.output.open("w") as written:
            self.process = subprocess.Popen(
                [sys.executable, "-u", "-m", "local", "up"],
                cwd=PROJECT,
                stdout=written,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 60
        while "Interrupt to end it" not in (said := self.output.read_text()):
            assert time.monotonic() < deadline, said
            assert self.process.poll() is None, said
            time.sleep(0.05)
        [self.endpoint] = re.findall(r"AWS_ENDPOINT_URL=(\S+)", said)
        [self.clock] = re.findall(r"PYTHONPATH=(\S+)", said)
        [self.dataset] = re.findall(r"--dataset (\d+)", said)
        self.environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
        }

    def jump(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Let time pass, as a person in another terminal does."""
        return command([sys.executable, "-m", "local", "jump", *arguments], self.environment)

    def operator(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Type one of the operator's commands, as the alias that it printed does."""
        return command(
            [str(Path(sys.executable).with_name("bulk-user-deletion")), *arguments],
            {**self.environment, "PYTHONPATH": self.clock},
        )


def command(line: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        line, cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    up = Up(tmp_path)
    try:
        yield up
    finally:
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(timeout=30) == 0


def test_a_person_lets_days_pass_for_what_is_up(up: Up) -> None:
    first = json.loads(up.operator("preview", "--dataset", up.dataset, "--json").stdout)
    real = time.time()

    jumped = up.jump("--days", "31")

    assert jumped.returncode == 0, jumped.stderr
    said = re.fullmatch(r"31 days later: (\S+ \S+) UTC\.\n", jumped.stdout)
    assert said, jumped.stdout
    now = datetime.fromisoformat(f"{said[1]}+00:00").timestamp()
    assert now - real == pytest.approx(31 * DAY, abs=60)
    second = json.loads(up.operator("preview", "--dataset", up.dataset, "--json").stdout)
    assert first["outcomes"] == second["outcomes"]
    # The commands have that time too: doctor compares their clock and the portal's with AWS's.
    found = json.loads(up.operator("doctor", "--json").stdout)
    states = {finding["what"]: finding["state"] for finding in found["findings"]}
    assert (states["Clock of this machine"], states["Clock of the portal"]) == ("well", "well")


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder in which what is up is announced."""
    monkeypatch.setattr("local.jump._FOLDER", tmp_path)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    return tmp_path


@contextmanager
def announcement(folder: Path, time: EngineTime, *, name: str = "up-1") -> Iterator[Path]:
    """An announcement of a process that is still running."""
    file = folder / f"{name}.json"
    file.write_text(json.dumps(asdict(time)))
    with file.open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield file


def refusal(*arguments: str) -> str:
    """What `python -m local jump` says when it refuses."""
    ended = CliRunner().invoke(main, ["jump", *arguments])
    assert ended.exit_code != 0, ended.output
    return ended.stderr


def test_without_anything_up_a_jump_is_refused(folder: Path) -> None:
    assert "run `python -m local up`" in refusal("--days", "1")


@pytest.mark.parametrize("days", ["0", "-1", "nan", "soon"])
def test_days_that_are_no_time_to_come_are_refused(folder: Path, days: str) -> None:
    with announcement(folder, EngineTime("http://127.0.0.1:1", os.getpid(), str(folder / "clock"))):
        assert refusal("--days", days)

    assert not (folder / "clock").exists()


def test_what_a_process_that_was_killed_has_left_is_not_obeyed(folder: Path) -> None:
    stranger = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        time = EngineTime("http://127.0.0.1:1", stranger.pid, str(folder / "clock"))
        with announcement(folder, time) as left:
            pass

        assert "Nothing is up" in refusal("--days", "1")

        assert not left.exists()
        assert not (folder / "clock").exists()
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.communicate()


def test_a_jump_elsewhere_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://states.example.com")
    with announcement(folder, EngineTime("http://127.0.0.1:1", os.getpid(), str(folder / "clock"))):
        said = refusal("--days", "1")

    assert "https://states.example.com is not what `python -m local up` keeps running" in said
    assert not (folder / "clock").exists()


def test_of_several_that_are_up_one_must_be_named(folder: Path) -> None:
    here, there = (EngineTime(f"http://127.0.0.1:{n}", os.getpid(), "clock") for n in (1, 2))
    with announcement(folder, here), announcement(folder, there, name="up-2"):
        said = refusal("--days", "1")

    assert "--endpoint, one of http://127.0.0.1:1, http://127.0.0.1:2" in said


def test_a_jump_is_refused_while_an_execution_runs(folder: Path) -> None:
    with Engine() as aws, announced(aws):
        queue = aws.client("sqs").create_queue(QueueName="any")["QueueUrl"]
        state = waiting_for_an_answer(queue)
        definition = {"StartAt": "T", "States": {"T": {**state, "End": True}}}
        sfn = aws.client("stepfunctions")
        machine = sfn.create_state_machine(
            name="any", definition=json.dumps(definition), roleArn="arn:aws:iam::0:role/any"
        )["stateMachineArn"]
        sfn.start_execution(stateMachineArn=machine, name="run-7")
        before = aws.now()

        assert "Execution run-7 is running" in refusal("--days", "1")

        assert aws.now() - before < 60

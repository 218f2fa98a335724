"""Emulated AWS starts, deploys the real template, and leaves nothing behind."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.engine import DeployError, Engine

PROJECT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def aws() -> Iterator[Engine]:
    with Engine(wait_scale=0.001) as aws:
        yield aws


def test_a_stack_is_updated_with_a_changed_parameter(aws: Engine) -> None:
    parameters = {"PortalUrl": "https://portal.example.com"}
    stack = aws.deploy(PROJECT, "updated", parameters)
    before = stack.resources

    aws.deploy(PROJECT, "updated", {**parameters, "WaitSeconds": "5"})

    function = aws.client("lambda").get_function_configuration(
        FunctionName=stack.resources["DeleteUserFunction"]
    )
    assert function["Environment"]["Variables"]["WAIT_SECONDS"] == "5"
    assert stack.resources["LedgerTable"] == before["LedgerTable"]


def test_an_inactive_function_wakes_some_time_after_its_first_invocation(aws: Engine) -> None:
    stack = aws.deploy(PROJECT, "asleep", {"PortalUrl": "https://portal.example.com"})
    name = stack.resources["NextBatchFunction"]
    asleep = "Lambda.ResourceNotReadyException"

    def error() -> str:
        answer = aws.client("lambda").invoke(FunctionName=name, Payload=b"{}")
        return str(json.load(answer["Payload"])["errorType"])

    aws.refuse_invocations(name, asleep, seconds=600)
    assert error() == error() == asleep

    aws.refuse_invocations(name, asleep, seconds=0.2)
    time.sleep(0.3)  # not called, it stays inactive
    assert error() == asleep
    deadline = time.monotonic() + 60
    while (said := error()) == asleep:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert said == "KeyError"  # its own handler's: there is no run in this event

    aws.refuse_invocations(name, "Lambda.TooManyRequestsException")
    assert error() == "Lambda.TooManyRequestsException"
    aws.accept_invocations()
    assert error() == "KeyError"


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"PortalUrl": "http://portal.example.com"}, "PortalUrl"),
        ({"PortalUrl": "https://portal.example.com", "MaxPercent": "101"}, "MaxPercent"),
        ({"PortalUrl": "https://portal.example.com", "Maxusers": "5"}, "Maxusers"),
    ],
)
def test_a_parameter_that_the_template_refuses_is_named(
    aws: Engine, parameters: dict[str, str], said: str
) -> None:
    with pytest.raises(DeployError, match=said):
        aws.deploy(PROJECT, "refused", parameters)


def test_two_engines_do_not_disturb_each_other(aws: Engine) -> None:
    with Engine() as other:
        other.client("s3").create_bucket(Bucket="only-here")

        assert other.endpoint != aws.endpoint
        buckets = [bucket["Name"] for bucket in aws.client("s3").list_buckets()["Buckets"]]
        assert "only-here" not in buckets


def test_it_listens_on_one_loopback_address_only(aws: Engine) -> None:
    port = int(aws.endpoint.rpartition(":")[2])

    with pytest.raises(OSError, match=r"refused|unreachable|timed out|assign"):
        socket.create_connection(("127.0.0.2", port), timeout=1).close()


def test_nothing_of_the_callers_environment_is_passed_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a-real-one")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com")

    with Engine() as engine:
        environ = Path(f"/proc/{engine.pid}/environ")
        if not environ.exists():
            pytest.skip("this system does not show a process's environment")
        names = {entry.split(b"=")[0].decode() for entry in environ.read_bytes().split(b"\0")}

    assert not names & {"AWS_PROFILE", "AWS_SESSION_TOKEN", "HTTPS_PROXY"}


def test_nothing_is_left_running_when_it_ends() -> None:
    with Engine() as engine:
        pid, folder = engine.pid, engine.folder

    assert not folder.exists()
    with pytest.raises(ProcessLookupError):
        os.killpg(pid, 0)

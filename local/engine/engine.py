"""ministack as a process, and the stacks deployed on it."""

import json
import math
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload
from urllib.request import urlopen

from botocore.exceptions import ClientError

from local.engine import clock
from local.engine.client import REGION, client
from local.engine.jumping import EngineTime
from local.engine.packaging import package
from local.engine.runtime_client import REFUSALS

if TYPE_CHECKING:
    from mypy_boto3_cloudformation import CloudFormationClient
    from mypy_boto3_lambda import LambdaClient
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_secretsmanager import SecretsManagerClient
    from mypy_boto3_stepfunctions import SFNClient

_PYTHON = Path(__file__).resolve().parents[2] / ".venv-ministack" / "bin" / "python"
_PACKAGES = "packages"
_START_SECONDS = 30
_DEPLOY_SECONDS = 120


class Engine:
    """Emulated AWS on a free port of the loopback address, while the context is active.

    `wait_scale` is the factor on every Wait state and on every Retry's interval.
    """

    def __init__(self, *, wait_scale: float = 1.0) -> None:
        self._wait_scale = wait_scale
        self._folder = tempfile.TemporaryDirectory(prefix="engine-")
        self._clock = self.folder / "clock"
        self.endpoint = f"http://127.0.0.1:{_free_port()}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "NO_PROXY": "127.0.0.1",
        }

    @property
    def pid(self) -> int:
        """The process, and the process group that functions run in."""
        return self._process.pid

    @property
    def folder(self) -> Path:
        """The folder for its files, until it ends."""
        return Path(self._folder.name)

    @property
    def _refusals(self) -> Path:
        return self.folder / "refusals"

    def __enter__(self) -> Self:
        # Nothing from the caller's environment is passed on: no profile, no credentials, no proxy.
        environment = {
            **self.environment,
            "PATH": os.defpath,
            "HOME": self._folder.name,
            "TMPDIR": self._folder.name,
            "BIND_HOST": "127.0.0.1",
            "GATEWAY_PORT": self.endpoint.rpartition(":")[2],
            "SFN_WAIT_SCALE": str(self._wait_scale),
            REFUSALS: str(self._refusals),
            clock.CLOCK: str(self._clock),
        }
        if not _PYTHON.exists():
            raise RuntimeError("The emulator is not installed: run `make setup`.")
        self._refusals.mkdir()
        self._log = (Path(self._folder.name) / "ministack.log").open("wb")
        self._process = subprocess.Popen(  # noqa: S603
            # -P: ministack must not import our modules by their names.
            [str(_PYTHON), "-P", clock.__file__, "ministack"],
            env=environment,
            cwd=self._folder.name,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            self._wait_until_it_answers()
            self.client("s3").create_bucket(Bucket=_PACKAGES)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    @overload
    def client(self, service: Literal["cloudformation"]) -> "CloudFormationClient": ...
    @overload
    def client(self, service: Literal["lambda"]) -> "LambdaClient": ...
    @overload
    def client(self, service: Literal["logs"]) -> "CloudWatchLogsClient": ...
    @overload
    def client(self, service: Literal["s3"]) -> "S3Client": ...
    @overload
    def client(self, service: Literal["secretsmanager"]) -> "SecretsManagerClient": ...
    @overload
    def client(self, service: Literal["stepfunctions"]) -> "SFNClient": ...
    @overload
    def client(self, service: str) -> Any: ...
    def client(self, service: str) -> Any:
        """Return a boto3 client of the emulated service."""
        return client(self.endpoint, service)

    def deploy(
        self,
        project: Path,
        name: str,
        parameters: Mapping[str, str],
        *,
        timeout_scale: float = 1,
    ) -> "Stack":
        """Create or update a stack from the project's template, and wait until it is ready.

        `timeout_scale` is the factor on every timeout, of functions, states and requests.

        Raises:
            DeployError: with CloudFormation's reason.
        """
        stack = Stack(self, name)
        template = package(project, self._upload, timeout_scale=timeout_scale)
        stack.deploy(template, parameters)
        return stack

    def refuse_invocations(self, function: str, error: str, *, seconds: float = math.inf) -> None:
        """Make Lambda refuse a function's invocations with an error, as named by Step Functions.

        `function` is its physical name. With `seconds` it acts like a function that was idle for
        weeks: its first invocation wakes it, and all are refused until `seconds` later.
        """
        refusal = self._refusals / function
        refusal.with_suffix(".first").unlink(missing_ok=True)
        refusal.write_text(json.dumps([error, seconds]))

    def accept_invocations(self) -> None:
        """Stop refusing invocations."""
        for refusal in self._refusals.iterdir():
            refusal.unlink()

    @property
    def time(self) -> EngineTime:
        """Its time, for this process or another one."""
        return EngineTime(self.endpoint, self.pid, str(self._clock))

    def now(self) -> float:
        """Return the time of emulated AWS, in seconds of the epoch."""
        return self.time.now()

    def jump(self, seconds: float) -> None:
        """Let time pass at once, for emulated AWS and the functions; timeouts stay real.

        Raises:
            JumpError: an execution is running, or time would not go forward.
        """
        self.time.jump(seconds)

    def operators_clock(self) -> Path:
        """Return a folder for PYTHONPATH: commands that are started with it have AWS's time."""
        folder = self.folder / "operator"
        folder.mkdir(exist_ok=True)
        # Python imports this module when it starts.
        (folder / "sitecustomize.py").write_text(
            "import pathlib, runpy\n"
            f"clock = runpy.run_path({clock.__file__!r})\n"
            f"clock['Clock'](pathlib.Path({str(self._clock)!r})).follow()\n"
        )
        return folder

    def logs(self, group: str) -> list[str]:
        """Return the lines of a log group."""
        logs = self.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group)
        return [event["message"] for page in pages for event in page["events"]]

    def upload_template(self, template: str) -> str:
        """Store a template, and return its URL for CloudFormation."""
        body = template.encode()
        key = f"{sha256(body).hexdigest()}.template.json"
        self._upload(key, body)
        return f"{self.endpoint}/{_PACKAGES}/{key}"

    def _upload(self, key: str, body: bytes) -> str:
        self.client("s3").put_object(Bucket=_PACKAGES, Key=key, Body=body)
        return f"s3://{_PACKAGES}/{key}"

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                with urlopen(f"{self.endpoint}/_ministack/health", timeout=1):  # noqa: S310
                    return
            except OSError:
                time.sleep(0.05)
        raise RuntimeError(f"ministack did not start: {Path(self._log.name).read_text()[-2000:]}")

    def _stop(self) -> None:
        # Functions are processes of the same group, so they end with it.
        for stop in (15, 9):
            try:
                os.killpg(self._process.pid, stop)
                self._process.wait(timeout=5)
            except ProcessLookupError:
                break
            except subprocess.TimeoutExpired:
                continue
        self._log.close()
        self._folder.cleanup()


class DeployError(Exception):
    """CloudFormation could not create or update the stack."""


class Stack:
    """A deployed stack."""

    def __init__(self, engine: Engine, name: str) -> None:
        self._client = engine.client("cloudformation")
        self._upload_template = engine.upload_template
        self.name = name

    @property
    def outputs(self) -> dict[str, str]:
        """The template's outputs."""
        stack = self._client.describe_stacks(StackName=self.name)["Stacks"][0]
        return {output["OutputKey"]: output["OutputValue"] for output in stack.get("Outputs", [])}

    @property
    def resources(self) -> dict[str, str]:
        """The physical ids, keyed by logical id."""
        resources = self._client.describe_stack_resources(StackName=self.name)["StackResources"]
        return {item["LogicalResourceId"]: item["PhysicalResourceId"] for item in resources}

    def deploy(self, template: str, parameters: Mapping[str, str]) -> None:
        """Create the stack, or update it."""
        # CloudFormation refuses these; the emulator does not.
        known = json.loads(template)["Parameters"]
        if unknown := parameters.keys() - known.keys():
            raise DeployError(
                f"The template has no parameter {', '.join(sorted(unknown))}."
                f" It has {', '.join(known)}."
            )
        settings: Any = {
            "StackName": self.name,
            # By its URL: a body may have at most 51,200 bytes, and this template is larger.
            # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
            "TemplateURL": self._upload_template(template),
            "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
            "Parameters": [
                {"ParameterKey": name, "ParameterValue": value}
                for name, value in parameters.items()
            ],
        }
        change = self._client.update_stack if self._exists() else self._client.create_stack
        try:
            change(**settings)
        except ClientError as error:
            raise DeployError(error.response["Error"]["Message"]) from None
        status = self._wait()
        if status not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
            raise DeployError(f"{status}: {self._reasons()}")

    def delete(self) -> None:
        """Delete the stack."""
        self._client.delete_stack(StackName=self.name)
        self._wait()

    def _exists(self) -> bool:
        try:
            self._client.describe_stacks(StackName=self.name)
        except ClientError:
            return False
        return True

    def _wait(self) -> str:
        deadline = time.monotonic() + _DEPLOY_SECONDS
        while time.monotonic() < deadline:
            if not self._exists():
                return "DELETE_COMPLETE"
            status = self._client.describe_stacks(StackName=self.name)["Stacks"][0]["StackStatus"]
            if not status.endswith("_IN_PROGRESS"):
                return status
            time.sleep(0.1)
        raise DeployError(f"The stack was not ready after {_DEPLOY_SECONDS} s.")

    def _reasons(self) -> str:
        events = self._client.describe_stack_events(StackName=self.name)["StackEvents"]
        return "; ".join(
            f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}"
            for event in events
            if event["ResourceStatus"].endswith("FAILED") and event.get("ResourceStatusReason")
        )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

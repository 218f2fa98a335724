"""The real definition on moto's interpreter, its functions called over HTTP as Lambda is.

It is stricter than the emulator: a path that was not set fails the state. Its Waits and the pauses
between retries take no time; the seconds that they would have waited are recorded.
"""

import importlib
import json
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_sfn import (  # noqa: E501
    StateTaskServiceSfn,
)
from moto.stepfunctions.parser.asl.component.state.wait.wait_function.wait_function import (
    WaitFunction,
)
from moto.stepfunctions.parser.asl.eval.event.event_manager import EventManager

from bulk_user_deletion.adapters import adapters
from tests.definition.loading import definition, snake_case, states
from tests.functions.stack import Context, Stack

_SECONDS = 60
_STARTED = {"Started": {"Type": "Succeed"}}


@dataclass
class Execution:
    """An execution that has ended, and what the interpreter did.

    `states` are the names in the order they were entered, those of child executions among them;
    `payloads` what went into and out of every state, and to and from every function, by its name.
    """

    status: str
    error: str
    cause: str
    output: Any
    states: list[str]
    waits: list[float]
    calls: Counter[str]
    payloads: dict[str, list[str]]


@dataclass
class Functions:
    """An endpoint that invokes the real handlers and answers as Lambda does.

    `trouble` holds, for a function, what happens to its next calls, in order: an error's name
    replaces the call, a callable is called first, None lets the call succeed. `after` holds what is
    called once after a function has done its work.
    """

    trouble: dict[str, list[str | Callable[[], object] | None]] = field(
        default_factory=lambda: defaultdict(list)
    )
    after: dict[str, Callable[[], object]] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    payloads: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def served(self) -> Iterator[str]:
        """Serve on a free port of the loopback address; yield the address."""
        functions = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                name = self.path.split("/functions/")[1].split("/")[0].rpartition("%3A")[2]
                status, headers, answer = functions.invoke(name.rpartition(":")[2], body)
                self.send_response(status)
                for header, value in {**headers, "Content-Length": str(len(answer))}.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def invoke(self, function: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Call a handler; return the status, headers and body of Lambda's answer."""
        self.calls[function] += 1
        script = self.trouble[function]
        trouble = script.pop(0) if script else None
        if callable(trouble):
            trouble()
        elif trouble and trouble.startswith("Lambda."):
            error = {"x-amzn-ErrorType": trouble.removeprefix("Lambda."), "x-amzn-RequestId": "1"}
            return 429, error, b'{"message": "Rate exceeded"}'
        elif trouble:
            return _unhandled(trouble, "in place of the call")
        app = importlib.import_module(f"functions.{snake_case(function)}.app")
        try:
            result = app.lambda_handler(json.loads(body), Context())
        except Exception as error:  # noqa: BLE001 -- as Lambda does
            return _unhandled(type(error).__name__, str(error))
        if function in self.after:
            self.after.pop(function)()
        answer = json.dumps(result)
        self.payloads[function] += [body.decode(), answer]
        return 200, {}, answer.encode()


def _as_the_api_spells_them(_: Any, parameters: dict[str, Any], **__: Any) -> None:
    """Spell the parameters of StartExecution as the API does, which moto leaves out."""
    for name, value in [*parameters.items()]:
        parameters[name[0].lower() + name[1:]] = parameters.pop(name)
        if name == "Input":
            parameters["input"] = json.dumps(value)


def _unhandled(name: str, message: str) -> tuple[int, dict[str, str], bytes]:
    body = {"errorMessage": message, "errorType": name, "stackTrace": []}
    return 200, {"X-Amz-Function-Error": "Unhandled"}, json.dumps(body).encode()


class SecondEngine:
    """The state machine in moto, over a stack whose functions it calls."""

    def __init__(self, stack: Stack, functions: Functions, patch: pytest.MonkeyPatch) -> None:
        self.stack = stack
        self.functions = functions
        self.trouble = functions.trouble
        self._patch = patch
        self.during_waits: Callable[[], object] = lambda: None
        self._waits: list[float] = []
        self._events: list[tuple[str, str]] = []
        patch.setattr(
            WaitFunction, "_wait_interval", lambda _, env, wait_seconds: self._wait(wait_seconds)
        )
        patch.setattr(retrier_decl, "time", SimpleNamespace(sleep=lambda _: None))
        patch.setattr(EventManager, "add_event", self._noting(EventManager.add_event))
        patch.setattr(StateTaskServiceSfn, "_normalise_parameters", _as_the_api_spells_them)
        machine = definition()
        for state in ("DeleteUsers", "SwitchUsers"):
            # moto wants this one as a float.
            machine["States"][state]["ToleratedFailurePercentage"] = 100.0
        self._client = boto3.client("stepfunctions")
        # What a paused run starts ends at once here: its own path is executed by a test.
        self.started_machine = self._create("started", {"StartAt": "Started", "States": _STARTED})
        machine["States"]["ResumeAtNextWindow"]["Parameters"].pop("StateMachineArn.$")
        machine["States"]["ResumeAtNextWindow"]["Parameters"]["StateMachineArn"] = (
            self.started_machine
        )
        self._names = set(states(machine))
        self._machine = self._create("bulk-user-deletion", machine)

    def _create(self, name: str, machine: dict[str, Any]) -> str:
        return self._client.create_state_machine(
            name=name,
            definition=json.dumps(machine),
            roleArn="arn:aws:iam::123456789012:role/machine",
        )["stateMachineArn"]

    def set_parameter(self, variable: str, value: str) -> None:
        """Update the stack with another value of a variable that the template sets."""
        self._patch.setenv(variable, value)
        adapters.cache_clear()

    def delete_started_machine(self) -> None:
        """Make it impossible to start what resumes a paused run."""
        self._client.delete_state_machine(stateMachineArn=self.started_machine)

    def started(self) -> list[str]:
        """The names of the executions that paused runs have started."""
        found = self._client.list_executions(stateMachineArn=self.started_machine)["executions"]
        return [execution["name"] for execution in found]

    def execute(self, request: Any, name: str = "run-1") -> Execution:
        """Start an execution, and wait for its end."""
        self._events.clear()
        self._waits.clear()
        self.functions.calls.clear()
        self.functions.payloads.clear()
        arn = self._client.start_execution(
            stateMachineArn=self._machine, name=name, input=json.dumps(request)
        )["executionArn"]
        deadline = time.monotonic() + _SECONDS
        while (ended := self._client.describe_execution(executionArn=arn))["status"] == "RUNNING":
            assert time.monotonic() < deadline, "the execution did not end"
            time.sleep(0.01)
        payloads = {function: list(said) for function, said in self.functions.payloads.items()}
        for state, payload in self._events:
            payloads.setdefault(state, []).append(payload)
        failed = self._client.get_execution_history(executionArn=arn)["events"][-1]
        details = failed.get("executionFailedEventDetails", {})
        return Execution(
            status=ended["status"],
            error=details.get("error", ""),
            cause=details.get("cause", ""),
            output=json.loads(ended.get("output") or "null"),
            states=[
                name.removesuffix(" >")
                for name, _ in self._events
                if name.endswith(" >") and name.removesuffix(" >") in self._names
            ],
            waits=list(self._waits),
            calls=Counter(self.functions.calls),
            payloads=payloads,
        )

    def _wait(self, seconds: float) -> None:
        self._waits.append(seconds)
        self.during_waits()

    def _noting(self, add_event: Callable[..., int]) -> Callable[..., int]:
        def noted(manager: Any, *args: Any, **kwargs: Any) -> int:
            details = kwargs.get("event_details") or {}
            if entered := details.get("stateEnteredEventDetails"):
                self._events.append((f"{entered['name']} >", entered["input"]))
            if exited := details.get("stateExitedEventDetails"):
                self._events.append((exited["name"], exited["output"]))
            return add_event(manager, *args, **kwargs)

        return noted

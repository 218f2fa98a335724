"""A client of the Lambda Runtime API, run by each function's `bootstrap` on the emulator.

It does what AWS's own client (awslambdaric) does, without a wheel to compile: take the next event,
call the handler, answer with its result or its error.
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html

It also refuses invocations on behalf of Lambda: the emulator has no inactive, disabled or broken
functions (`Engine.refuse_invocations`). And the function has the engine's time (`Engine.jump`).
"""

import importlib
import json
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NoReturn

from local.engine.clock import CLOCK, Clock

_API = "/2018-06-01/runtime"

# The environment variable with the folder that says which functions' invocations are refused.
REFUSALS = "ENGINE_REFUSALS"


class LambdaContext:
    """The context of an invocation for its handler."""

    def __init__(self, request_id: str, deadline_ms: int, function_arn: str) -> None:
        self.aws_request_id = request_id
        self.invoked_function_arn = function_arn
        self.function_name = os.environ["AWS_LAMBDA_FUNCTION_NAME"]
        self.function_version = os.environ["AWS_LAMBDA_FUNCTION_VERSION"]
        self.memory_limit_in_mb = int(os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"])
        self.log_stream_name = os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self._deadline_ms = deadline_ms

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out."""
        return max(0, self._deadline_ms - int(time.time() * 1000))


class RuntimeApi:
    """The four calls of the Runtime API."""

    def __init__(self, address: str) -> None:
        self._connection = HTTPConnection(address)

    def next(self) -> tuple[dict[str, str], bytes]:
        """Wait for an event; return the response's headers (in lower case) and body."""
        return self._call("GET", f"{_API}/invocation/next")

    def response(self, request_id: str, body: bytes) -> None:
        """Answer an invocation with its result."""
        self._call("POST", f"{_API}/invocation/{request_id}/response", body)

    def error(self, request_id: str, error: dict[str, Any]) -> None:
        """Answer an invocation with its error."""
        self._report(f"{_API}/invocation/{request_id}/error", error)

    def init_error(self, error: dict[str, Any]) -> None:
        """Report that the handler could not be loaded."""
        self._report(f"{_API}/init/error", error)

    def _report(self, path: str, error: dict[str, Any]) -> None:
        self._call("POST", path, json.dumps(error).encode())

    def _call(self, method: str, path: str, body: bytes = b"") -> tuple[dict[str, str], bytes]:
        self._connection.request(method, path, body, {"Content-Type": "application/json"})
        # The emulator sends the head and the body of an answer separately; without this the body
        # waits 40 ms for the acknowledgement of the head.
        if hasattr(socket, "TCP_QUICKACK"):
            self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        response = self._connection.getresponse()
        return {name.lower(): value for name, value in response.getheaders()}, response.read()


def run(api: RuntimeApi, handler_name: str) -> None:
    """Serve invocations until the process ends."""
    clock = Clock(Path(os.environ[CLOCK])) if CLOCK in os.environ else None
    try:
        if clock:
            clock.follow()
        handler = _load(handler_name)
    except ImportError as error:
        _end(api, error, "Runtime.ImportModuleError")
    except AttributeError as error:
        _end(api, error, "Runtime.HandlerNotFound")
    except Exception as error:  # noqa: BLE001 -- whatever it is, AWS is told
        _end(api, error, type(error).__name__)
    while True:
        headers, body = api.next()
        if clock:
            clock.follow()
        request_id = headers["lambda-runtime-aws-request-id"]
        context = LambdaContext(
            request_id,
            int(headers["lambda-runtime-deadline-ms"]),
            headers.get("lambda-runtime-invoked-function-arn", ""),
        )
        if refusal := refused(context.function_name):
            api.error(request_id, {"errorType": refusal, "errorMessage": "Refused by Lambda."})
            continue
        try:
            result = handler(json.loads(body), context)
        except Exception as error:  # noqa: BLE001
            traceback.print_exc()
            api.error(request_id, _describe(error, type(error).__name__))
        else:
            _answer(api, request_id, result)
        sys.stdout.flush()


def refused(function_name: str) -> str:
    """Return the name of the error that Lambda returns instead of this function, or nothing.

    The time that a function takes to wake starts with its first invocation, as on AWS.
    """
    if REFUSALS not in os.environ:
        return ""
    refusal = Path(os.environ[REFUSALS], function_name)
    try:
        error, seconds = json.loads(refusal.read_text())
    except FileNotFoundError:
        return ""
    first = refusal.with_suffix(".first")
    if not first.exists():
        first.write_text(str(time.time()))  # a file's own time does not jump
    return str(error) if time.time() < float(first.read_text()) + seconds else ""


def _answer(api: RuntimeApi, request_id: str, result: Any) -> None:
    try:
        body = json.dumps(result, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        api.error(request_id, _describe(error, "Runtime.MarshalError"))
    else:
        api.response(request_id, body)


def _end(api: RuntimeApi, error: Exception, error_type: str) -> NoReturn:
    traceback.print_exc()
    api.init_error(_describe(error, error_type))
    sys.exit(1)


def _load(name: str) -> Callable[[Any, LambdaContext], Any]:
    module, _, function = name.rpartition(".")
    handler: Callable[[Any, LambdaContext], Any] = getattr(
        importlib.import_module(module), function
    )
    return handler


def _describe(error: Exception, error_type: str) -> dict[str, Any]:
    return {
        "errorMessage": str(error),
        "errorType": error_type,
        "stackTrace": traceback.format_tb(error.__traceback__),
    }


if __name__ == "__main__":
    sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
    run(RuntimeApi(os.environ["AWS_LAMBDA_RUNTIME_API"]), os.environ["_HANDLER"])

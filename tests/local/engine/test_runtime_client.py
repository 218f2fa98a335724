"""Our client of the Lambda Runtime API does what AWS's own client does."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from local.engine.packaging import bootstrap

HANDLER = """
import json
class NamedError(Exception): pass
def echo(event, context): return {"event": event, "id": context.aws_request_id}
def remaining(event, context): return 0 < context.get_remaining_time_in_millis() <= 60_000
def facts(event, context):
    return [context.function_name, context.memory_limit_in_mb, context.invoked_function_arn]
def fails(event, context): raise NamedError("Zürich is full")
def fails_in_key(event, context): return {}["nobody"]
def not_json(event, context): return {1, 2}
def prints(event, context): print("said"); return None
"""


class RuntimeApi:
    """A Runtime API that hands out one event and records the response."""

    def __init__(self, event: Any) -> None:
        self.got: tuple[str, Any] | None = None
        self.done = threading.Event()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if api.done.is_set():  # the process is ended while it waits for more
                    threading.Event().wait(10)
                body = json.dumps(event).encode()
                self.send_response(200)
                self.send_header("Lambda-Runtime-Aws-Request-Id", "request-1")
                self.send_header("Lambda-Runtime-Deadline-Ms", str(_in_a_minute()))
                self.send_header("Lambda-Runtime-Invoked-Function-Arn", "arn:function")
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                body = json.loads(self._body() or "null")
                api.got = (self.path.removeprefix("/2018-06-01/runtime"), body)
                self.send_response(202)
                self.send_header("Content-Length", "0")
                self.end_headers()
                api.done.set()

            def _body(self) -> bytes:
                if "Content-Length" in self.headers:
                    return self.rfile.read(int(self.headers["Content-Length"]))
                chunks = b""
                while size := int(self.rfile.readline(), 16):
                    chunks += self.rfile.read(size)
                    self.rfile.readline()
                return chunks

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,)).start()


def _in_a_minute() -> int:
    return int((time.time() + 60) * 1000)


@pytest.fixture
def task_root(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(HANDLER, encoding="utf-8")
    (tmp_path / "broken.py").write_text("import a_module_that_is_not_there\n")
    for name, body in bootstrap(tmp_path).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(body)
    return tmp_path


@pytest.fixture(params=["ours", "awslambdaric"])
def client(request: pytest.FixtureRequest) -> Iterator[list[str]]:
    """The command of a Runtime API client, without the handler."""
    if request.param == "ours":
        yield ["/bin/sh", "./bootstrap"]
    else:
        pytest.importorskip("awslambdaric", reason="awslambdaric has no wheel for this system")
        yield [sys.executable, "-m", "awslambdaric"]


def answer(client: list[str], task_root: Path, handler: str, event: Any = None) -> Any:
    """Let a client handle one event; return the call it made: path and body."""
    api = RuntimeApi(event)
    environment = {
        **os.environ,
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{api.server.server_address[1]}",
        "AWS_LAMBDA_FUNCTION_NAME": "a-function",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "256",
        "LAMBDA_TASK_ROOT": str(task_root),
        "_HANDLER": handler,
    }
    process = subprocess.Popen(
        [*client, handler],
        cwd=task_root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert api.done.wait(20), process.communicate(timeout=5)
        return api.got
    finally:
        process.kill()
        process.wait()
        api.server.shutdown()
        api.server.server_close()


@pytest.mark.parametrize("event", [{"name": "Zoë"}, [1, None], "text", None])
def test_a_result_goes_back_as_json(client: list[str], task_root: Path, event: Any) -> None:
    path, body = answer(client, task_root, "app.echo", event)

    assert path == "/invocation/request-1/response"
    assert body == {"event": event, "id": "request-1"}


def test_the_context_knows_its_deadline(client: list[str], task_root: Path) -> None:
    assert answer(client, task_root, "app.remaining")[1] is True


def test_the_context_names_the_function(client: list[str], task_root: Path) -> None:
    facts = answer(client, task_root, "app.facts")[1]

    assert [str(fact) for fact in facts] == ["a-function", "256", "arn:function"]


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        ("app.fails", "NamedError", "Zürich is full"),
        ("app.fails_in_key", "KeyError", "'nobody'"),
    ],
)
def test_an_exception_goes_back_under_the_name_of_its_class(
    client: list[str], task_root: Path, handler: str, error_type: str, message: str
) -> None:
    path, body = answer(client, task_root, handler)

    assert path == "/invocation/request-1/error"
    assert (body["errorType"], body["errorMessage"]) == (error_type, message)
    assert any("app.py" in line for line in body["stackTrace"])


def test_a_result_that_is_not_json_is_an_error_of_the_runtime(
    client: list[str], task_root: Path
) -> None:
    path, body = answer(client, task_root, "app.not_json")

    assert path == "/invocation/request-1/error"
    assert body["errorType"] == "Runtime.MarshalError"


@pytest.mark.parametrize(
    ("handler", "error_type"),
    [
        ("broken.handler", "Runtime.ImportModuleError"),
        ("app.not_there", "Runtime.HandlerNotFound"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_an_init_error(
    client: list[str], task_root: Path, handler: str, error_type: str
) -> None:
    path, body = answer(client, task_root, handler)

    assert path == "/init/error"
    assert body["errorType"] == error_type

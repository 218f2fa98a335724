"""`python -m benchmarks.worker FUNCTION`: invokes a handler with each event of a list.

The list is read as JSON from standard input. What each invocation returned or raised, and its cost,
is printed as the last line. Only what the function itself imports is imported, because memory and
time are measured.
"""

import importlib
import json
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any


class _Context:
    function_name = memory_limit_in_mb = invoked_function_arn = "benchmark"

    def __init__(self, request_id: str) -> None:
        self.aws_request_id = request_id

    def get_remaining_time_in_millis(self) -> int:
        return 240_000


class _Meter:
    """Counts the calls to AWS of this process."""

    def __init__(self) -> None:
        import boto3

        self.reset()
        boto3.setup_default_session()
        session = boto3.DEFAULT_SESSION
        if session is None:
            raise RuntimeError("boto3 has no session")
        session.events.register("provide-client-params.*.*", self._count)

    def reset(self) -> None:
        self.calls: Counter[str] = Counter()
        self.writes = self.reads = 0
        self.written: Counter[str] = Counter()
        self.read: Counter[str] = Counter()

    def _count(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls[f"{model.service_model.service_name}:{model.name}"] += 1
        match model.name:
            case "TransactWriteItems":  # counts twice
                for item in params["TransactItems"]:
                    for write in item.values():
                        self._write(write, 2)
            case "PutItem" | "UpdateItem" | "DeleteItem":
                self._write(params, 1)
            case "BatchGetItem":
                for keys in params["RequestItems"].values():
                    for key in keys["Keys"]:
                        self._read(key["pk"])
            case "GetItem":
                self._read(params["Key"]["pk"])
            case "Query":
                self._read(params["ExpressionAttributeValues"][":pk"])

    def _write(self, write: dict[str, Any], units: int) -> None:
        self.writes += units
        self.written[(write.get("Key") or write["Item"])["pk"]] += units

    def _read(self, partition: str) -> None:
        self.reads += 1
        self.read[partition] += 1


def _peak_mb() -> float:
    """Return the peak memory of this program; the usual counter starts with its parent's."""
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # in bytes on macOS


def _main(function: str) -> None:
    events = json.load(sys.stdin)
    meter = _Meter()
    handler = importlib.import_module(f"functions.{function}.app").lambda_handler
    answers = []
    for number, event in enumerate(events):
        meter.reset()
        result, error, message = None, "", ""
        started, cpu = time.perf_counter(), time.process_time()
        try:
            result = handler(event, _Context(f"{function}-{number}-{os.getpid()}"))
        except Exception as caught:  # noqa: BLE001 -- it is the answer
            error, message = type(caught).__name__, str(caught)
        answers.append(
            {
                "result": result,
                "error": error,
                "message": message,
                "seconds": time.perf_counter() - started,
                "cpu_seconds": time.process_time() - cpu,
                "peak_mb": _peak_mb(),
                "calls": meter.calls,
                "writes": meter.writes,
                "reads": meter.reads,
                "written": meter.written,
                "read": meter.read,
            }
        )
    print(json.dumps(answers))  # noqa: T201


if __name__ == "__main__":
    _main(sys.argv[1])

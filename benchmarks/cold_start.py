"""What a function needs before it has done anything, and at its peak."""

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.application import Application
from benchmarks.figures import Figure
from benchmarks.functions import PROJECT, Invocation, environment, invoke, user_events, with_token
from local.engine import Engine
from local.portal import Fault, PortalSimulator

_TRIES = 15


def run() -> Iterator[Figure]:
    """Measure imports, sizes and memory of delete_user."""
    yield from _imports()
    yield from _memory()
    layers = sorted((PROJECT / ".local").glob("layer-*"), key=lambda path: path.stat().st_mtime)
    yield Figure("cold start", "layer, unpacked", _size(layers[-1]) / 2**20, "MiB")
    yield Figure(
        "cold start",
        "package of delete_user",
        _size(PROJECT / "functions" / "delete_user") / 1024,
        "KiB",
    )


def _imports() -> Iterator[Figure]:
    """Compare CPU times: with byte code, best of several, minus the bare interpreter."""
    with tempfile.TemporaryDirectory() as cache:
        paths = [PROJECT / "functions" / "delete_user", PROJECT / "layers" / "shared"]
        variables = {
            "PATH": os.defpath,
            "PYTHONPATH": os.pathsep.join(map(str, paths)),
            "PYTHONPYCACHEPREFIX": cache,
        }
        bare, others, ours = (
            min(_cpu_seconds(code, variables) for _ in range(_TRIES))
            for code in ("pass", "import boto3, requests", "import app")
        )
    yield Figure("cold start", "import boto3 and requests", others - bare, "s of processor time")
    yield Figure(
        "cold start",
        "import time of delete_user over that of boto3 and requests",
        (ours - bare) / (others - bare),
        "times",
        target=1.15,
    )


def _cpu_seconds(code: str, variables: dict[str, str]) -> float:
    def used() -> float:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    before = used()
    subprocess.run([sys.executable, "-c", code], env=variables, check=True)  # noqa: S603
    return used() - before


def _memory() -> Iterator[Figure]:
    with Engine() as aws, PortalSimulator(users=200) as portal:
        application = Application(aws, "bench", portal, CanaryUsers="0")
        variables = environment(aws, application)
        run = {
            "run_id": "bench",
            "execution_arn": "arn:aws:states:us-east-1:000000000000:execution:bench:bench",
        }
        users = ["110", "111"]
        request = {"mode": "apply", "source": {"users": users}}
        _expect(with_token("fetch_user_ids", {**run, "request": request}, variables))
        [batch] = invoke("next_batch", [{**run, "batch": {"number": 0}}], variables)
        events = user_events(run, batch, users)
        [usual] = invoke("delete_user", events[:1], variables)
        portal.faults.script(Fault.HUGE_BODY)
        [huge] = invoke("delete_user", events[1:], variables)
        yield Figure("cold start", "peak memory of delete_user", usual.peak_mb, "MB", target=100)
        yield Figure(
            "cold start",
            "peak memory when the portal answers with 500 MB",
            _expect(huge).peak_mb,
            "MB",
            target=100,
        )


def _expect(invocation: Invocation) -> Invocation:
    if invocation.error:
        raise RuntimeError(invocation.error)
    return invocation


def _size(folder: Path) -> int:
    return sum(
        path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )

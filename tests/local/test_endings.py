"""A local command that is terminated leaves nothing running."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize(
    ("command", "said", "status"),
    [
        (["run", "--wait-scale", "1"], "Run: ", None),
        (["run", "--wait-scale", "1"], "Simulated portal: ", None),  # while it is deployed
        (["up"], "Interrupt to end it", 0),
    ],
    ids=["run", "deploying", "up"],
)
def test_no_emulator_is_left_when_a_command_is_ended(
    tmp_path: Path, ending: signal.Signals, command: list[str], said: str, status: int | None
) -> None:
    if command[0] == "up" and ending is signal.SIGHUP:
        status = None
    output = tmp_path / "output"
    with output.open("w") as written:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "local", *command],
            cwd=PROJECT,
            stdout=written,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    started: set[psutil.Process] = set()
    try:
        deadline = time.monotonic() + 60
        while said not in output.read_text() or not started:
            assert time.monotonic() < deadline, output.read_text()
            started |= set(psutil.Process(process.pid).children(recursive=True))
            time.sleep(0.02)
        started |= set(psutil.Process(process.pid).children(recursive=True))

        process.send_signal(ending)

        assert process.wait(timeout=30) == (128 + ending if status is None else status)
        _, alive = psutil.wait_procs(started, timeout=5)
        assert not [found for found in alive if found.status() != psutil.STATUS_ZOMBIE]
        assert not list(tmp_path.glob("engine-*"))
    finally:
        process.kill()
        process.wait()
        for left in started:
            if left.is_running():
                left.kill()

"""`python -m local portal`: nothing in the application knows that this portal is simulated."""

import json
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]


class Alone:
    """The simulator in a separate process, and what it printed when it started."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-u", "-m", "local", "portal", "--port", "0", "--users", "100"),
                *("--seconds-per-delete", "0.02", "--token-life", "1", "--log", str(log)),
            ],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout
        self.printed = ""
        while "local run" not in self.printed:
            line = self.process.stdout.readline()
            assert line, "the portal ended before it said how to use it"
            self.printed += line

    @property
    def requests(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Alone]:
    portal = Alone(tmp_path / "requests.jsonl")
    try:
        yield portal
    finally:
        portal.process.send_signal(signal.SIGTERM)
        assert portal.process.wait(timeout=5) == 0


def test_the_command_that_it_prints_deletes_the_users_it_names(
    alone: Alone, tmp_path: Path
) -> None:
    [command] = re.findall(r"echo .* \| python -m local run .*", alone.printed)
    _, credentials, _, _, *arguments = shlex.split(command)

    ended = subprocess.run(
        [sys.executable, *arguments, "--wait-scale", "0.001", "--out", str(tmp_path), "--json"],
        cwd=PROJECT,
        input=credentials,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout.splitlines()[-1])["outcomes"] == {"deleted": 3}
    writes = [r for r in alone.requests if r["method"] not in ("GET", "POST")]
    assert [(r["method"], r["user_id"], r["status"]) for r in writes] == [
        ("DELETE", 118, 200),
        ("DELETE", 120, 200),
        ("DELETE", 121, 200),
    ]

"""Lets time pass at once on an engine, from the process that started it or from another one."""

import math
import os
import time
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from local.engine import clock
from local.engine.client import client

_JUMP_SECONDS = 30


class JumpError(Exception):
    """The time of emulated AWS cannot jump."""


@dataclass(frozen=True)
class EngineTime:
    """The time of the engine at `endpoint`: ministack's process, and the file of its clock."""

    endpoint: str
    pid: int
    file: str

    def now(self) -> float:
        """Return the time of emulated AWS, in seconds of the epoch."""
        return time.time() + clock.read(Path(self.file))

    def jump(self, seconds: float) -> datetime:
        """Let time pass at once; return the new time of emulated AWS.

        Raises:
            JumpError: an execution does more than wait, or time would not go forward.
        """
        if not 0 < seconds < math.inf:
            raise JumpError("Time only jumps forward: give a number above 0.")
        for execution in self._ask()["executions"]:
            if not self._waits(execution["executionArn"]):
                name = execution["name"]
                raise JumpError(f"Execution {name} is running. Wait until it ends, or stop it.")
        return self.let_pass(seconds)

    def let_pass(self, seconds: float) -> datetime:
        """Let time pass at once, whatever is running; return the new time of emulated AWS."""
        file = Path(self.file)
        jumped = clock.read(file) + seconds
        clock.write(file, jumped)
        os.kill(self.pid, clock.JUMPED)
        deadline = time.monotonic() + _JUMP_SECONDS
        while clock.read(clock.followed(file)) != jumped:
            if time.monotonic() > deadline:
                raise RuntimeError(f"ministack did not jump within {_JUMP_SECONDS} s.")
            time.sleep(0.01)
        return parsedate_to_datetime(self._ask()["ResponseMetadata"]["HTTPHeaders"]["date"])

    def _waits(self, arn: str) -> bool:
        """Return whether an execution is in a Wait state, as for a change window."""
        history = client(self.endpoint, "stepfunctions").get_execution_history(
            executionArn=arn, reverseOrder=True, maxResults=1
        )
        return [event["type"] for event in history["events"]] == ["WaitStateEntered"]

    def _ask(self) -> dict[str, Any]:
        """Return what is running. Without a machine, ministack lists all, also a Map's items."""
        answer = client(self.endpoint, "stepfunctions").list_executions(statusFilter="RUNNING")
        return dict(answer)

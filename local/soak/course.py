"""What goes wrong in a soak, and what an operator does about it.

The portal shows every fault, functions are killed, executions are aborted. Whenever a run has been
closed, it is resumed until nothing is open.
"""

import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import click
import psutil
from botocore.exceptions import ClientError
from rich.console import Console

from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.models.users import Outcome, ReasonKind
from bulk_user_deletion_cli.deployment import Deployment, Execution
from local.engine import Engine
from local.portal import Fault, PortalSimulator

WAIT_SCALE = 0.01
TIMEOUT_SCALE = 0.05
_ABORTS = 3
_SECONDS_BETWEEN_KILLS = 2.0
_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 120

# About a tenth of a thousand DELETEs fails, and of as many PUTs, each kind in turn.
_RATE_OF_EACH_FAULT_OF_A_CHANGE = 0.005
_RATE_OF_EACH_PASSING_FAULT = 0.003
_RATE_OF_EACH_STOPPING_FAULT = 0.0005

# Faults of any request that are retried; the others stop the whole run if they hit a GET.
_PASSING = (
    Fault.RESET_BEFORE,
    Fault.BAD_GATEWAY_BEFORE,
    Fault.HTML_503,
    Fault.BUSY_503,
    Fault.TOO_MANY_REQUESTS,
    Fault.HTML_200,
    Fault.TRUNCATED_200,
)
_PASSING_FOR_GET = (Fault.UNAUTHORIZED, Fault.SESSION_EXPIRED, Fault.PROXY_404)
_STOPPING = (Fault.FORBIDDEN, Fault.REDIRECT, Fault.EMPTY_LIST_200, Fault.HUGE_BODY)


def misbehave(portal: PortalSimulator, seed: int) -> None:
    """Give the portal every fault, each at its own rate."""
    for method in ("DELETE", "PUT"):
        for number, fault in enumerate(Fault):
            portal.faults.rate(
                fault, _RATE_OF_EACH_FAULT_OF_A_CHANGE, method=method, seed=seed + number
            )
    for number, fault in enumerate(_PASSING):
        portal.faults.rate(fault, _RATE_OF_EACH_PASSING_FAULT, method="POST", seed=seed - number)
    for number, fault in enumerate((*_PASSING, *_PASSING_FOR_GET)):
        portal.faults.rate(fault, _RATE_OF_EACH_PASSING_FAULT, method="GET", seed=seed + number)
    for number, fault in enumerate(_STOPPING):
        portal.faults.rate(fault, _RATE_OF_EACH_STOPPING_FAULT, method="GET", seed=seed * number)


@dataclass
class Killer:
    """Kills one of the engine's functions from time to time."""

    engine: Engine
    chance: random.Random
    kills: int = 0

    @contextmanager
    def at_work(self) -> Iterator[None]:
        ended = threading.Event()
        thread = threading.Thread(target=self._work, args=(ended,))
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _work(self, ended: threading.Event) -> None:
        while not ended.wait(self.chance.expovariate(1 / _SECONDS_BETWEEN_KILLS)):
            functions = psutil.Process(self.engine.pid).children(recursive=True)
            if functions:
                try:
                    self.chance.choice(functions).kill()
                except psutil.NoSuchProcess:
                    continue
                self.kills += 1


@dataclass
class Course:
    """What is carried out one after the other, each from its start to the end of its last resume.

    `executions` and `aborts` count all of them.
    """

    aws: Engine
    deployment: Deployment
    deadline: float  # of the monotonic clock
    console: Console
    executions: int = 0
    aborts: int = 0

    def carry_out(
        self, request: Callable[[], dict[str, Any]], *, done: Callable[[], float]
    ) -> str | None:
        """Start a request, and see it through. It is made anew when it has to be sent again."""

        def send() -> str:
            return self._start(request())

        return self.see_through(send(), again=send, done=done)

    def see_through(
        self, arn: str, *, again: Callable[[], str], done: Callable[[], float] = lambda: 0
    ) -> str | None:
        """Resume what an execution leaves open until nothing is; return the run's id.

        Returns None if there was nothing to do. If there was no plan, `again` starts another
        execution, and returns its ARN. `done` tells which share of the users is done: by that,
        executions are aborted.
        """
        aborts = 0
        run_id = arn.rpartition(":")[2]
        while True:
            execution, aborts = self._watched(arn, aborts, done)
            if execution.nothing_because:
                self.console.print(execution.nothing_because)
                return None
            if execution.error.endswith("Refused"):  # also a resume, which changes no report
                self.console.print(f"{execution.error}: {execution.cause}")
            run = self._closed(run_id)
            report = json.loads(self.deployment.bucket.read_report(run_id, "json") or b"{}")
            self.console.print(f"{report.get('status')}: {report.get('sentence')}")
            if run and run.plan_sha256:
                if not any(map(_can_be_resumed, report["rows"])):
                    return run_id
                arn = self._start({"mode": "apply", "resume": run_id})
            else:  # it ended before it had a plan: send it again, as its report says
                arn = again()
                run_id = arn.rpartition(":")[2]

    def order(self, order: dict[str, Any]) -> str:
        """Send an order until it is carried out; return what was done."""
        while not (execution := self.ended(self._start(order))).nothing_because:
            self.console.print(f"{execution.error}: {execution.cause}")
        return execution.nothing_because

    def jump(self, *, days: float) -> None:
        """Let days pass, once nothing is running any more."""
        while self.aws.client("stepfunctions").list_executions(statusFilter="RUNNING")[
            "executions"
        ]:
            self._in_time()
            time.sleep(_POLL_SECONDS)
        self.aws.jump(days * 24 * 3600)

    def _start(self, request: dict[str, Any]) -> str:
        self.executions += 1
        return self.deployment.start(request)

    def _watched(self, arn: str, aborts: int, done: Callable[[], float]) -> tuple[Execution, int]:
        """Wait for an execution to end; abort it once it is far enough for the next abort.

        Returns the number of aborts up to now as well.
        """
        while (execution := self._described(arn)).is_running:
            share = done()
            if aborts < _ABORTS and share * (_ABORTS + 1) > aborts + 1 and self._aborted(execution):
                aborts += 1
                self.aborts += 1
                self.console.print(f"Aborted {execution.name} with {share:.0%} of the users done.")
            time.sleep(_POLL_SECONDS)
        return execution, aborts

    def _aborted(self, execution: Execution) -> bool:
        """Abort an execution, as someone in the console does who does not know the stop button.

        Returns False if it has just ended.
        """
        try:
            self.aws.client("stepfunctions").stop_execution(executionArn=execution.arn)
        except ClientError:
            if self._described(execution.arn).is_running:
                raise
            return False
        return True

    def ended(self, arn: str) -> Execution:
        """Wait for an execution to end; return it."""
        return self._watched(arn, _ABORTS, lambda: 0)[0]

    def _described(self, arn: str) -> Execution:
        self._in_time()
        execution = self.deployment.execution(arn)
        if execution is None:
            raise click.ClickException(f"There is no execution {arn}.")
        return execution

    def _closed(self, run_id: str) -> RunRow | None:
        """Wait until a run is closed, by its own execution or by one that the rule started."""
        last = time.monotonic() + _CLOSE_SECONDS
        while (run := self.deployment.ledger.runs.read(run_id)) and run.is_open:
            self._in_time()
            if time.monotonic() > last:
                raise click.ClickException(f"Run {run_id} was not closed.")
            time.sleep(_POLL_SECONDS)
        return run

    def _in_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise click.ClickException("Not done in the time that it was given (--minutes).")


def _can_be_resumed(row: dict[str, Any]) -> bool:
    return Outcome(row["outcome"]).is_open and row["reason_kind"] != ReasonKind.RECORD_INCOMPLETE

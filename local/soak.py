"""`python -m local soak`: the real template under every fault at once, checked against the rules.

The portal shows every fault, functions are killed at random, executions are aborted. Whenever the
run has been closed, it is resumed, as an operator would do, until nothing is open.
"""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import click
import psutil
from rich.console import Console
from rich.table import Table

from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.models.users import Outcome
from bulk_user_deletion_cli.deployment import Deployment
from local.deployed import PROJECT, STACK_NAME, PortalAccess, connect
from local.engine import Engine
from local.portal import Fault, Knobs, PortalSimulator, Request

_WAIT_SCALE = 0.01
_TIMEOUT_SCALE = 0.05
_BYSTANDERS = 200
_CONCURRENCY = 8
_ABORTS = 3
_SECONDS_BETWEEN_KILLS = 2.0
_POLL_SECONDS = 0.2
_CLOSE_SECONDS = 120

# About a tenth of a thousand DELETEs fails, each kind in turn.
_RATE_OF_EACH_DELETE_FAULT = 0.005
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


@dataclass
class Findings:
    """The injected faults, and what the application did."""

    requested: int
    bystanders: int
    requests: Sequence[Request]
    report: dict[str, Any]
    gone: set[int]
    planned: set[int]
    kills: int
    aborts: int
    executions: int
    seconds: float

    @property
    def faults(self) -> Counter[str]:
        """How often each kind of fault happened."""
        return Counter(request.fault.value for request in self.requests if request.fault)

    @property
    def deletes(self) -> Counter[int]:
        """How many DELETEs each user was sent."""
        return Counter(r.user_id for r in self.requests if r.method == "DELETE" and r.user_id)

    @property
    def renewals(self) -> int:
        """How many tokens the portal issued."""
        return sum("get_token" in r.path and r.status == 200 for r in self.requests)

    def lost(self) -> set[str]:
        """Return the entries that do not have exactly one final outcome that is true."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for row in self.report["rows"]:
            rows.setdefault(row["user_id"], []).append(row)
        wanted = {str(user_id) for user_id in self.planned}
        return {
            user_id
            for user_id in wanted | rows.keys()
            if len(found := rows.get(user_id, [])) != 1
            or Outcome(found[0]["outcome"]).is_open
            or (found[0]["outcome"] == Outcome.DELETED) is not (int(user_id) in self.gone)
        }

    def deleted_outside_the_plan(self) -> set[int]:
        """Return the users that are gone or were sent a DELETE although they were not planned."""
        return (self.gone | set(self.deletes)) - self.planned

    def sent_a_delete_after_seen_gone(self) -> set[int]:
        """Return the users that were sent a DELETE after the portal had said they are gone."""
        seen_gone: set[int] = set()
        found: set[int] = set()
        for request in self.requests:
            if request.user_id is None:
                continue
            if request.method == "DELETE" and request.user_id in seen_gone:
                found.add(request.user_id)
            if request.method == "GET" and request.status == 404 and not request.fault:
                seen_gone.add(request.user_id)
        return found

    def zeros(self) -> dict[str, int]:
        """Return the three figures that must be 0."""
        return {
            "lost": len(self.lost()),
            "deleted outside the plan": len(self.deleted_outside_the_plan()),
            "sent a DELETE after it was seen gone": len(self.sent_a_delete_after_seen_gone()),
        }

    def table(self) -> Table:
        """Return everything as a table."""
        table = Table(title="Soak", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        sent = self.deletes
        figures = {
            "users, all with an outcome": f"{self.requested}",
            "bystanders": f"{self.bystanders}",
            "took": f"{self.seconds:.0f} s",
            "requests to the portal": f"{len(self.requests)}",
            "token renewals": f"{self.renewals}",
            "functions killed": f"{self.kills}",
            "executions aborted": f"{self.aborts}",
            "executions that carried out the run": f"{self.executions}",
            "DELETEs per user, most": f"{max(sent.values(), default=0)}",
            "DELETEs per user, mean": f"{sent.total() / max(len(sent), 1):.2f}",
        }
        for part in (
            figures,
            {f"outcome {name}": f"{number}" for name, number in self.report["counts"].items()},
            {f"fault {name}": f"{number}" for name, number in sorted(self.faults.items())},
            {name: f"{number}" for name, number in self.zeros().items()},
        ):
            for name, value in part.items():
                table.add_row(name, value)
            table.add_section()
        return table


@dataclass
class Killer:
    """Kills one of the engine's functions from time to time."""

    engine: Engine
    chance: random.Random
    kills: int = 0
    _ended: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def at_work(self) -> Iterator[None]:
        thread = threading.Thread(target=self._work)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _work(self) -> None:
        while not self._ended.wait(self.chance.expovariate(1 / _SECONDS_BETWEEN_KILLS)):
            functions = psutil.Process(self.engine.pid).children(recursive=True)
            if functions:
                try:
                    self.chance.choice(functions).kill()
                except psutil.NoSuchProcess:
                    continue
                self.kills += 1


@dataclass
class Soak:
    """One run, from its start to the end of its last resume."""

    aws: Engine
    deployment: Deployment
    portal: PortalSimulator
    users: set[int]
    deadline: float
    console: Console
    executions: int = 0
    aborts: int = 0

    def carry_out(self, request: dict[str, Any]) -> str:
        """Start the request, then resume until nothing is left; return the run's id."""
        arn = self._start(request)
        run_id = arn.rpartition(":")[2]
        while True:
            self._watch(arn)
            run = self._closed(run_id)
            report = json.loads(self.deployment.bucket.read_report(run_id, "json") or b"{}")
            self.console.print(f"{report.get('status')}: {report.get('sentence')}")
            if run and run.plan_sha256:
                if not any(Outcome(name).is_open for name in report["counts"]):
                    return run_id
                arn = self._start({"mode": "apply", "resume": run_id})
            else:  # it ended before it had a plan: send it again, as its report says
                arn = self._start(request)
                run_id = arn.rpartition(":")[2]

    def _start(self, request: dict[str, Any]) -> str:
        self.executions += 1
        return self.deployment.start(request)

    def _watch(self, arn: str) -> None:
        """Wait for an execution to end; abort it once it is far enough for the next abort."""
        while (execution := self.deployment.execution(arn)) and execution.is_running:
            self._in_time()
            gone = len(self.users - self.portal.user_ids())
            if self.aborts < _ABORTS and gone * (_ABORTS + 1) > len(self.users) * (self.aborts + 1):
                self.aborts += 1
                self.console.print(f"Aborting {arn.rpartition(':')[2]} with {gone} users gone.")
                # Like someone in the console who does not know the stop button.
                self.aws.client("stepfunctions").stop_execution(executionArn=arn)
            time.sleep(_POLL_SECONDS)

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


def misbehave(portal: PortalSimulator, seed: int) -> None:
    """Give the portal every fault, each at its own rate."""
    for number, fault in enumerate(Fault):
        portal.faults.rate(fault, _RATE_OF_EACH_DELETE_FAULT, method="DELETE", seed=seed + number)
    for number, fault in enumerate(_PASSING):
        portal.faults.rate(fault, _RATE_OF_EACH_PASSING_FAULT, method="POST", seed=seed - number)
    for number, fault in enumerate((*_PASSING, *_PASSING_FOR_GET)):
        portal.faults.rate(fault, _RATE_OF_EACH_PASSING_FAULT, method="GET", seed=seed + number)
    for number, fault in enumerate(_STOPPING):
        portal.faults.rate(fault, _RATE_OF_EACH_STOPPING_FAULT, method="GET", seed=seed * number)


def soak(*, users: int, seed: int, minutes: float, console: Console) -> Findings:
    """Delete `users` users under all faults at once.

    Raises:
        click.ClickException: it was not done within `minutes`.
    """
    knobs = Knobs(token_life_seconds=4, seconds_per_delete=0.1)
    with (
        PortalSimulator(users=users + _BYSTANDERS, knobs=knobs, seed=seed) as portal,
        Engine(wait_scale=_WAIT_SCALE) as engine,
    ):
        deployment = connect(
            engine,
            engine.deploy(
                PROJECT,
                STACK_NAME,
                {
                    "PortalUrl": portal.url,
                    "Concurrency": str(_CONCURRENCY),
                    "WaitSeconds": "5",
                    "MaxUsers": "100000",
                    "MaxPercent": "100",
                    "MaxUsersPerDay": "100000",
                    "MaxPercentPerDay": "100",
                },
                timeout_scale=_TIMEOUT_SCALE,
            ),
            PortalAccess.to(portal),
        )
        dataset = portal.add_dataset(
            f"SELECT user_id FROM user WHERE type <> 'administrator' LIMIT {users}"  # noqa: S608
        )
        before = portal.user_ids()
        planned = {row["user_id"] for row in portal.collected(dataset)}
        misbehave(portal, seed)
        started = time.monotonic()
        course = Soak(engine, deployment, portal, planned, started + minutes * 60, console)
        killer = Killer(engine, random.Random(seed))  # noqa: S311
        with killer.at_work():
            run_id = course.carry_out({"mode": "apply", "source": {"dataset_id": dataset}})
        return Findings(
            requested=users,
            bystanders=len(before) - users,
            requests=portal.requests,
            report=json.loads(deployment.bucket.read_report(run_id, "json")),
            gone=before - portal.user_ids(),
            planned=planned,
            kills=killer.kills,
            aborts=course.aborts,
            executions=course.executions,
            seconds=time.monotonic() - started,
        )


@click.command("soak")
@click.option("--users", default=1000, show_default=True, help="How many users to delete.")
@click.option("--seed", default=0, show_default=True, help="Another seed has other bad luck.")
@click.option("--minutes", default=20.0, show_default=True, help="When to give up.")
def soak_command(users: int, seed: int, minutes: float) -> None:
    """Delete many users under every fault at once.

    Faults of the portal, functions killed at random, executions aborted and resumed. Exit status 1
    if any user was lost, deleted outside the plan, or sent a DELETE after being seen gone.
    """
    console = Console(highlight=False)
    findings = soak(users=users, seed=seed, minutes=minutes, console=console)
    console.print(findings.table())
    if any(findings.zeros().values()):
        raise SystemExit(1)

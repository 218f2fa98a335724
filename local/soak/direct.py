"""Many users deleted at once, directly."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from bulk_user_deletion.models.users import Outcome
from local.deployed import PROJECT, STACK_NAME, PortalAccess, connect
from local.engine import Engine
from local.portal import Knobs, PortalSimulator, Request
from local.soak.course import TIMEOUT_SCALE, WAIT_SCALE, Course, Killer, misbehave

BYSTANDERS = 200
CONCURRENCY = 8


def deleted_after_seen_gone(requests: Iterable[Request]) -> set[int]:
    """Return the users that were sent a DELETE after the portal had said they are gone."""
    seen_gone: set[int] = set()
    found: set[int] = set()
    for request in requests:
        if request.user_id is None:
            continue
        if request.method == "DELETE" and request.user_id in seen_gone:
            found.add(request.user_id)
        if request.method == "GET" and request.status == 404 and not request.fault:
            seen_gone.add(request.user_id)
    return found


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
        return deleted_after_seen_gone(self.requests)

    def zeros(self) -> dict[str, int]:
        """Return the figures that must be 0."""
        return {
            "lost": len(self.lost()),
            "deleted outside the plan": len(self.deleted_outside_the_plan()),
            "sent a DELETE after it was seen gone": len(self.sent_a_delete_after_seen_gone()),
        }

    def figures(self) -> dict[str, str]:
        """Return what else there is to tell."""
        sent = self.deletes
        return {
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

    def outcomes(self) -> Counter[str]:
        """Return how many entries ended as what."""
        return Counter(self.report["counts"])

    def table(self) -> Table:
        """Return everything as a table."""
        table = Table(title="Soak", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for part in (
            self.figures(),
            {f"outcome {name}": f"{number}" for name, number in self.outcomes().items()},
            {f"fault {name}": f"{number}" for name, number in sorted(self.faults.items())},
            {name: f"{number}" for name, number in self.zeros().items()},
        ):
            for name, value in part.items():
                table.add_row(name, value)
            table.add_section()
        return table


def soak(*, users: int, seed: int, minutes: float, console: Console) -> Findings:
    """Delete `users` users under all faults at once.

    Raises:
        click.ClickException: it was not done within `minutes`.
    """
    knobs = Knobs(token_life_seconds=4, seconds_per_delete=0.1)
    with (
        PortalSimulator(users=users + BYSTANDERS, knobs=knobs, seed=seed) as portal,
        Engine(wait_scale=WAIT_SCALE) as engine,
    ):
        deployment = connect(
            engine,
            engine.deploy(
                PROJECT,
                STACK_NAME,
                {
                    "PortalUrl": portal.url,
                    "Concurrency": str(CONCURRENCY),
                    "WaitSeconds": "5",
                    "MaxUsers": "100000",
                    "MaxPercent": "100",
                    "MaxUsersPerDay": "100000",
                    "MaxPercentPerDay": "100",
                },
                timeout_scale=TIMEOUT_SCALE,
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
        course = Course(engine, deployment, started + minutes * 60, console)
        killer = Killer(engine, random.Random(seed))  # noqa: S311
        with killer.at_work():
            run_id = course.carry_out(
                lambda: {"mode": "apply", "source": {"dataset_id": dataset}},
                done=lambda: len(planned - portal.user_ids()) / len(planned),
            )
        return Findings(
            requested=users,
            bystanders=len(before) - users,
            requests=portal.requests,
            report=json.loads(deployment.bucket.read_report(run_id or "", "json") or b"{}"),
            gone=before - portal.user_ids(),
            planned=planned,
            kills=killer.kills,
            aborts=course.aborts,
            executions=course.executions,
            seconds=time.monotonic() - started,
        )

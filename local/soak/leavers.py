"""Many leavers, first disabled, then deleted when their grace time is over."""

import json
import random
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from bulk_user_deletion.models.users import Outcome
from local.deployed import PROJECT, STACK_NAME, PortalAccess, connect
from local.engine import Engine
from local.portal import Knobs, PortalSimulator
from local.soak.course import TIMEOUT_SCALE, WAIT_SCALE, Course, Killer, misbehave
from local.soak.direct import BYSTANDERS, CONCURRENCY, Findings
from local.witness import Witness

_GRACE_DAYS = 30

# One of so many leavers is withdrawn, and as many are hired again, renamed, and deleted by hand.
_PART = 10


@dataclass(frozen=True)
class TakenBack:
    """What happened to some leavers after they had been disabled.

    They were withdrawn when the portal had received `requests_before` requests.
    """

    withdrawn: frozenset[int]
    rehired: frozenset[int]
    renamed: frozenset[int]
    gone_by_hand: frozenset[int]
    requests_before: int = 0

    @property
    def kept(self) -> frozenset[int]:
        """Those who must not be deleted."""
        return self.withdrawn | self.rehired | self.renamed


@dataclass
class LeaverFindings(Findings):
    """What the application did in both phases.

    `report` is the one of the run that disabled, `nights` those of the daily runs; `access` is how
    the leavers who are there ended.
    """

    taken_back: TakenBack
    nights: list[dict[str, Any]]
    access: Mapping[int, str]

    def lost(self) -> set[str]:
        """Return the leavers who have not exactly one true end in each phase."""
        disabled = [row["user_id"] for row in self.report["rows"] if _is_disabled(row)]
        deleted = [
            row["user_id"]
            for report in self.nights
            for row in report["rows"]
            if row["outcome"] == Outcome.DELETED
        ]
        return {
            str(user_id)
            for user_id in self.planned
            if disabled.count(str(user_id)) != 1
            or deleted.count(str(user_id)) != self._is_to_be_deleted(user_id)
            or (user_id in self.gone) is (user_id in self.taken_back.kept)
            or self.access.get(user_id, "N") != ("Y" if user_id in self.taken_back.rehired else "N")
        }

    def deleted_outside_the_plan(self) -> set[int]:
        """Return whoever is gone, or was sent a DELETE or a PUT, without being a leaver."""
        changed = {r.user_id for r in self.requests if r.method == "PUT" and r.user_id}
        return super().deleted_outside_the_plan() | (changed - self.planned)

    def zeros(self) -> dict[str, int]:
        """Return the figures that must be 0."""
        witness = Witness(_GRACE_DAYS)
        before = self.taken_back.requests_before
        witness.follow(self.requests[:before])
        witness.withdrawn(self.taken_back.withdrawn)
        witness.follow(self.requests[before:])
        return {
            **super().zeros(),
            "deleted before due": len(witness.before_due),
            "deleted after a withdrawal or a rehire that a look saw": len(witness.taken_back),
        }

    def figures(self) -> dict[str, str]:
        """Return what else there is to tell."""
        puts = sum(request.method == "PUT" for request in self.requests)
        return {
            **super().figures(),
            "PUTs per user, mean": f"{puts / max(self.requested, 1):.2f}",
            "daily runs": f"{len(self.nights)}",
            "withdrawn": f"{len(self.taken_back.withdrawn)}",
            "hired again": f"{len(self.taken_back.rehired)}",
            "renamed": f"{len(self.taken_back.renamed)}",
            "deleted by hand": f"{len(self.taken_back.gone_by_hand)}",
        }

    def outcomes(self) -> Counter[str]:
        """Return how many entries ended as what, in all runs."""
        counts = super().outcomes()
        for report in self.nights:
            counts.update(report["counts"])
        return counts

    def _is_to_be_deleted(self, user_id: int) -> bool:
        return user_id not in self.taken_back.kept | self.taken_back.gone_by_hand


def _is_disabled(row: Mapping[str, Any]) -> bool:
    return bool(row["outcome"] == Outcome.DISABLED)


def soak_leavers(*, users: int, seed: int, minutes: float, console: Console) -> LeaverFindings:
    """Disable `users` users under all faults at once, let their grace time pass, and delete them.

    Raises:
        click.ClickException: it was not done within `minutes`.
    """
    knobs = Knobs(token_life_seconds=4, seconds_per_delete=0.1, seconds_per_put=0.1)
    with (
        PortalSimulator(users=users + BYSTANDERS, knobs=knobs, seed=seed) as portal,
        Engine(wait_scale=WAIT_SCALE) as engine,
    ):
        portal.clock = engine.now
        deployment = connect(
            engine,
            engine.deploy(
                PROJECT,
                STACK_NAME,
                {
                    "PortalUrl": portal.url,
                    "Concurrency": str(CONCURRENCY),
                    "WaitSeconds": "5",
                    "LeaverAction": "disable_then_delete",
                    "GraceDays": str(_GRACE_DAYS),
                    **{
                        f"Max{what}{cap}": value
                        for what in ("", "Disable")
                        for cap, value in {
                            "Users": "100000",
                            "Percent": "100",
                            "UsersPerDay": "100000",
                            "PercentPerDay": "100",
                        }.items()
                    },
                },
                timeout_scale=TIMEOUT_SCALE,
            ),
            PortalAccess.to(portal),
        )
        _forget_schedules(engine)
        dataset = portal.add_dataset(
            f"SELECT user_id FROM user WHERE type <> 'administrator' LIMIT {users}"  # noqa: S608
        )
        before = portal.user_ids()
        leavers = [row["user_id"] for row in portal.collected(dataset)]
        for user_id in leavers:
            portal.edit(user_id, enabled="Y")
        misbehave(portal, seed)
        started = time.monotonic()
        course = Course(engine, deployment, started + minutes * 60, console)
        killer = Killer(engine, random.Random(seed))  # noqa: S311

        with killer.at_work():
            first = course.carry_out(
                lambda: {"mode": "apply", "source": {"dataset_id": dataset}},
                done=lambda: 1 - len(_enabled(portal, leavers)) / len(leavers),
            )
        taken_back = _take_back(leavers, portal, course)
        due = set(leavers) - taken_back.kept - taken_back.gone_by_hand
        nights = []
        course.jump(days=_GRACE_DAYS - 1)
        for days in (2, 1, 1):
            with killer.at_work():
                nights.append(_daily_run(course, due, portal))
            course.jump(days=days)
        return LeaverFindings(
            requested=users,
            bystanders=len(before) - users,
            requests=portal.requests,
            report=_report(deployment, first),
            gone=before - portal.user_ids(),
            planned=set(leavers),
            kills=killer.kills,
            aborts=course.aborts,
            executions=course.executions,
            seconds=time.monotonic() - started,
            taken_back=taken_back,
            nights=[_report(deployment, run_id) for run_id in nights if run_id],
            access=_access(portal),
        )


def _daily_run(course: Course, due: set[int], portal: PortalSimulator) -> str | None:
    """Carry out what the schedule starts; return the run's id, or None if there was none to do."""

    def event() -> dict[str, Any]:
        # Another one each time: the same event starts one run.
        request = {"mode": "apply", "source": {"due": True}}
        return {"scheduled_time": f"execution {course.executions}", "request": request}

    left = due & portal.user_ids()
    return course.carry_out(event, done=lambda: len(left - portal.user_ids()) / max(len(left), 1))


def _take_back(leavers: list[int], portal: PortalSimulator, course: Course) -> TakenBack:
    """Withdraw some of the leavers; a sync enables some, a person renames or deletes some."""
    part = max(1, len(leavers) // _PART)
    withdrawn, rehired, renamed, gone = (
        frozenset(leavers[number * part : (number + 1) * part]) for number in range(4)
    )
    users = [str(user_id) for user_id in sorted(withdrawn)]
    said = course.order({"withdraw": {"users": users, "reason": "on leave", "by": "soak"}})
    course.console.print(said)
    requests_before = len(portal.requests)
    for user_id in rehired:
        portal.edit(user_id, enabled="Y")
    for user_id in renamed:
        portal.edit(user_id, email=f"renamed{user_id}@example.com")
    for user_id in gone:
        portal.remove(user_id)
    return TakenBack(withdrawn, rehired, renamed, gone, requests_before)


def _forget_schedules(engine: Engine) -> None:
    """Delete the schedule of the daily run: the emulator would start it by itself after a jump."""
    scheduler = engine.client("scheduler")
    for schedule in scheduler.list_schedules()["Schedules"]:
        scheduler.delete_schedule(Name=schedule["Name"], GroupName=schedule["GroupName"])


def _report(deployment: Any, run_id: str | None) -> dict[str, Any]:
    report = deployment.bucket.read_report(run_id or "", "json")
    return dict(json.loads(report or b'{"counts": {}, "rows": []}'))


def _access(portal: PortalSimulator) -> dict[int, str]:
    rows = portal.database.execute("SELECT user_id, enabled FROM user")
    return {row["user_id"]: row["enabled"] for row in rows}


def _enabled(portal: PortalSimulator, leavers: list[int]) -> list[int]:
    access = _access(portal)
    return [user_id for user_id in leavers if access.get(user_id) == "Y"]

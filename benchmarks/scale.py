"""From 10 users to 10,000: what grows, and what does not."""

from collections.abc import Iterator
from itertools import islice
from statistics import mean
from typing import Any

from benchmarks.application import Application, Run, largest_payload, transitions
from benchmarks.figures import Figure
from benchmarks.functions import environment, report
from bulk_user_deletion.rules.batches import BATCH_SIZE
from local.engine import Engine
from local.portal import Knobs, PortalSimulator

SIZES = (10, 100, 1_000, 10_000)
_CONCURRENCY = 5
_SECONDS_PER_DELETE = 0.1
_TOKEN_LIFE = 12.0
_LOOKED_AT = 500  # histories of child executions

# The path of a user without errors; the emulator only reports a child's tasks.
_CHILD = ("start", "DeleteUser", "Finished?", "Pace")


def run(*, sizes: tuple[int, ...] = SIZES) -> Iterator[Figure]:
    """Delete each number of users through the real template."""
    knobs = Knobs(seconds_per_delete=_SECONDS_PER_DELETE, token_life_seconds=_TOKEN_LIFE)
    with (
        Engine(wait_scale=0.001) as aws,
        PortalSimulator(users=sum(sizes) + 200, knobs=knobs) as portal,
    ):
        application = Application(
            aws,
            "bench",
            portal,
            Pacing="adaptive",
            Concurrency=str(_CONCURRENCY),
            CanaryUsers="0",
        )
        first, times = 110, []
        application.apply(range(first, first + 10))  # warm functions
        first += 10
        for size in sizes:
            ended = application.apply(range(first, first + size))
            first += size
            times.append(_seconds_per_user(ended))
            yield from _describe(application, ended, size)
        # Again, as if its answer was lost: the report of the largest run, in one call.
        again = {"run_id": ended.name, "execution_arn": ended.arn}
        reported = report(again, environment(aws, application))
        yield Figure("scale", f"time of ReportRun, {sizes[-1]:,} users", reported.seconds, "s")
        yield Figure(
            "scale", f"peak memory of ReportRun, {sizes[-1]:,} users", reported.peak_mb, "MB", 1024
        )
        yield Figure(
            "scale",
            f"time per user, {sizes[-1]:,} users over {sizes[-2]:,}",
            times[-1] / times[-2],
            target=1.1,
        )


def _seconds_per_user(ended: Run) -> float:
    """Return the time of a user in a slot, once every slot has had one."""
    answers = sorted(request.at + request.seconds for request in ended.deletes)
    first = min(_CONCURRENCY, len(answers) - 1)
    return (answers[-1] - answers[first - 1]) * _CONCURRENCY / (len(answers) - first)


def events_of_batches(events: list[dict[str, Any]]) -> int:
    """Count the events from the first batch on until none is left."""
    first = _entered(events, "NextBatch")
    return _entered(events, "ReportRun") - first


def _entered(events: list[dict[str, Any]], state: str) -> int:
    return next(
        position
        for position, event in enumerate(events)
        if event.get("stateEnteredEventDetails", {}).get("name") == state
    )


def _describe(application: Application, ended: Run, size: int) -> Iterator[Figure]:
    part = f"scale, {size:,} users"
    batches = -(-size // BATCH_SIZE)
    children = list(islice(application.child_events(ended.name), _LOOKED_AT))
    tasks = mean(sum(event["type"] == "TaskScheduled" for event in child) for child in children)
    renewals = ended.report["renewals"]
    in_parent = sum(transitions(ended.events).values())
    yield Figure(part, "users deleted", len(ended.deletes), target=size, at_most=False)
    yield Figure(part, "token renewals", renewals)
    yield Figure(part, "time per user and slot", _seconds_per_user(ended), "s")
    yield Figure(part, "tasks per user, renewals included", tasks)
    yield Figure(
        part, "transitions per user, nothing going wrong", len(_CHILD), target=4, how="modelled"
    )
    yield Figure(part, "transitions of the parent, per user", in_parent / size)
    per_batch = events_of_batches(ended.events)
    yield Figure(part, "parent's history, events per batch", per_batch / batches, target=25)
    yield Figure(part, "parent's history, events beside", len(ended.events) - per_batch)
    yield Figure(
        part,
        "largest state payload",
        max(largest_payload(ended.events), *map(largest_payload, children)) / 1024,
        "KiB",
        target=32,
    )
    singles = [request for request in ended.requests if request.user_id is not None]
    yield Figure(part, "portal requests per user", len(singles) / size, target=3)
    lists = [request for request in ended.requests if request.path == "/api/user"]
    yield Figure(part, "lists of the portal's users, beside", len(lists))

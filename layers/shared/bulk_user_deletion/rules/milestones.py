"""What happened to a run, in order: planned, approved, started, stopped, resumed, ended."""

from collections.abc import Iterator, Sequence

from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.requests import Trigger
from bulk_user_deletion.models.runs import (
    Milestone,
    MilestoneKind,
    Round,
    RoundEnd,
    RunRow,
    RunStatus,
    Stop,
    Stopper,
)
from bulk_user_deletion.rules.reporting import iso

_STARTERS = {
    Trigger.S3: "a dropped file",
    Trigger.SCHEDULE: "the schedule",
    Trigger.DUE: "the daily schedule",
}
_UNNAMED = "an unnamed person"

_Dated = tuple[int, Milestone]


def milestones(
    run: RunRow | None,
    plan: Plan | None,
    rounds: Sequence[Round],
    stops: Sequence[Stop],
    *,
    end: RoundEnd,
) -> list[Milestone]:
    """Return everything that happened to a run, the first thing first.

    `rounds` and `stops` are what the ledger remembers; `end` is how the round in progress ends.
    """
    current = run.round_number if run else 1
    ends = [(row.number, row.end) for row in rounds if row.end and row.number < current]
    ends.append((current, end))
    resumed = [row for row in rounds if 1 < row.number <= current]
    pressed = _once([*stops, *(an_end.stop for _, an_end in ends if an_end.stop)], resumed)
    dated = [
        *_beginning(run, plan, rounds, at=end.at),
        *((stop.at, _stopped(stop)) for stop in pressed),
        *(one for number in range(1, current + 1) for one in _round(number, resumed, ends)),
    ]
    # Sorting keeps the order of what happened in the same second: a stop comes before an end.
    return [milestone for _, milestone in sorted(dated, key=lambda one: one[0])]


def asked(plan: Plan | None, rounds: Sequence[Round]) -> tuple[str, str]:
    """Return who asked for a run, and why: by its plan, or else by the request that was refused."""
    if plan:
        return plan.requested_by, plan.reason
    first = _first(rounds)
    return (first.by, first.reason) if first else ("", "")


def stops_of_round(run: RunRow, rounds: Sequence[Round], stops: Sequence[Stop]) -> set[Stopper]:
    """Return what holds the round in progress: each press counts, not only the first."""
    if run.stop is None:
        return set()
    resumed_at = max((row.at for row in rounds if row.number == run.round_number > 1), default=0)
    return {run.stop.stopper, *(stop.stopper for stop in stops if stop.at >= resumed_at)}


def milestone_text(milestone: Milestone) -> str:
    """Say what happened, who did it and why, in one line."""
    who = f" by {milestone.by}" if milestone.by else ""
    why = f": {milestone.reason.rstrip('.')}" if milestone.reason else ""
    match milestone.kind:
        case MilestoneKind.PLANNED:
            where = f" in preview {milestone.run_id}" if milestone.run_id else ""
            return f"Planned{where}{who}{why}"
        case MilestoneKind.APPROVED:
            plan = f"Plan of {milestone.run_id} (sha256 {milestone.plan_sha256})"
            return f"{plan} approved{who}{why}"
        case MilestoneKind.STARTED:
            return f"Started{who}{why}"
        case MilestoneKind.STOPPED:
            return f"Stop pressed{who}{why}"
        case MilestoneKind.RESUMED:
            return f"Resumed{who}{why} (execution {milestone.run_id})"
        case MilestoneKind.ENDED:
            counts = ", ".join(
                f"{number} {name.replace('_', ' ')}" for name, number in milestone.counts.items()
            )
            ended = (
                "Paused" if milestone.status == RunStatus.PAUSED else f"Ended {milestone.status}"
            )
            return f"{ended}{f': {counts}' if counts else ''}"


def _beginning(
    run: RunRow | None, plan: Plan | None, rounds: Sequence[Round], *, at: int
) -> Iterator[_Dated]:
    """Return how a run came about; without a run, who sent the request that was refused."""
    first = _first(rounds)
    started_at = run.started_at if run else first.at if first else at
    by, reason = asked(plan, rounds)
    preview = plan.preview if plan else None
    if plan and preview:
        yield (
            preview.at,
            Milestone(
                iso(preview.at),
                MilestoneKind.PLANNED,
                preview.by or _UNNAMED,
                preview.reason,
                run_id=preview.run_id,
            ),
        )
        yield (
            started_at,
            Milestone(
                iso(started_at),
                MilestoneKind.APPROVED,
                by or _UNNAMED,
                reason,
                run_id=preview.run_id,
                plan_sha256=plan.applies,
            ),
        )
        yield plan.created_at, Milestone(iso(plan.created_at), MilestoneKind.STARTED)
        return
    trigger = Trigger(run.trigger) if run and run.trigger else Trigger.CONSOLE
    starter = by or _STARTERS.get(trigger, _UNNAMED)
    yield started_at, Milestone(iso(started_at), MilestoneKind.STARTED, starter, reason)
    if plan:
        yield plan.created_at, Milestone(iso(plan.created_at), MilestoneKind.PLANNED)


def _first(rounds: Sequence[Round]) -> Round | None:
    return next((row for row in rounds if row.number == 1), None)


def _round(
    number: int, resumed: Sequence[Round], ends: Sequence[tuple[int, RoundEnd]]
) -> Iterator[_Dated]:
    yield from ((row.at, _resumed(row)) for row in resumed if row.number == number)
    yield from ((end.at, _ended(end)) for of, end in ends if of == number)


def _once(stops: Sequence[Stop], resumed: Sequence[Round]) -> list[Stop]:
    """Return the stops without those that repeat one of the same round.

    Users who are changed at the same time press the button for the same reason, and an order may be
    delivered twice.
    """
    found: dict[tuple[int, str, str], Stop] = {}
    for stop in sorted(stops, key=lambda stop: stop.at):
        round_number = max((row.number for row in resumed if row.at <= stop.at), default=1)
        found.setdefault((round_number, stop.by, stop.reason), stop)
    return list(found.values())


def _stopped(stop: Stop) -> Milestone:
    return Milestone(iso(stop.at), MilestoneKind.STOPPED, stop.by, stop.reason)


def _resumed(row: Round) -> Milestone:
    return Milestone(
        iso(row.at), MilestoneKind.RESUMED, row.by or _UNNAMED, row.reason, run_id=row.execution
    )


def _ended(end: RoundEnd) -> Milestone:
    return Milestone(iso(end.at), MilestoneKind.ENDED, status=end.status, counts=end.counts)

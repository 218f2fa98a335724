"""What to do next about a run that has ended: in words, as a request, as a command."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.reports import Report
from bulk_user_deletion.models.runs import Mode, RunStatus
from bulk_user_deletion.models.users import Outcome, ReasonKind

_LISTED = 100


@dataclass(frozen=True, slots=True)
class Advice:
    """`request` starts the state machine, `command` does the same; either may be missing."""

    text: str
    request: dict[str, Any] | None = None
    command: str = ""


def advice(report: Report) -> list[Advice]:
    """Return what is left to do about each kind of outcome, most urgent first."""
    return [*_for_the_run(report), *_for_entries(report)]


def _for_the_run(report: Report) -> Iterator[Advice]:
    counts = report.counts
    done = report.action.done
    if counts.get(report.action.would):
        yield Advice(
            f"Read the entries below. To {_verb(report)}, once, apply this plan.",
            {"mode": "apply", "plan": {"run_id": report.run_id, "sha256": report.plan_sha256}},
            f"bulk-user-deletion apply {report.run_id}",
        )
    if report.status is RunStatus.REFUSED or (
        report.status is RunStatus.FAILED and not report.requested
    ):
        yield Advice(f"Nobody was {done}. Fix what is said above, then send the request again.")
        return
    if report.mode != Mode.APPLY:
        return
    if number := counts.get(Outcome.FAILED):
        yield Advice(f"{number} failed, for the reason in their rows. Settle that in the portal.")
    if number := counts.get(Outcome.UNKNOWN):
        again = any(row.outcome is Outcome.UNKNOWN and row.can_be_resumed for row in report.rows)
        yield Advice(
            f"{number} unknown: {_what_is_unknown(report)}; their rows say why. Look them up in the"
            " portal." + (f" {_resuming(report)}" if again else "")
        )
    if report.status is RunStatus.PAUSED:
        yield Advice(
            f"{counts.get(Outcome.NOT_ATTEMPTED, 0)} not attempted: the run is resumed by itself at"
            f" {report.resumes_at}. To prevent that, stop it.",
            None,
            f"bulk-user-deletion stop {report.run_id} --reason WHY",
        )
        return
    if number := counts.get(Outcome.NOT_ATTEMPTED):
        yield Advice(f"{number} not attempted: the run ended before them. Nothing was sent.")
    left = sum(number for name, number in counts.items() if Outcome(name).is_open)
    if left > len(_undecided(report)):
        yield Advice(
            "Then resume the run. What is done is not done twice.",
            {"mode": "apply", "resume": report.run_id},
            f"bulk-user-deletion resume {report.run_id}",
        )


def _verb(report: Report) -> str:
    """Return what applying a preview's plan does to its users."""
    days = "1 day" if report.grace_days == 1 else f"{report.grace_days} days"
    match report.action:
        case Action.DISABLE:
            return "disable exactly these users"
        case Action.DISABLE_THEN_DELETE:
            return (
                f"disable exactly these users now and to approve that they are deleted {days} later"
            )
        case Action.ENABLE:
            return "enable exactly these users"
        case Action.DELETE | Action.DELETE_DUE:
            return "delete exactly these users"


def _what_is_unknown(report: Report) -> str:
    kinds = {row.reason_kind for row in report.rows if row.outcome is Outcome.UNKNOWN}
    if kinds == {ReasonKind.STILL_ENABLED}:
        return "the last look at them showed them enabled"
    if kinds == {ReasonKind.STILL_DISABLED}:
        return "the last look at them showed them disabled"
    wanted = "gone" if report.action.deletes else report.action.done
    return f"nobody can say whether they are {wanted}"


def _resuming(report: Report) -> str:
    if report.action.deletes:
        return "Resuming looks again, and sends another DELETE to those still there."
    return f"Resuming looks again, and sends another PUT to those not {report.action.done}."


def _undecided(report: Report) -> list[str]:
    """Return the ids of the users that a resumed run would leave as they are."""
    return [
        row.user_id or row.entry
        for row in report.rows
        if row.outcome.is_open and not row.can_be_resumed
    ]


def _some(user_ids: list[str]) -> str:
    return ", ".join(user_ids[:20]) + (", …" if len(user_ids) > 20 else "")


def _for_entries(report: Report) -> Iterator[Advice]:
    if number := report.counts.get(Outcome.UNRESOLVED):
        yield Advice(
            f"{number} unresolved: no user, or more than one, fits them. Find out who is meant, and"
            " preview them by their ids.",
            {"mode": "preview", "source": {"users": ["USER-ID"]}},
            "bulk-user-deletion preview --user USER-ID",
        )
    undecided = _undecided(report)
    if undecided and report.status is not RunStatus.REFUSED:
        yield Advice(
            "A resume cannot decide"
            f" {len(undecided)} of these: users {_some(undecided)}. Settle in the portal what their"
            " rows say, then preview them again.",
            {"mode": "preview", "source": {"users": undecided[:_LISTED]}},
        )
    changed = [
        row.user_id
        for row in report.rows
        if row.outcome is Outcome.SKIPPED and row.reason_kind is ReasonKind.CHANGED_SINCE_PLAN
    ]
    if changed:
        yield Advice(
            f"{len(changed)} changed since the plan was made, and were kept. Find out whether they"
            " are still meant, then preview them again"
            + (f" (the first {_LISTED} are listed)." if len(changed) > _LISTED else "."),
            {"mode": "preview", "source": {"users": changed[:_LISTED]}},
        )
    yield from _for_leavers(report)
    if report.unexplained_losses:
        yield Advice(
            f"{len(report.unexplained_losses)} users left the portal during this run that it did"
            " not delete. Find out who did."
        )


def _for_leavers(report: Report) -> Iterator[Advice]:
    """Return what is left to decide about leavers who are not deleted after all."""
    kinds = {
        ReasonKind.ENABLED_AGAIN: "enabled by somebody after we had disabled them",
        ReasonKind.HELD: "held: a person must decide",
        ReasonKind.WITHDRAWN: "withdrawn",
    }
    for kind, what in kinds.items():
        user_ids = [row.user_id for row in report.rows if row.reason_kind is kind and row.user_id]
        if user_ids:
            yield Advice(
                f"{len(user_ids)} left alone, {what}. Whoever has left after all is previewed by"
                " id.",
                {"mode": "preview", "source": {"users": user_ids[:_LISTED]}},
            )
    yield from _for_the_guarded(report)
    disabled = report.counts.get(Outcome.DISABLED)
    if disabled and report.action is Action.DISABLE_THEN_DELETE and report.mode == Mode.APPLY:
        yield Advice(
            f"Whoever is disabled is deleted {report.grace_days} days after that. To keep somebody,"
            " withdraw them before.",
            {"withdraw": {"run_id": report.run_id, "reason": "WHY", "by": "WHO"}},
            f"bulk-user-deletion withdraw --run {report.run_id} --reason WHY",
        )


def _for_the_guarded(report: Report) -> Iterator[Advice]:
    guarded = [row.user_id for row in report.rows if row.reason_kind is ReasonKind.GUARDED]
    if not guarded:
        return
    what = (
        f"{len(guarded)} kept by the guard, users {_some(guarded)}: the report has its reasons."
        " Settle them in the portal, and collect the guard's dataset again."
    )
    if report.action is Action.DELETE_DUE:
        yield Advice(f"{what} They stay waiting, and a later daily run deletes them.")
        return
    yield Advice(
        f"{what} Then preview them again.",
        {"mode": "preview", "source": {"users": guarded[:_LISTED]}},
    )

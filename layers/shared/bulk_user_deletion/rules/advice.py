"""What to do next about a run that has ended: in words, as a request, as a command."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

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
    if counts.get(Outcome.WOULD_DELETE):
        yield Advice(
            "Read the entries below. To delete exactly these users, once, apply this plan.",
            {"mode": "apply", "plan": {"run_id": report.run_id, "sha256": report.plan_sha256}},
            f"bulk-user-deletion apply {report.run_id}",
        )
    if report.status is RunStatus.REFUSED or (
        report.status is RunStatus.FAILED and not report.requested
    ):
        yield Advice("Nobody was deleted. Fix what is said above, then send the request again.")
        return
    if report.mode != Mode.APPLY:
        return
    if number := counts.get(Outcome.FAILED):
        yield Advice(f"{number} failed, for the reason in their rows. Settle that in the portal.")
    if number := counts.get(Outcome.UNKNOWN):
        again = any(row.outcome is Outcome.UNKNOWN and row.can_be_resumed for row in report.rows)
        yield Advice(
            f"{number} unknown: nobody can say whether they are gone; their rows say why. Look them"
            " up in the portal."
            + (
                " Resuming looks again, and sends another DELETE to those still there."
                if again
                else ""
            )
        )
    if number := counts.get(Outcome.NOT_ATTEMPTED):
        yield Advice(f"{number} not attempted: the run ended before them. Nothing was sent.")
    left = sum(number for name, number in counts.items() if Outcome(name).is_open)
    if left > len(_undecided(report)):
        yield Advice(
            "Then resume the run. What is done is not done twice.",
            {"mode": "apply", "resume": report.run_id},
            f"bulk-user-deletion resume {report.run_id}",
        )


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
    if report.unexplained_losses:
        yield Advice(
            f"{len(report.unexplained_losses)} users left the portal during this run that it did"
            " not delete. Find out who did."
        )

"""The text of the mail about the end of a run. `topic` sends it."""

import json
from collections.abc import Iterator
from datetime import timedelta

from bulk_user_deletion.models.reports import Report
from bulk_user_deletion.models.runs import Mode, RunStatus
from bulk_user_deletion.rules.advice import advice
from bulk_user_deletion.rules.costs import sentence
from bulk_user_deletion.rules.links import execution_link
from bulk_user_deletion.rules.reporting import iso


def mail(report: Report, *, report_link: str) -> tuple[str, str]:
    """Return the subject (at most 99 characters, the limit of SNS) and body of a mail.

    Short lines, for a phone; ids and counts only.
    """
    action = report.action
    would, number = (report.counts.get(name, 0) for name in (action.would, action.done))
    done = (
        f"{would} would be {action.done}"
        if would
        else f"{number} of {report.requested} {action.done}"
    )
    subject = f"[{report.status}] Bulk user deletion: {done}"
    parts = [
        report.sentence,
        _counts(report),
        *report.warnings,
        *_next(report),
        cost_sentence(report),
        f"Report: {report_link}",
        f"Execution: {execution_link(report.execution_arn)}",
        f"Run: {report.run_id}\nSource: {report.source or 'none'}\n",
    ]
    return subject[:99], "\n\n".join(parts)


def cost_sentence(report: Report) -> str:
    """Return what the run cost, beside its plan's estimate where the plan was applied."""
    estimate = report.estimate if report.mode == Mode.APPLY else None
    return sentence(report.cost, estimate, action=report.action)


def _counts(report: Report) -> str:
    rows = {**report.counts, "requested": report.requested}
    return "\n".join(f"{number} {name.replace('_', ' ')}" for name, number in rows.items())


def _next(report: Report) -> Iterator[str]:
    for piece in advice(report):
        yield piece.text + (f"\n{json.dumps(piece.request)}" if piece.request else "")
    if report.status is RunStatus.PREVIEWED and (estimate := report.estimate):
        ends = f" and end about {iso(estimate.ends_at)}, if started now" if estimate.ends_at else ""
        yield (
            f"Applying it will take about {timedelta(seconds=estimate.seconds)} and"
            f" {estimate.usd:.2f} USD (modelled){ends}."
        )

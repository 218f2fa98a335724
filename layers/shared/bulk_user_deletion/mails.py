"""The text of the mail about the end of a run. `topic` sends it."""

import json
from collections.abc import Iterator
from datetime import timedelta

from bulk_user_deletion.models.reports import Report
from bulk_user_deletion.models.runs import Mode, RunStatus
from bulk_user_deletion.rules.advice import advice
from bulk_user_deletion.rules.costs import sentence
from bulk_user_deletion.rules.links import execution_link
from bulk_user_deletion.rules.milestones import milestone_text
from bulk_user_deletion.rules.reporting import clock, iso, result
from bulk_user_deletion.rules.text import one_line

# "ASCII text [...] less than 100 characters long", without line breaks and control characters:
# https://docs.aws.amazon.com/sns/latest/api/API_Publish.html
_LONGEST_SUBJECT = 99


def mail(report: Report, *, report_link: str) -> tuple[str, str]:
    """Return the subject, as SNS accepts it, and the body of a mail.

    Short lines, for a phone; users by id and count only.
    """
    parts = [
        report.headline,
        _counts(report),
        *report.warnings,
        *_next(report),
        "What happened:\n" + "\n".join(_happened(report)),
        cost_sentence(report),
        f"Report: {report_link}",
        f"Execution: {execution_link(report.execution_arn)}",
        _names(report),
    ]
    return _subject(report), "\n\n".join(parts)


def _subject(report: Report) -> str:
    """Name the stack and, if there is room, its portal: the most important comes first."""
    said = f": {result(report)}"
    room = _LONGEST_SUBJECT - len(f"[{report.status}] {said}")
    subject = f"[{report.status}] {report.stack[:room]}{said}"
    whole = f"{subject} on {report.portal}"
    ascii_only = (whole if len(whole) <= _LONGEST_SUBJECT else subject).encode("ascii", "replace")
    return one_line(ascii_only.decode(), longest=_LONGEST_SUBJECT)


def _names(report: Report) -> str:
    names = {
        "Portal": report.portal,
        "Stack": report.stack,
        "Run": report.run_id,
        "Source": report.source or "none",
    }
    return "".join(f"{name}: {value}\n" for name, value in names.items())


def cost_sentence(report: Report) -> str:
    """Return what the run cost, next to its plan's estimate if the plan was applied."""
    estimate = report.estimate if report.mode == Mode.APPLY else None
    return sentence(report.cost, estimate, action=report.action)


def _counts(report: Report) -> str:
    rows = {**report.counts, "requested": report.requested}
    return "\n".join(f"{number} {name.replace('_', ' ')}" for name, number in rows.items())


def _happened(report: Report) -> Iterator[str]:
    for milestone in report.milestones:
        yield f"{clock(milestone.at, zone=True)} {milestone_text(milestone)}"


def _next(report: Report) -> Iterator[str]:
    for piece in advice(report):
        yield piece.text + (f"\n{json.dumps(piece.request)}" if piece.request else "")
    if report.status is RunStatus.PREVIEWED and (estimate := report.estimate):
        ends = f" and end about {iso(estimate.ends_at)}, if started now" if estimate.ends_at else ""
        yield (
            f"Applying it will take about {timedelta(seconds=estimate.seconds)} and"
            f" {estimate.usd:.2f} USD (modelled){ends}."
        )

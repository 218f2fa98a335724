"""How a report is written: JSON for programs, CSV for spreadsheets, a few lines for a mail."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from bulk_user_deletion.models.reports import Report, ReportRow
from bulk_user_deletion.models.runs import RunStatus
from bulk_user_deletion.rules.links import execution_link
from bulk_user_deletion.rules.next_steps import next_steps
from bulk_user_deletion.rules.text import showable

_SPREADSHEET_FORMULA = ("=", "+", "-", "@")


def report_json(report: Report) -> dict[str, Any]:
    """Return the whole report as a JSON document."""
    return asdict(report)


def report_csv(report: Report) -> str:
    """Return the report's rows as CSV with a header.

    A cell that a spreadsheet would run as a formula is put behind an apostrophe, and what a
    terminal would obey is not in it: each row is one line.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.name for column in fields(ReportRow))
    for row in report.rows:
        writer.writerow(_harmless(str(cell)) for cell in asdict(row).values())
    return text.getvalue()


def summary(report: Report, *, report_address: str) -> dict[str, Any]:
    """Return what the state machine, the notification and a dropped file's answer say.

    Ids and counts only: usernames and e-mails stay in the report.
    """
    return {
        "run_id": report.run_id,
        "status": report.status.value,
        "sentence": report.sentence,
        "mode": report.mode,
        "requested": report.requested,
        "counts": report.counts,
        "plan_sha256": report.plan_sha256,
        "report": report_address,
    }


def notification(report: Report, *, report_link: str) -> tuple[str, str]:
    """Return the subject (99 characters at most, the limit of SNS) and body of a mail.

    Short lines, for a phone; ids and counts only.
    """
    would, deleted = (report.counts.get(name, 0) for name in ("would_delete", "deleted"))
    done = f"{would} would be deleted" if would else f"{deleted} of {report.requested} deleted"
    subject = f"[{report.status}] Bulk user deletion: {done}"
    parts = [
        report.sentence,
        _counts(report),
        *report.warnings,
        *_next(report),
        f"Report: {report_link}",
        f"Execution: {execution_link(report.execution_arn)}",
        f"Run: {report.run_id}\nSource: {report.source or 'none'}\n",
    ]
    return subject[:99], "\n\n".join(parts)


def _counts(report: Report) -> str:
    rows = {**report.counts, "requested": report.requested}
    return "\n".join(f"{number} {name.replace('_', ' ')}" for name, number in rows.items())


def _next(report: Report) -> Iterator[str]:
    for step in next_steps(report):
        yield step.text + (f"\n{json.dumps(step.request)}" if step.request else "")
    if report.status is RunStatus.PREVIEWED and (estimate := report.estimate):
        yield (
            f"Applying it will take about {timedelta(seconds=estimate.seconds)} and"
            f" {estimate.usd:.2f} USD (modelled)."
        )


def _harmless(text: str) -> str:
    cell = showable(text)
    return f"'{cell}" if cell.startswith(_SPREADSHEET_FORMULA) else cell

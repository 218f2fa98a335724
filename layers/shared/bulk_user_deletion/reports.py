"""The formats of a report: JSON for programs, CSV for spreadsheets, and its summary."""

import csv
import io
from dataclasses import asdict, fields
from typing import Any

from bulk_user_deletion.models.reports import Report, ReportRow, Summary
from bulk_user_deletion.rules.text import showable

_SPREADSHEET_FORMULA = ("=", "+", "-", "@")


def report_json(report: Report) -> dict[str, Any]:
    """Return the whole report as a JSON document."""
    return asdict(report)


def report_csv(report: Report) -> str:
    """Return the report's rows as CSV with a header.

    A cell that a spreadsheet would run as a formula is prefixed with an apostrophe, and control
    characters are removed: each row is one line.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(column.name for column in fields(ReportRow))
    for row in report.rows:
        writer.writerow(_harmless(str(cell)) for cell in asdict(row).values())
    return text.getvalue()


def summary(report: Report, *, report_address: str) -> Summary:
    """Return the summary for the state machine and for the answer to a dropped file."""
    return Summary(
        run_id=report.run_id,
        status=report.status,
        sentence=report.sentence,
        mode=report.mode,
        requested=report.requested,
        counts=report.counts,
        plan_sha256=report.plan_sha256,
        report=report_address,
    )


def _harmless(text: str) -> str:
    cell = showable(text)
    return f"'{cell}" if cell.startswith(_SPREADSHEET_FORMULA) else cell

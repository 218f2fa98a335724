"""The formats of a report: JSON for programs, CSV for spreadsheets, a few lines for a mail."""

import csv
import io
import json
from dataclasses import asdict, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_user_deletion.mails import mail
from bulk_user_deletion.models.reports import ReportRow
from bulk_user_deletion.models.runs import Milestone, MilestoneKind, RunStatus
from bulk_user_deletion.models.users import Outcome
from bulk_user_deletion.reports import report_csv, report_json, summary
from bulk_user_deletion.rules.text import showable
from tests.builders import a_report, a_report_row

ADDRESS = "s3://data/runs/run-1/report.json"
LINK = "https://console.aws.amazon.com/s3/object/data?prefix=runs/run-1/report.html"


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


# CSV


def test_the_csv_has_a_header_and_one_row_per_entry() -> None:
    text = report_csv(a_report(a_report_row(2), a_report_row(3, outcome=Outcome.SKIPPED)))

    assert [(row["line"], row["user_id"], row["outcome"]) for row in read(text)] == [
        ("2", "118", "deleted"),
        ("3", "118", "skipped"),
    ]
    assert text.splitlines()[0] == (
        "line,entry,user_id,username,email,outcome,reason_kind,reason,portal_message,warning,"
        "attempts,delete_seconds,answered_at,ended_at,history"
    )


def test_the_csv_of_nobody_is_a_header() -> None:
    assert read(report_csv(a_report())) == []


@pytest.mark.parametrize(
    "cell",
    [
        '=HYPERLINK("https://example.com","x")',
        "+1+1",
        "-1+1",
        "@SUM(A1)",
    ],
)
def test_a_cell_that_a_spreadsheet_would_run_is_prefixed_with_an_apostrophe(cell: str) -> None:
    (row,) = read(report_csv(a_report(a_report_row(username=cell))))

    assert row["username"] == "'" + cell


@pytest.mark.parametrize("cell", ["a=1", "jdoe", "118", "jdoe@example.com", "a-b", ""])
def test_any_other_cell_is_written_as_it_is(cell: str) -> None:
    (row,) = read(report_csv(a_report(a_report_row(username=cell))))

    assert row["username"] == cell


@pytest.mark.parametrize("inside", ["\r", "\n", "\r\n", ",", '"', '",="'])
def test_no_cell_can_start_another_row_or_column(inside: str) -> None:
    username = f"jdoe{inside}=1+1"
    text = report_csv(a_report(a_report_row(1, username=username), a_report_row(2)))

    assert [row["username"] for row in read(text)] == [showable(username), "jdoe"]


cells = st.text()


@given(st.lists(st.builds(a_report_row, st.integers(1), entry=cells, username=cells, email=cells)))
def test_rule_3_the_csv_holds_every_row_and_every_cell(rows: list[ReportRow]) -> None:
    written = read(report_csv(a_report(*rows)))

    assert len(written) == len(rows)
    for row, line in zip(rows, written, strict=True):
        assert list(line) == [column.name for column in fields(ReportRow)]
        for name in ("entry", "username", "email"):
            cell = showable(getattr(row, name))
            assert line[name] in {cell, "'" + cell}
            assert not line[name].startswith(("=", "+", "-", "@"))


# JSON


def test_the_json_report_is_the_whole_report() -> None:
    report = a_report(a_report_row(2), status=RunStatus.INCOMPLETE, warnings=["slow"])
    document = json.loads(json.dumps(report_json(report)))

    assert document["status"] == "INCOMPLETE"
    assert document["rows"][0]["outcome"] == "deleted"
    assert document["requested"] == sum(document["counts"].values()) == len(document["rows"])
    assert document["warnings"] == ["slow"]


# Summary and notification


def test_the_summary_says_how_it_ended_and_where_the_report_is() -> None:
    assert asdict(summary(a_report(a_report_row()), report_address=ADDRESS)) == {
        "run_id": "run-1",
        "status": "SUCCEEDED",
        "sentence": "All done.",
        "mode": "apply",
        "requested": 1,
        "counts": {"deleted": 1},
        "plan_sha256": "0" * 64,
        "report": ADDRESS,
    }


def test_the_notification_says_it_in_its_subject_and_gives_the_counts() -> None:
    report = a_report(
        a_report_row(),
        a_report_row(2, outcome=Outcome.UNKNOWN),
        a_report_row(3, outcome=Outcome.UNKNOWN),
        status=RunStatus.INCOMPLETE,
        headline="1 of 3 entries deleted, 2 unknown.",
        stack="bulk-user-deletion-prod",
        milestones=[
            Milestone("2026-11-20T20:00:00Z", MilestoneKind.STARTED, "hr-automation", "HR-1234"),
            Milestone("2026-11-20T20:05:00Z", MilestoneKind.ENDED, status="INCOMPLETE"),
        ],
        requested=3,
        counts={"deleted": 1, "unknown": 2},
    )
    subject, body = mail(report, report_link=LINK)

    assert subject == ("[INCOMPLETE] bulk-user-deletion-prod: 1 of 3 deleted on portal.example.com")
    assert body == (
        "1 of 3 entries deleted, 2 unknown.\n\n"
        "1 deleted\n"
        "2 unknown\n"
        "3 requested\n\n"
        "2 unknown: it is not known whether they are gone; their rows say why. Look them up in the"
        " portal."
        " Resuming looks again, and sends another DELETE to those still there.\n\n"
        "Then resume the run. Nothing is done twice.\n"
        '{"mode": "apply", "resume": "run-1"}\n\n'
        "What happened:\n"
        "2026-11-20 20:00:00 UTC Started by hr-automation: HR-1234\n"
        "2026-11-20 20:05:00 UTC Ended INCOMPLETE\n\n"
        "This run cost about 0.0200 USD at AWS's list prices; its plan estimated 0.0100 USD.\n\n"
        f"Report: {LINK}\n\n"
        "Execution: https://console.aws.amazon.com/states/home?region=us-east-1"
        f"#/v2/executions/details/{report.execution_arn}\n\n"
        "Portal: portal.example.com\n"
        "Stack: bulk-user-deletion-prod\n"
        "Run: run-1\n"
        "Source: dataset 42\n"
    )


@pytest.mark.parametrize(
    "status", [RunStatus.NOBODY_DELETED, RunStatus.REFUSED, RunStatus.PREVIEWED]
)
def test_rule_3_a_run_that_deleted_nobody_says_so_in_its_subject(status: RunStatus) -> None:
    report = a_report(status=status, requested=4, counts={"skipped": 4})

    subject, _ = mail(report, report_link=LINK)

    assert subject.startswith(f"[{status.value}] bulk-user-deletion: 0 of 4 deleted")


def test_the_notification_of_no_entries_says_so() -> None:
    _, body = mail(a_report(requested=0), report_link=LINK)

    assert "\n0 requested\n" in body


def test_the_notification_of_a_preview_says_how_to_apply_exactly_its_plan() -> None:
    report = a_report(
        a_report_row(outcome=Outcome.WOULD_DELETE),
        status=RunStatus.PREVIEWED,
        mode="preview",
        counts={"would_delete": 1},
    )

    subject, body = mail(report, report_link=LINK)

    assert subject == (
        "[PREVIEWED] bulk-user-deletion: 1 of 1 would be deleted on portal.example.com"
    )
    digest = "0" * 64
    assert f'{{"mode": "apply", "plan": {{"run_id": "run-1", "sha256": "{digest}"}}}}' in body
    assert "about 0:02:00 and 0.01 USD" in body


def test_the_notification_repeats_the_plans_warnings() -> None:
    report = a_report(a_report_row(), warnings=["2 entries are protected (lines 3, 7)."])

    assert report.warnings[0] in mail(report, report_link=LINK)[1]


@given(
    st.sampled_from(RunStatus),
    st.integers(1, 10**6),
    st.text(max_size=300),
    st.text(max_size=300),
)
def test_sns_accepts_every_subject_and_the_counts_are_in_it(
    status: RunStatus, number: int, stack: str, portal: str
) -> None:
    """ASCII, less than 100 characters, no line break, starting with a letter or punctuation."""
    report = a_report(
        status=status, requested=number, counts={"deleted": number}, stack=stack, portal=portal
    )

    subject, _ = mail(report, report_link=LINK)

    assert subject.startswith(f"[{status}] ")
    assert f": {number} of {number} deleted" in subject
    assert len(subject) < 100
    assert subject.isascii()
    assert subject.isprintable()
    assert not subject.startswith(" ")


def test_rule_6_neither_summary_nor_notification_contains_a_name() -> None:
    report = a_report(a_report_row(entry="jdoe", reason="jdoe owns 3 dashboards"))
    said = json.dumps(asdict(summary(report, report_address=ADDRESS))) + str(
        mail(report, report_link=LINK)
    )

    assert "jdoe" not in said

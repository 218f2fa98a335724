"""What the terminal shows about the end of a run."""

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.runs import RunStatus
from bulk_user_deletion_cli.deployment import Deployment, Execution
from bulk_user_deletion_cli.runs import Ended, ended_by


@pytest.mark.parametrize(
    ("reported_at", "status"),
    [
        ("2026-11-25T10:00:00Z", "ABORTED"),  # before this execution started: an earlier round's
        ("2026-11-25T12:00:00Z", "INCOMPLETE"),
        ("2026-11-25T12:30:00Z", "INCOMPLETE"),
    ],
)
def test_the_report_of_an_earlier_round_is_not_reported_as_the_end_of_this_one(
    reported_at: str, status: str
) -> None:
    report = {"status": "INCOMPLETE", "sentence": "5 of 20.", "ended_at": reported_at}
    deployment = SimpleNamespace(
        ledger=SimpleNamespace(runs=SimpleNamespace(id_of=lambda _: "run-1")),
        bucket=SimpleNamespace(read_report=lambda *_: json.dumps(report).encode()),
    )
    resuming = Execution(
        arn="arn:resumed",
        name="resumed",
        status=ExecutionStatus.ABORTED,
        started_at=datetime(2026, 11, 25, 12, 0, 0, 400_000, tzinfo=UTC),
        output={},
        cause="by hand",
    )

    assert ended_by(cast("Deployment", deployment), resuming).status == status


@pytest.mark.parametrize("status", RunStatus)
def test_the_exit_status_is_that_of_the_execution_unless_the_run_was_refused(
    status: RunStatus,
) -> None:
    refused = status is RunStatus.REFUSED

    expected = 2 if refused else 0 if status.is_success else 1
    assert Ended("run-1", status, "", {}).exit_status == expected


@pytest.mark.parametrize("status", sorted(set(ExecutionStatus) - {ExecutionStatus.SUCCEEDED}))
def test_an_execution_that_ended_without_a_report_is_no_success(status: ExecutionStatus) -> None:
    assert Ended("run-1", status, "", {}).exit_status == 1

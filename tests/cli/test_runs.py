"""What the terminal shows about the end of a run."""

import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from rich.console import Console

from bulk_user_deletion.errors import StoreUnavailable
from bulk_user_deletion.executions import ExecutionStatus
from bulk_user_deletion.models.runs import RunStatus
from bulk_user_deletion_cli.deployment import Deployment, Execution
from bulk_user_deletion_cli.exits import FAILED, INTERRUPTED, Failure
from bulk_user_deletion_cli.parts import wait
from bulk_user_deletion_cli.runs import Ended, copy_reports, ended_by, watch


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


# Watching, and what interrupts it


def a_run(error: BaseException) -> Deployment:
    """A run that cannot be seen because of this error."""

    def execution(_: str) -> Execution:
        raise error

    ledger = SimpleNamespace(turns=SimpleNamespace(read=lambda _: None))
    return cast("Deployment", SimpleNamespace(ledger=ledger, bucket=None, execution=execution))


EXPIRED = ClientError(
    {"Error": {"Code": "ExpiredTokenException", "Message": "no"}}, "DescribeExecution"
)


@pytest.mark.parametrize(
    ("error", "status", "why"),
    [
        (KeyboardInterrupt(), INTERRUPTED, "Interrupted."),
        (EXPIRED, FAILED, "AWS refused DescribeExecution: ExpiredTokenException."),
        (ConnectionClosedError(endpoint_url="https://x"), FAILED, "Connection was closed"),
        (StoreUnavailable("Reading the run: no."), FAILED, "Reading the run: no."),
        (OSError(28, "No space left on device"), FAILED, "The output: No space left on device."),
    ],
)
def test_whatever_keeps_a_run_from_being_watched_the_run_is_said_to_go_on(
    error: BaseException, status: int, why: str
) -> None:
    with pytest.raises(Failure) as failure:
        watch(a_run(error), "arn:execution:run-1", Console(quiet=True))

    said = failure.value.message
    assert failure.value.exit_code == status
    assert said.startswith(why)
    assert "The run continues without this terminal." in said
    assert "bulk-user-deletion status run-1 --watch" in said
    assert "bulk-user-deletion stop run-1 --reason WHY" in said
    assert failure.value.about == {"run_id": "run-1"}


def test_an_order_that_is_not_waited_for_is_no_run_that_goes_on() -> None:
    with pytest.raises(Failure) as failure:
        wait(a_run(KeyboardInterrupt()), "arn:execution:stop-1")

    assert failure.value.exit_code == INTERRUPTED
    assert "bulk-user-deletion status stop-1" in failure.value.message
    assert "The run continues" not in failure.value.message


# Reports


def reports(content: bytes) -> Deployment:
    return cast(
        "Deployment", SimpleNamespace(bucket=SimpleNamespace(read_report=lambda *_: content))
    )


def test_a_report_is_copied_wholly_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_reports(reports(b"whole"), "run-1", tmp_path)

    def half(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:2])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(OSError, match="No space left"):
        copy_reports(reports(b"newer"), "run-1", tmp_path)

    left = {path.name: path.read_bytes() for path in (tmp_path / "run-1").iterdir()}
    assert left == dict.fromkeys(("report.html", "report.json", "report.csv"), b"whole")

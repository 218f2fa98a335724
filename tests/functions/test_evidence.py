"""Evidence: what S3 keeps immutable, and the hashes of what a report is based on."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from botocore.exceptions import ClientError

from bulk_user_deletion.bucket_keys import is_evidence
from bulk_user_deletion.errors import RequestRefused
from tests.functions.stack import Stack

SetParameter = Callable[[str, str], None]


def keys_of(stack: Stack) -> list[str]:
    """The keys of the data bucket."""
    return stack.keys()


def versions(stack: Stack, key: str) -> list[dict[str, Any]]:
    """The versions of an object, each as S3 describes it."""
    listed = stack.s3.list_object_versions(Bucket="data", Prefix=key)["Versions"]
    return [
        dict(stack.s3.head_object(Bucket="data", Key=key, VersionId=version["VersionId"]))
        for version in listed
        if version["Key"] == key
    ]


def run_in_two_rounds(stack: Stack) -> None:
    """Delete two users, the second one in a resumed round."""
    stack.plan(["118", "119"])
    keys = stack.hand_out()
    stack.delete_until_finished("118", keys["118"])
    stack.ledger.runs.press_stop("run-1", reason="lunch", by="ann", now=time.time())
    stack.report_run()
    stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, run_id="run-2")
    stack.work_off()
    stack.report_run()


def test_plans_snapshots_and_reports_are_locked_each_version_of_them(
    stack: Stack, set_parameter: SetParameter
) -> None:
    set_parameter("OBJECT_LOCK_DAYS", "30")

    run_in_two_rounds(stack)

    until = datetime.now(UTC) + timedelta(days=30)
    for key in keys_of(stack):
        for version in versions(stack, key):
            mode = version.get("ObjectLockMode")
            assert (mode == "GOVERNANCE") is is_evidence(key), key
            if mode:
                locked_until = version["ObjectLockRetainUntilDate"]
                assert abs(locked_until - until) < timedelta(minutes=5)
    names = {key.rpartition("/")[2] for key in keys_of(stack) if is_evidence(key)}
    assert names == {
        "plan.json",
        "open-2.json",
        "users-before.json",
        "users-before-2.json",
        "report.json",
        "report.csv",
        "report.html",
    }
    assert len(versions(stack, "runs/run-1/report.json")) == 2


def test_a_locked_version_cannot_be_deleted(stack: Stack, set_parameter: SetParameter) -> None:
    set_parameter("OBJECT_LOCK_DAYS", "30")
    stack.plan(["118"])
    [version] = versions(stack, "runs/run-1/plan.json")

    with pytest.raises(ClientError, match="AccessDenied"):
        stack.s3.delete_object(
            Bucket="data", Key="runs/run-1/plan.json", VersionId=version["VersionId"]
        )


def test_nothing_is_locked_by_default(stack: Stack) -> None:
    stack.plan(["118"])
    stack.work_off()
    stack.report_run()

    for key in keys_of(stack):
        assert all("ObjectLockMode" not in version for version in versions(stack, key))


@pytest.mark.parametrize(("days", "refused"), [("400", False), ("401", True)])
def test_a_lock_that_outlives_what_is_kept_is_refused(
    stack: Stack, set_parameter: SetParameter, days: str, refused: bool
) -> None:
    set_parameter("OBJECT_LOCK_DAYS", days)

    if not refused:
        assert stack.plan(["118"])["users"] == 1
        return
    with pytest.raises(RequestRefused, match="must not be more than RetentionDays"):
        stack.plan(["118"])
    assert stack.writes() == []


def test_a_report_names_the_hash_of_each_file_that_it_rests_on_and_the_ledger_its_own(
    stack: Stack,
) -> None:
    run_in_two_rounds(stack)

    report = stack.read_json("runs/run-1/report.json")
    assert set(report["files"]) == {
        "plan.json",
        "open-2.json",
        "users-before.json",
        "users-before-2.json",
        "report.csv",
        "report.html",
    }
    for name, digest in report["files"].items():
        assert digest == sha256(stack.read_bytes(f"runs/run-1/{name}")).hexdigest()
    page = stack.read_bytes("runs/run-1/report.html").decode()
    assert report["files"]["users-before-2.json"] in page
    run = stack.ledger.runs.read("run-1")
    assert run
    assert run.report_sha256 == sha256(stack.read_bytes("runs/run-1/report.json")).hexdigest()


def test_while_a_run_is_resumed_no_report_of_an_earlier_round_is_its_last_word(
    stack: Stack,
) -> None:
    stack.plan(["118", "119"])
    stack.ledger.runs.press_stop("run-1", reason="lunch", by="ann", now=time.time())
    stack.report_run()

    stack.fetch_user_ids({"mode": "apply", "resume": "run-1"}, run_id="run-2")

    run = stack.ledger.runs.read("run-1")
    assert run
    assert run.report_sha256 == ""

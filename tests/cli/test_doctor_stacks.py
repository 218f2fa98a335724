"""What doctor says about other stacks on the same portal, and about locked evidence."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.doctor import State, _object_lock, other_stacks_finding

PORTAL = "https://portal.example.com/insights"


@pytest.mark.parametrize(
    ("url", "is_same"),
    [
        (PORTAL, True),
        ("https://portal.example.com/insights/", True),
        ("https://Portal.Example.COM:443/insights", True),
        ("https://portal.example.com./insights", True),
        ("https://portal.example.com:8443/insights", False),
        ("https://portal.example.com/other", False),
        ("https://test.example.com/insights", False),
        ("", False),
    ],
)
def test_another_stack_is_on_the_same_portal_however_its_address_is_written(
    url: str, is_same: bool
) -> None:
    finding = other_stacks_finding(
        "Other stacks", [("ours", PORTAL), ("theirs", url)], ours="ours", portal_url=PORTAL
    )

    assert finding.state is (State.WRONG if is_same else State.WELL)
    assert ("theirs" in finding.said) is is_same
    assert "ours" not in finding.said


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> Deployment:
    """A stack with this name, which makes no call."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return Deployment("ours")


def a_stack(name: str, *outputs: str) -> dict[str, Any]:
    """A stack as CloudFormation describes it."""
    return {
        "StackName": name,
        "CreationTime": datetime(2026, 11, 20, tzinfo=UTC),
        "StackStatus": "CREATE_COMPLETE",
        "Parameters": [{"ParameterKey": "PortalUrl", "ParameterValue": PORTAL}],
        "Outputs": [{"OutputKey": output, "OutputValue": "x"} for output in outputs],
    }


def test_stacks_of_this_application_are_told_by_their_outputs_on_every_page(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = boto3.client("cloudformation", region_name="us-east-1")
    ours = a_stack("ours", "StateMachineArn", "LedgerTableName")
    another = a_stack("another", "StateMachineArn")
    theirs = a_stack("theirs", "StateMachineArn", "LedgerTableName", "TopicArn")
    monkeypatch.setattr(boto3, "client", lambda *_, **__: client)
    with Stubber(client) as answers:
        answers.add_response("describe_stacks", {"Stacks": [ours, another], "NextToken": "2"}, {})
        answers.add_response("describe_stacks", {"Stacks": [theirs]}, {"NextToken": "2"})

        found = list(deployment.stacks_of_this_application())

    assert found == [("ours", PORTAL), ("theirs", PORTAL)]


@pytest.mark.parametrize(
    ("lock_days", "locks", "state", "said"),
    [
        (0, False, State.WELL, "off"),
        (30, True, State.WELL, "locked for 30 days"),
        (30, False, State.WRONG, "locks no objects"),
        (401, True, State.WRONG, "must not be more than RetentionDays"),
    ],
)
def test_a_lock_needs_a_bucket_that_locks_and_no_more_days_than_are_kept(
    lock_days: int, locks: bool, state: State, said: str
) -> None:
    days = {"ObjectLockDays": lock_days, "RetentionDays": 400}
    stack: Any = SimpleNamespace(days=days.get, bucket_locks_objects=lambda: locks)

    finding = _object_lock("Object lock", cast("Deployment", stack))

    assert finding.state is state
    assert said in finding.said


@mock_aws
@pytest.mark.parametrize("locks", [True, False])
def test_whether_a_bucket_locks_objects_s3_says(deployment: Deployment, locks: bool) -> None:
    s3 = boto3.client("s3", region_name="us-east-1")
    s3.create_bucket(Bucket="data", ObjectLockEnabledForBucket=locks)
    vars(deployment)["outputs"] = {"DataBucketName": "data"}

    assert deployment.bucket_locks_objects() is locks

"""Evidence on the real template: locked if the bucket locks, verified afterwards."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from click.testing import CliRunner, Result

from bulk_user_deletion.bucket_keys import is_evidence
from bulk_user_deletion_cli.main import main
from local.engine import Engine
from local.portal import PortalSimulator
from tests.end_to_end.conftest import Application


@pytest.fixture
def locked(aws: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Application]:
    """A stack with ObjectLockDays, whose bucket locks nothing yet.

    The emulator's CloudFormation does not know Object Lock, its S3 does.
    """
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    with PortalSimulator(users=150) as portal:
        application = Application(aws, "locked", portal, ObjectLockDays="30")
        yield application
        application.stack.delete()


def command(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["--stack-name", "locked", *arguments])


def test_evidence_is_locked_and_agrees(locked: Application, aws: Engine) -> None:
    s3, bucket = aws.client("s3"), locked.outputs["DataBucketName"]
    ill = command("doctor")
    assert "the bucket locks no objects" in ill.output
    lock: Any = {"ObjectLockEnabled": "Enabled"}
    s3.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=lock)

    run = locked.apply(locked.leavers(2))

    assert run.status == "SUCCEEDED"
    versions = s3.list_object_versions(Bucket=bucket, Prefix="runs/")["Versions"]
    modes = {
        version["Key"]: s3.head_object(
            Bucket=bucket, Key=version["Key"], VersionId=version["VersionId"]
        ).get("ObjectLockMode")
        for version in versions
    }
    assert {key: mode == "GOVERNANCE" for key, mode in modes.items()} == {
        key: is_evidence(key) for key in modes
    }
    [report] = [version for version in versions if version["Key"].endswith("/report.json")]
    with pytest.raises(ClientError, match="AccessDenied"):
        s3.delete_object(Bucket=bucket, Key=report["Key"], VersionId=report["VersionId"])
    verified, well = command("verify", run.id), command("doctor")
    assert verified.exit_code == 0, verified.output
    assert well.exit_code == 0, well.output
    assert "locked for 30 days" in well.output

"""ReportRun: what became of everybody."""

from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.observability import logger, observed
from bulk_user_deletion.steps.report_run import ReportRun


@observed
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`event`: run_id, execution_arn, failure (Error and Cause, or null), look, token."""
    ours = adapters()
    said = ReportRun(
        run_id=event["run_id"],
        execution_arn=event["execution_arn"],
        failure=event["failure"],
        look=event["look"],
        ledger=ours.ledger,
        bucket=ours.bucket,
        topic=ours.topic,
        connect=lambda: ours.connect(event["token"]["version_id"]),
    ).run()
    logger.info("Reported", extra={"status": said["status"], "counts": said["counts"]})
    return said

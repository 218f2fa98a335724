"""ReportRun: what happened to each user."""

import gc
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.observability import logger, observed
from bulk_user_deletion.steps.report_run import ReportRun

# A large plan has hundreds of thousands of objects, and none of them is garbage: with the default
# thresholds, collecting garbage again and again takes as long as the work.
gc.set_threshold(100_000)


@observed
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`event`: run_id, execution_arn, failure (Error and Cause, or null), look, list_doubted,
    token.
    """
    ours = adapters()
    ended = ReportRun(
        run_id=event["run_id"],
        execution_arn=event["execution_arn"],
        failure=event["failure"],
        look=event["look"],
        portal_url=ours.settings.portal_url,
        ledger=ours.ledger,
        bucket=ours.bucket,
        topic=ours.topic,
        executions=ours.executions,
        connect=lambda: ours.connect(event["token"]["version_id"]),
        # An execution that was started by an earlier version does not pass it.
        list_doubted=event.get("list_doubted", False),
    ).perform()
    said = ended.as_json()
    logger.info("Reported", extra={"status": said["status"], "counts": said["counts"]})
    return said

"""FetchUserIds: from a request to a sealed plan."""

import gc
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.observability import logger, observed
from bulk_user_deletion.steps.fetch_user_ids import FetchUserIds

# A large plan has hundreds of thousands of objects, and none of them is garbage: with the default
# thresholds, collecting garbage again and again takes as long as the work.
gc.set_threshold(100_000)


@observed
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`event`: run_id, execution_arn, request (the execution's input), token."""
    ours = adapters()
    planned = FetchUserIds(
        run_id=event["run_id"],
        execution_arn=event["execution_arn"],
        event=event["request"],
        settings=ours.settings,
        ledger=ours.ledger,
        bucket=ours.bucket,
        executions=ours.executions,
        connect=lambda: ours.connect(event["token"]["version_id"]),
    ).perform()
    logger.info("Planned", extra=asdict(planned))
    return asdict(planned)

"""NextBatch: the next users to delete, or none."""

from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.observability import logger, observed
from bulk_user_deletion.steps.next_batch import NextBatch


@observed
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`event`: run_id, execution_arn, batch (with the number of the previous batch), can_pause."""
    ours = adapters()
    batch = NextBatch(
        run_id=event["run_id"],
        execution_arn=event["execution_arn"],
        number=event["batch"]["number"],
        # An execution that was started by an earlier version does not pass it.
        can_pause=event.get("can_pause", False),
        windows_for=ours.settings.windows_for,
        ledger=ours.ledger,
        bucket=ours.bucket,
    ).perform()
    logger.info("Next batch", extra=asdict(batch))
    return asdict(batch)

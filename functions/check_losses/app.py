"""CheckLosses: whether anyone has left the portal who was not planned to be deleted."""

import gc
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.observability import logger, observed
from bulk_user_deletion.steps.check_losses import CheckLosses

# A large portal has a hundred thousand users, and none of them is garbage: with the default
# thresholds, collecting garbage again and again takes as long as the work.
gc.set_threshold(100_000)


@observed
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`event`: run_id, execution_arn, batch (the one that is done), token."""
    ours = adapters()
    losses = CheckLosses(
        run_id=event["run_id"],
        execution_arn=event["execution_arn"],
        number=event["batch"]["number"],
        is_canary=event["batch"]["is_canary"],
        most_losses=ours.settings.max_unexplained_losses,
        ledger=ours.ledger,
        bucket=ours.bucket,
        connect=lambda: ours.connect(event["token"]["version_id"]),
    ).perform()
    logger.info("Losses looked for", extra={"losses": losses})
    # The token worked, so its renewals are counted from 0 again: a batch outlasts a token.
    return {
        "losses": len(losses),
        "version_id": event["token"]["version_id"],
        "renewals": 0,
    }

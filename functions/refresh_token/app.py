"""RefreshToken: a portal token that has not been rejected."""

import time
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.errors import TokenRejected
from bulk_user_deletion.observability import logger, observed
from bulk_user_deletion.steps.refresh_token import RefreshToken


@observed
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`event`: run_id, token (with the renewals so far), rejection (Error and Cause)."""
    ours = adapters()
    renewals = event["token"]["renewals"]
    version_id = RefreshToken(
        run_id=event["run_id"],
        rejected=TokenRejected.version_in(event["rejection"]["Cause"]),
        renewals=renewals,
        owner=context.aws_request_id,
        lease_until=int(time.time() + context.get_remaining_time_in_millis() / 1000) + 1,
        token_life_seconds=ours.settings.token_life_seconds,
        ledger=ours.ledger,
        tokens=ours.tokens,
        portal=ours.portal(),
    ).perform()
    logger.info("Token renewed", extra={"version_id": version_id})
    return {"version_id": version_id, "renewals": renewals + 1}

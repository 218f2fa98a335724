"""DeleteUser: process one user as far as possible without waiting."""

import time
from dataclasses import asdict
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext

from bulk_user_deletion.adapters import adapters
from bulk_user_deletion.observability import logger, observed
from bulk_user_deletion.steps.delete_user import DeleteUser


@observed
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """`event`: run_id, execution_arn, batch_key, user_id, token, progress."""
    logger.append_keys(user_id=event["user_id"])
    ours = adapters()
    progress = DeleteUser(
        run_id=event["run_id"],
        execution_arn=event["execution_arn"],
        user_id=event["user_id"],
        batch_key=event["batch_key"],
        tries=event["progress"]["tries"],
        owner=context.aws_request_id,
        lease_until=int(time.time() + context.get_remaining_time_in_millis() / 1000) + 1,
        portal_url=ours.settings.portal_url,
        stack_action=ours.settings.leaver_action,
        protected_list=ours.settings.protected_list,
        windows_for=ours.settings.windows_for,
        pacing=ours.settings.pacing,
        grace=ours.settings.grace,
        guard=ours.guard,
        ledger=ours.ledger,
        bucket=ours.bucket,
        connect=lambda seconds: ours.connect(
            event["token"]["version_id"], seconds_per_delete=seconds
        ),
    ).perform()
    logger.info("User taken a step further", extra=asdict(progress))
    return asdict(progress)

"""After the canaries and after each batch: has anyone left the portal who was not planned?"""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import users_before_key
from bulk_user_deletion.errors import PermanentError
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import Looks, Patience
from bulk_user_deletion.losses import find_losses
from bulk_user_deletion.models.runs import Stopper
from bulk_user_deletion.observability import logger
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.losses import loss_problem

# The function has fifteen minutes, and reading a large list may take some of that time.
_SECONDS_FOR_LOOKS = 240


@dataclass(frozen=True, slots=True)
class CheckLosses:
    """One invocation, after batch `number`; `is_canary` says that it was the last canary."""

    run_id: str
    execution_arn: str
    number: int
    is_canary: bool
    most_losses: int
    ledger: Ledger
    bucket: Bucket
    connect: Callable[[], Portal]
    clock: Callable[[], float] = time.time

    def perform(self) -> tuple[str, ...]:
        """Record the losses that are new since the start of the round; return their ids.

        Too many of them set the run's stop flag.

        Raises:
            TokenRejected: renew the token, then call again.
            PermanentError: looks cannot be relied on; the run's stop flag is set.
            PortalUnavailable, StoreUnavailable: call again.
        """
        run = self.ledger.runs.read_open(self.run_id, self.execution_arn)
        if self.number <= run.checked_batch:
            return ()
        try:
            portal = self.connect()
            there = {user.user_id for user in portal.users()}
            found = find_losses(
                self.bucket.read_users(users_before_key(self.run_id, run.round_number)),
                there,
                explained={*self._planned(), *run.losses},
                looks=Looks(portal, run.control),
                patience=Patience(_SECONDS_FOR_LOOKS),
                ledger=self.ledger,
            )
        except PermanentError as error:
            self._stop(str(error))
            raise
        if found.list_is_short:
            logger.warning("The portal's list of users is incomplete: it claims nobody")
        problem = loss_problem(found.user_ids, after_canaries=self.is_canary, most=self.most_losses)
        if problem:
            self._stop(problem)
        self.ledger.runs.record_losses(
            self.run_id,
            self.execution_arn,
            after_batch=self.number,
            losses=(*run.losses, *found.user_ids),
        )
        return found.user_ids

    def _planned(self) -> set[str]:
        plan = self.bucket.read_plan(self.run_id)
        return {user.user_id for user in plan.users} if plan else set()

    def _stop(self, reason: str) -> None:
        self.ledger.runs.press_stop(
            self.run_id,
            reason=reason,
            by="CheckLosses",
            now=int(self.clock()),
            stopper=Stopper.RUN,
        )

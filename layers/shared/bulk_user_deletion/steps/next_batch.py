"""Hands out the next users of a plan, or none: the run was stopped, or all were handed out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import PlanEdited, RunClosed
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models import Mode, PortalUser
from bulk_user_deletion.rules.batches import batch_range, canary_problem
from bulk_user_deletion.rules.breaker import IN_A_ROW


@dataclass(frozen=True, slots=True)
class Batch:
    """Batch `number`, from 1, of `users` users, stored under `key`; 0 users end the loop."""

    number: int
    users: int
    key: str


@dataclass(frozen=True, slots=True)
class NextBatch:
    """One invocation, after batch `number` (0 before the first one) was worked through."""

    run_id: str
    execution_arn: str
    number: int
    ledger: Ledger
    bucket: Bucket
    clock: Callable[[], float] = time.time

    def run(self) -> Batch:
        """Store the next batch and say where.

        Raises:
            RunClosed: the run has no plan, or is not open for this execution.
            PlanEdited: the plan was changed since it was stored.
            StoreUnavailable: call again.
        """
        run = self.ledger.open_run_of(self.run_id, self.execution_arn)
        sealed = self.bucket.read_sealed(self.run_id)
        if run.mode is not Mode.APPLY or sealed is None or sealed[0].refusal:
            raise RunClosed(f"Run {self.run_id} has no plan that may be applied.")
        plan, digest = sealed
        if digest != run.plan_sha256:
            raise PlanEdited(
                f"The plan of run {self.run_id} is not the one that was made: somebody edited it."
                " Nobody else is deleted. Find out who did, then start a new run."
            )
        number = self.number + 1
        nothing = Batch(number, 0, "")
        if run.stop:
            return nothing
        canary_users, users = run.canary_users, plan.users
        if run.round_number > 1:
            still_open = self.bucket.read_open_users(self.run_id, run.round_number)
            users = [user for user in users if user.user_id in still_open]
        chosen = [
            users[index]
            for index in batch_range(number, canary_users=canary_users, users=len(users))
        ]
        if not chosen:
            return nothing
        if 1 < number <= canary_users + 1 and self._stopped_by_canary(users[: number - 1]):
            return nothing
        if number > canary_users + 1 and self._stopped_by_silence(users, number - 1, canary_users):
            return nothing
        key = self.bucket.write_batch(self.run_id, run.round_number, number, chosen)
        return Batch(number, len(chosen), key)

    def _stopped_by_silence(self, users: list[PortalUser], number: int, canary_users: int) -> bool:
        """Stop when batch `number` went by without anybody being begun at its end.

        That is how it looks when there is no token for a long time: no user fails, so that the
        breaker sees nothing, and each takes its minutes while the portal is locked.
        """
        handed_out = batch_range(number, canary_users=canary_users, users=len(users))
        last = [users[index].user_id for index in handed_out][-IN_A_ROW:]
        if any(self.ledger.begun(self.run_id, user_id) for user_id in last):
            return False
        self.ledger.press_stop(
            self.run_id,
            reason=f"Nobody was begun at the end of batch {number}, users {', '.join(last)}: the"
            " logs of RefreshToken and DeleteUser say why. When that is mended, resume the run.",
            by="NextBatch",
            now=int(self.clock()),
        )
        return True

    def _stopped_by_canary(self, canaries: list[PortalUser]) -> bool:
        rows = {row.user_id: row for row in self.ledger.users(self.run_id)}
        problem = canary_problem(rows.get(user.user_id) for user in canaries)
        if problem:
            self.ledger.press_stop(
                self.run_id,
                reason=f"The {problem}: the rest was not attempted.",
                by="canary",
                now=int(self.clock()),
            )
        return bool(problem)

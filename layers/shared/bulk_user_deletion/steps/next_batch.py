"""Hands out the next users of a plan; none if the run was stopped or all were handed out."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import PlanEdited, RunClosed
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Mode, Pause, RunRow, Stopper
from bulk_user_deletion.models.users import PortalUser, UserState
from bulk_user_deletion.rules.batches import (
    MOST_REPLACEMENTS,
    Canaries,
    batch_range,
    canaries,
)
from bulk_user_deletion.rules.breaker import IN_A_ROW
from bulk_user_deletion.rules.switching import has_access
from bulk_user_deletion.rules.windows import Windows, pause_at


@dataclass(frozen=True, slots=True)
class Batch:
    """Batch `number`, from 1, of `users` users, stored under `key`; 0 users end the loop.

    They are deleted, unless the batch `switches` their access.

    `resumed_by` names the execution to start now, which resumes the run in the next change window.

    With `check_losses` no users are handed out yet: first the portal's users are compared with the
    earlier ones, because batch `number` is done, which was the last canary if `is_canary`.
    """

    number: int
    users: int
    key: str
    check_losses: bool = False
    is_canary: bool = False
    switches: bool = False
    resumed_by: str = ""


@dataclass(frozen=True, slots=True)
class NextBatch:
    """One invocation, after batch `number` (0 before the first one) was processed.

    `can_pause` says that the execution starts another one that resumes the run.
    """

    run_id: str
    execution_arn: str
    number: int
    can_pause: bool
    windows_for: Callable[[Action], Windows]
    ledger: Ledger
    bucket: Bucket
    clock: Callable[[], float] = time.time

    def perform(self) -> Batch:
        """Store the next batch and return its key.

        Raises:
            RunClosed: the run has no plan, or is not open for this execution.
            PlanEdited: the plan has changed since it was stored.
            StoreUnavailable: call again.
        """
        run = self.ledger.runs.read_open(self.run_id, self.execution_arn)
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
        nothing = Batch(self.number, 0, "")
        if run.stop:
            return nothing
        users = plan.users
        if run.round_number > 1:
            planned = {user.user_id: user for user in users}
            still_open = self.bucket.read_open_users(self.run_id, run.round_number)
            users = [planned[user_id] for user_id in still_open if user_id in planned]
        first = self._canaries(run, users)
        if first.problem:
            if self.number < len(users):
                self._stop(f"The {first.problem}: the rest was not attempted.", by="canary")
            return nothing
        singles = first.handed_out if first.is_enough else number
        chosen = [users[index] for index in batch_range(number, singles=singles, users=len(users))]
        pause = run.pause
        if pause is None:
            if not chosen:
                return nothing
            if number > singles + 1 and self._stopped_without_progress(users, singles=singles):
                return nothing
            pause = self._pause(run)
        # Also before a pause: nobody decides whether the run continues after that.
        if self.number > run.checked_batch and (pause or number > singles):
            return Batch(self.number, 0, "", check_losses=True, is_canary=self.number <= singles)
        if pause:
            return self._paused(pause)
        key = self.bucket.write_batch(self.run_id, run.round_number, number, chosen, plan.action)
        return Batch(number, len(chosen), key, switches=not plan.action.deletes)

    def _pause(self, run: RunRow) -> Pause | None:
        """Return the run's pause, if no user may be started now."""
        now = self.clock()
        return pause_at(now, run, windows=self.windows_for(run.action))

    def _paused(self, pause: Pause) -> Batch:
        """Hand out nobody until another execution resumes the run."""
        if not self.can_pause:
            self._stop(
                "The change window has ended, and this execution was started before the stack was"
                " updated: it cannot wait for the next one. Resume the run.",
                by="NextBatch",
            )
            return Batch(self.number, 0, "")
        is_paused = self.ledger.runs.pause(
            self.run_id, pause, execution_arn=self.execution_arn, now=int(self.clock())
        )
        return Batch(self.number, 0, "", resumed_by=pause.resumed_by if is_paused else "")

    def _canaries(self, run: RunRow, users: list[PortalUser]) -> Canaries:
        action, wanted, able = run.action, run.canary_users, len(users)
        if not action.deletes:  # only a user who needs a PUT can prove something: they come first
            able = sum(not has_access(action, user) for user in users)
        first = users[: min(self.number, wanted + MOST_REPLACEMENTS + 1, able)]
        rows = self.ledger.users.read(self.run_id, [user.user_id for user in first])
        started = [rows.get(user.user_id) for user in first]
        if run.pause:  # users whom it kept from being started or sent again prove nothing
            started = [row for row in started if row and row.state is UserState.DONE]
        judged = canaries(
            started,
            action=action,
            handed_out=min(self.number, able),
            wanted=min(wanted, able),
        )
        if judged.problem or judged.is_enough or self.number < able or action.deletes:
            return judged
        return Canaries(able, is_enough=True)  # nobody is left who could prove anything

    def _stopped_without_progress(self, users: list[PortalUser], *, singles: int) -> bool:
        """Stop the run if no user at the end of the last batch was started.

        This happens when no token can be had for a long time: no user fails, so the breaker does
        not trip, and each user takes minutes while the portal is locked.
        """
        handed_out = batch_range(self.number, singles=singles, users=len(users))
        last = [users[index].user_id for index in handed_out][-IN_A_ROW:]
        if self.ledger.users.read(self.run_id, last):
            return False
        self._stop(
            f"None of the last users of batch {self.number} was started ({', '.join(last)}): the"
            " logs of RefreshToken and DeleteUser say why.",
            by="NextBatch",
        )
        return True

    def _stop(self, reason: str, *, by: str) -> None:
        self.ledger.runs.press_stop(
            self.run_id, reason=reason, by=by, now=int(self.clock()), stopper=Stopper.RUN
        )

"""Records how users end, each together with what that means for a leaver: one transaction."""

from dataclasses import dataclass

from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.models.users import Outcome, PortalUser, UserRow, Why
from bulk_user_deletion.rules.leavers import (
    after_deleting,
    after_disabling,
    after_enabling,
    held,
    seen_enabled,
    withdrawal_since,
    withdrawn,
)

# A person may withdraw somebody between a read and a write; more than once is not a coincidence.
TRIES_TO_RECORD = 3


@dataclass(frozen=True, slots=True)
class Endings:
    """The ends of one run's users in one portal."""

    run: RunRow
    portal_url: str
    ledger: Ledger

    def record(
        self,
        user: PortalUser,
        outcome: Outcome,
        why: Why,
        *,
        leaver: Leaver | None,
        row: UserRow | None,
        now: int,
        portal_message: str = "",
        attempts: int | None = None,
        is_enabled: bool = False,
    ) -> bool:
        """Record an outcome, and change the user's row as a leaver if necessary.

        `is_enabled` says that the look before it saw the user enabled. Returns False if another
        invocation was faster, or the leaver has changed since it was read.
        """
        after = self._leaver_after(user, outcome, why, leaver, row, now)
        if after is not None and is_enabled:
            after = seen_enabled(after, run_id=self.run.run_id, now=now)
        changing = None
        if after is not None and after != leaver:
            changing = self.ledger.leavers.changing(after, before=leaver)
        disabled = outcome is Outcome.DISABLED
        return self.ledger.users.record_outcome(
            self.run.run_id,
            user.user_id,
            outcome,
            reason=why.text,
            kind=why.kind,
            now=now,
            portal_message=portal_message,
            gone=user if outcome is Outcome.DELETED else None,
            portal_url=self.portal_url,
            attempts=attempts,
            leaver=changing,
            is_withdrawn=self.run.withdrawal is not None if disabled else None,
        )

    def note_enabled(self, user: PortalUser, *, now: int) -> None:
        """Record that a look saw a user enabled, if the user is a leaver, whatever the outcome."""
        for _ in range(TRIES_TO_RECORD):
            leaver = self.ledger.leavers.read(self.portal_url, user.user_id)
            after = leaver and seen_enabled(leaver, run_id=self.run.run_id, now=now)
            if after is None or after == leaver:
                return
            if self.ledger.leavers.change(after, before=leaver):
                return

    def take_back(
        self, user: PortalUser, row: UserRow, why: Why, *, leaver: Leaver | None, now: int
    ) -> bool:
        """Replace an outcome with `unknown`; then a person must decide about the leaver.

        A withdrawn leaver stays withdrawn.
        """
        changing = None
        if leaver and leaver.state is not LeaverState.WITHDRAWN:
            after = held(leaver, why, run_id=self.run.run_id, now=now)
            changing = self.ledger.leavers.changing(after, before=leaver)
        return self.ledger.users.take_back_outcome(
            self.run.run_id, row, user, reason=why.text, kind=why.kind, now=now, leaver=changing
        )

    def _leaver_after(
        self,
        user: PortalUser,
        outcome: Outcome,
        why: Why,
        leaver: Leaver | None,
        row: UserRow | None,
        now: int,
    ) -> Leaver | None:
        run = self.run
        if run.action.deletes:
            if leaver is None:
                return None
            return after_deleting(
                leaver, outcome, why, action=run.action, run_id=run.run_id, now=now
            )
        if outcome is Outcome.ENABLED and leaver:
            return after_enabling(leaver, run_id=run.run_id, now=now)
        if outcome is not Outcome.DISABLED:
            return leaver
        after = after_disabling(
            leaver,
            user,
            portal_url=self.portal_url,
            action=run.action,
            run_id=run.run_id,
            plan_sha256=run.plan_sha256,
            is_from_preview=run.is_from_preview,
            put_was_sent=bool(row and row.attempts),
            grace_days=run.grace_days,
            now=now,
        )
        order = run.withdrawal or withdrawal_since(leaver, run)
        if order:
            return withdrawn(after, by=order.by, reason=order.reason, now=now)
        return after

"""Switches one user's access off or on."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.looks import Seen
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.runs import Pace, RunRow
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, UserRow, Why
from bulk_user_deletion.portal import record_in
from bulk_user_deletion.rules import switching
from bulk_user_deletion.rules.answers import Answer, Call, Verdict
from bulk_user_deletion.rules.decisions import Decision, End
from bulk_user_deletion.rules.leavers import (
    held,
    not_disabled_by_us,
    reason_to_skip_since,
    withdrawn,
)
from bulk_user_deletion.rules.pace import asked_to_wait
from bulk_user_deletion.steps.change_user import ChangeUser

_SECONDS_FOR_A_DELETE = 30


@dataclass(frozen=True, kw_only=True)
class SwitchUser(ChangeUser):
    """One invocation for one user."""

    request: ClassVar[Literal[Call.DELETE, Call.PUT]] = Call.PUT

    def send(self, action: Action) -> Answer:
        """Send the PUT."""
        return self.portal.switch(self.user_id, enabled=action is Action.ENABLE)

    def decide(
        self, run: RunRow, row: UserRow | None, found: PortalUser, keep: Why | None, answer: Answer
    ) -> Decision:
        """Decide about a user whom a look shows, and compare the record with the one before."""
        if problem := switching.access_problem(found):
            raise PortalAnswerUnusable(problem)
        changed = []
        if row and row.attempts:
            before = self.bucket.read_record(self.run_id, run.round_number, self.user_id)
            changed = switching.changed_fields(before, record_in(answer))
        may_send = run.stop is None and reason_to_skip_since(self.leaver, run) is None
        return switching.decide(
            run.action, row, found, keep=keep, changed=changed, may_send=may_send
        )

    def after_gone(self, row: UserRow) -> End:
        """None of our PUTs deletes anybody: somebody did, or the portal does what it should not."""
        if row.attempts_this_round:
            return End(Outcome.UNKNOWN, "a look after the PUT found nobody under this id")
        return End(Outcome.ALREADY_ABSENT, "gone since an earlier PUT")

    def reason_to_leave(self, run: RunRow, found: PortalUser) -> Why | None:
        """Return why a user is not sent a PUT: decided otherwise, or not disabled by us."""
        if run.action is Action.ENABLE:
            return not_disabled_by_us(self.leaver, found)
        return reason_to_skip_since(self.leaver, run)

    def on_intent(self, run: RunRow, leaver: Leaver) -> Leaver:
        """Return the row of a leaver whom a look has just seen with the access to be changed.

        A user who was seen enabled is no longer due. A user who gets access back is not deleted.
        """
        now, run_id = self.now(), run.run_id
        if run.action is Action.ENABLE:
            by = f"run {run_id}"
            return withdrawn(leaver, by=by, reason="enabled", now=now, run_id=run_id)
        seen = Why(ReasonKind.ENABLED_AGAIN, "seen enabled by a run that disables again")
        return held(leaver, seen, run_id=run_id, now=now)

    def settle_wait(self, row: UserRow) -> int | None:
        """Return how many seconds to wait before the next look, None when settling is over."""
        return switching.settle_wait(row)

    def pace_after(self, pace: Pace, answer: Answer, *, is_done: bool) -> Pace:  # noqa: ARG002
        """Return the portal's pace after an answer: how long a PUT takes says nothing about it."""
        return asked_to_wait(pace, answer, now=self.clock())

    def is_shown(self, seen: Seen, row: UserRow | None) -> bool:
        """Return whether a look shows enough: after a PUT even a record without names does.

        Then the PUT may have replaced it, and no other user may be sent one.
        """
        was_sent = row is not None and bool(row.attempts)
        return seen.verdict is Verdict.OK or (was_sent and seen.verdict is Verdict.REFUSE)

    def refused_kind(self, run: RunRow) -> ReasonKind:
        """Return that the user's access is as it was."""
        return switching.still(run.action)

    def must_wait(self) -> int:
        """Return for how many seconds a run that deletes the user must be allowed to finish.

        Once that run is closed, nothing of it is in progress.
        """
        if self.leaver is None or self.leaver.state is not LeaverState.DELETING:
            return 0
        deleting = self.ledger.runs.read(self.leaver.changed_by)
        return _SECONDS_FOR_A_DELETE if deleting and deleting.is_open else 0

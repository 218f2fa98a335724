"""Deletes one user."""

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

from bulk_user_deletion.errors import PortalAnswerUnusable
from bulk_user_deletion.guard_dataset import GuardDataset
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.runs import Pace, RunRow
from bulk_user_deletion.models.users import Outcome, PortalUser, UserRow, Why
from bulk_user_deletion.rules import deletion
from bulk_user_deletion.rules.answers import Answer, Call
from bulk_user_deletion.rules.decisions import Decision, End
from bulk_user_deletion.rules.leavers import Grace, not_due, reason_to_skip_since
from bulk_user_deletion.rules.pace import observe
from bulk_user_deletion.rules.switching import access_problem
from bulk_user_deletion.steps.change_user import ChangeUser


@dataclass(frozen=True, kw_only=True)
class DeleteUser(ChangeUser):
    """One invocation for one user, directly or as a leaver who is due."""

    request: ClassVar[Literal[Call.DELETE, Call.PUT]] = Call.DELETE

    grace: Grace
    guard: GuardDataset

    def send(self, action: Action) -> Answer:  # noqa: ARG002
        """Send the DELETE."""
        return self.portal.delete(self.user_id)

    def decide(
        self,
        run: RunRow,
        row: UserRow | None,
        found: PortalUser,
        keep: Why | None,
        answer: Answer,  # noqa: ARG002
    ) -> Decision:
        """Decide about a user whom a look shows. A user who is due must still be disabled."""
        if run.action is Action.DELETE_DUE and (problem := access_problem(found)):
            raise PortalAnswerUnusable(problem)
        return deletion.decide(row, keep=keep)

    def after_gone(self, row: UserRow) -> End:  # noqa: ARG002
        """Our DELETE worked."""
        return End(Outcome.DELETED, "a look after the DELETE found nobody under this id")

    def reason_to_leave(self, run: RunRow, found: PortalUser) -> Why | None:
        """Return why a user is not deleted: not due, withdrawn, held or guarded."""
        if run.action is Action.DELETE_DUE:
            why = not_due(self.leaver, found, run_id=run.run_id, now=self.now(), grace=self.grace)
        else:
            why = reason_to_skip_since(self.leaver, run)
        if why:
            return why
        guard = self.guard.recent(self.portal, since=run.started_at)
        return guard.reason_to_keep(found)

    def on_intent(self, run: RunRow, leaver: Leaver) -> Leaver:
        """Return the row of a leaver who is about to be deleted."""
        return replace(
            leaver, state=LeaverState.DELETING, changed_at=self.now(), changed_by=run.run_id
        )

    def settle_wait(self, row: UserRow) -> int | None:
        """Return how many seconds to wait before the next look, None when settling is over."""
        return deletion.settle_wait(row)

    def pace_after(self, pace: Pace, answer: Answer, *, is_done: bool) -> Pace:
        """Return the portal's pace after an answer."""
        return observe(pace, answer, is_delete=is_done, now=self.clock())

    def token_seconds(self, run: RunRow) -> float:
        """Return how long a DELETE has been taking."""
        return run.pace.seconds_per_delete

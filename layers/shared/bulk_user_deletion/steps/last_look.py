"""The last look of a run: who exists, whom the report may call gone, and who else has left.

The list only says whom to look at. A look decides, and until the run is closed it may withdraw an
outcome that says "gone", or that somebody was disabled or enabled.
"""

import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import users_before_key
from bulk_user_deletion.errors import BulkUserDeletionError, StoreUnavailable, TokenRejected
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import Looks, Patience, Seen
from bulk_user_deletion.losses import find_losses
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.models.users import PortalUser, ReasonKind, UserRow, UserState, Why
from bulk_user_deletion.portal import Portal, record_in
from bulk_user_deletion.rules import switching
from bulk_user_deletion.rules.answers import Verdict
from bulk_user_deletion.rules.decisions import End
from bulk_user_deletion.rules.leavers import held
from bulk_user_deletion.rules.reporting import ended_as_gone, settle, unfinished, with_doubts
from bulk_user_deletion.rules.switching import changed_fields, has_access, still
from bulk_user_deletion.steps.endings import TRIES_TO_RECORD, Endings

# A list that shows a user whom a look does not show may be cached: then it is read once more.
_SECONDS_BETWEEN_LISTS = 60

# The function has fifteen minutes, in which it also reads the list and writes the report.
_SECONDS_FOR_LOOKS = 180


@dataclass
class LastLook:
    """The result of the last look: the `plan` and `rows` of a run as they are to be reported.

    `losses` are the ids of users who left, but not because of the run, None if that could not be
    determined; `compared` says that the search for them was completed. With `wait_seconds` above 0
    nothing is certain yet: look again after that time, with `list_doubted` true.
    """

    run: RunRow
    plan: Plan
    rows: dict[str, UserRow]
    ledger: Ledger
    bucket: Bucket
    list_doubted: bool = False
    clock: Callable[[], float] = time.time
    losses: list[str] | None = None
    compared: bool = False
    list_is_short: bool = False
    wait_seconds: int = 0
    _patience: Patience = field(default_factory=lambda: Patience(_SECONDS_FOR_LOOKS))

    def taken_with(self, connect: Callable[[], Portal] | None) -> "LastLook":
        """Take the last look. If the portal cannot be asked, everything uncertain is `unknown`.

        Raises:
            TokenRejected: renew the token, then call again.
            RunClosed: another execution has taken the run in the meantime.
            StoreUnavailable: call again.
        """
        self.losses = list(self.run.losses) or None
        there, looks = self._there(connect)
        self._settle(looks)
        if there is not None and looks:
            self._find_losses(there, looks)
        if looks:
            self._doubt(there, looks)
        return self

    def _there(
        self, connect: Callable[[], Portal] | None
    ) -> tuple[dict[str, PortalUser] | None, Looks | None]:
        """Return the users that the portal lists now, and looks: None for what is not available."""
        if connect is None:
            return None, None
        there = looks = None
        try:
            looks = Looks(connect(), self.run.control)
            there = {user.user_id: user for user in looks.portal.users()}
        except TokenRejected:
            raise
        except BulkUserDeletionError:
            # The report must be written, with whatever looks can show, even if the portal is down.
            pass
        self._patience = Patience(_SECONDS_FOR_LOOKS)
        return there, looks

    def _settle(self, looks: Looks | None) -> None:
        """Give every user that was started an outcome, by one look each."""
        planned = self._planned()
        for row in unfinished(self.plan, self.rows):
            seen = self._look(row.user_id, looks)
            end = self._end(row, seen)
            if row.state is UserState.DONE and end.outcome is row.outcome:
                continue
            self._record(planned[row.user_id], row, end)
            self.rows |= self.ledger.users.read(self.run.run_id, [row.user_id])

    def _record(self, user: PortalUser, row: UserRow, end: End) -> None:
        """Record an outcome, again if the leaver or the run is being withdrawn at the same time."""
        for _ in range(TRIES_TO_RECORD):
            if self._endings.record(
                user,
                end.outcome,
                Why(end.kind, end.reason),
                leaver=self.ledger.leavers.read(self.plan.portal_url, row.user_id),
                row=row,
                now=int(self.clock()),
            ):
                return
            self.run = self.ledger.runs.read(self.run.run_id) or self.run

    def _end(self, row: UserRow, seen: Seen | None) -> End:
        is_gone = seen is not None and seen.verdict is Verdict.GONE
        found = seen.user if seen and seen.user and seen.user.user_id == row.user_id else None
        if self.plan.action.deletes:
            return settle(row, still_there=False if is_gone else True if found else None)
        changed = []
        if seen and found and row.attempts:
            before = self.bucket.read_record(self.run.run_id, self.run.round_number, row.user_id)
            changed = changed_fields(before, record_in(seen.answer))
        return switching.settle(self.plan.action, row, found, is_gone=is_gone, changed=changed)

    def _look(self, user_id: str, looks: Looks | None) -> Seen | None:
        """Look at a user; return None if there is no time for it."""
        if looks is None or self._patience.is_over:
            return None
        seen = looks.at(user_id)
        if seen.verdict is Verdict.RENEW_TOKEN:
            looks.portal.raise_for(seen.verdict, seen.answer, f"looked at user {user_id}")
        if seen.user and seen.user.is_enabled:
            self._endings.note_enabled(seen.user, now=int(self.clock()))
        return seen

    def _still_there(self, user_id: str, looks: Looks | None) -> bool | None:
        """Look at a user; return None if that is inconclusive or the time for looks is over."""
        seen = self._look(user_id, looks)
        if seen is None:
            return None
        if seen.verdict is Verdict.GONE:
            return False
        return True if seen.user and seen.user.user_id == user_id else None

    def _find_losses(self, there: Collection[str], looks: Looks) -> None:
        """Find losses, and record new ones, so that a resumed round reports them too."""
        before = self.bucket.read_users(users_before_key(self.run.run_id, self.run.round_number))
        try:
            found = find_losses(
                before,
                there,
                explained={*self._planned(), *self.rows, *self.run.losses},
                looks=looks,
                patience=self._patience,
                ledger=self.ledger,
            )
        except (TokenRejected, StoreUnavailable):
            raise
        except BulkUserDeletionError:
            return
        self.compared = True
        self.list_is_short = found.list_is_short
        losses = (*self.run.losses, *found.user_ids)
        if losses or not found.list_is_short:
            self.losses = list(losses)
        if found.user_ids:
            self.ledger.runs.record_losses(
                self.run.run_id,
                self.run.execution_arn,
                after_batch=self.run.checked_batch,
                losses=losses,
            )

    def _doubt(self, there: Mapping[str, PortalUser] | None, looks: Looks) -> None:
        """Look again at users that are to be called gone but may not be.

        These are the users that the list shows, or all of them if there is no list or a short one,
        which proves nothing.
        """
        gone = ended_as_gone(self.plan, self.rows)
        listed = [user_id for user_id in gone if user_id in (there or ())]
        doubts: dict[str, str] = {}
        uncertain: dict[str, str] = {}
        for user_id in listed:
            match self._still_there(user_id, looks):
                case True:
                    doubts[user_id] = "the portal lists this user, and a look shows it"
                case None:
                    uncertain[user_id] = "the portal lists this user, and a look showed nothing"
                case False:
                    uncertain[user_id] = (
                        "the portal lists this user in two lists a minute apart, and looks show"
                        " nobody"
                    )
        if there is None or self.list_is_short:
            doubts |= {
                user_id: "a look shows this user, though no whole list does"
                for user_id in gone
                if user_id not in listed and self._still_there(user_id, looks)
            }
        undone = {} if self.plan.action.deletes else self._undone(there, looks, uncertain)
        if uncertain and not self.list_doubted:
            self.wait_seconds = _SECONDS_BETWEEN_LISTS
        else:
            doubts |= uncertain
        self._take_back(doubts, ReasonKind.LISTED_AGAIN)
        self._take_back(undone, still(self.plan.action))

    def _undone(
        self,
        there: Mapping[str, PortalUser] | None,
        looks: Looks,
        uncertain: dict[str, str],
    ) -> dict[str, str]:
        """Return the evidence about users whose access is not as their outcome says, by id.

        Looks decide about those whom the list contradicts, or about all if there is no list or a
        short one. Users whom the list contradicts and no look shows are added to `uncertain`.
        """
        action = self.plan.action
        undone = {}
        for user_id in [key for key, row in self.rows.items() if row.outcome is action.done]:
            listed = (there or {}).get(user_id)
            if listed and has_access(action, listed):
                continue
            if not listed and there is not None and not self.list_is_short:
                continue
            seen = self._look(user_id, looks)
            if seen and seen.user and seen.user.user_id == user_id:
                if not has_access(action, seen.user):
                    undone[user_id] = f"not {action.done}, as a look shows"
            elif listed and not (seen and seen.verdict is Verdict.GONE):
                uncertain[user_id] = (
                    f"the portal lists this user as not {action.done}, and a look showed nothing"
                )
        return undone

    def _take_back(self, doubts: dict[str, str], kind: ReasonKind) -> None:
        """Change outcomes that are untrue to `unknown`; `doubts` has the evidence by id."""
        if not doubts:
            return
        planned = self._planned()
        started = [user_id for user_id in doubts if user_id in planned]
        for user_id in started:
            row = self.rows[user_id]
            reason = f"{doubts[user_id]}; it was {row.outcome}: {row.reason}"
            for _ in range(TRIES_TO_RECORD):
                if self._endings.take_back(
                    planned[user_id],
                    row,
                    Why(kind, reason),
                    leaver=self.ledger.leavers.read(self.plan.portal_url, user_id),
                    now=int(self.clock()),
                ):
                    break
        self.rows.update(self.ledger.users.read(self.run.run_id, started))
        for user_id in doubts.keys() - planned.keys():
            self._open_again(user_id, Why(kind, doubts[user_id]))
        self.plan = with_doubts(self.plan, doubts)

    def _open_again(self, user_id: str, why: Why) -> None:
        """Hold a leaver whom the plan found gone, but who is not."""
        leaver = self.ledger.leavers.read(self.plan.portal_url, user_id)
        if leaver and leaver.state is LeaverState.DONE and leaver.changed_by == self.run.run_id:
            after = held(leaver, why, run_id=self.run.run_id, now=int(self.clock()))
            self.ledger.leavers.change(after, before=leaver)

    @property
    def _endings(self) -> Endings:
        return Endings(self.run, self.plan.portal_url, self.ledger)

    def _planned(self) -> dict[str, PortalUser]:
        return {user.user_id: user for user in self.plan.users}

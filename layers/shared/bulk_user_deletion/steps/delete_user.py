"""Deletes one user: look, check against the plan, record the intent, delete, look again.

An invocation does as much as it can without waiting, then returns how long the state machine
should wait. The next invocation continues from the ledger.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import TypeGuard

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import PermanentError, PortalAnswerUnusable
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import Looks, Seen
from bulk_user_deletion.models.runs import Pacing, RunRow
from bulk_user_deletion.models.users import Outcome, PortalUser, ReasonKind, UserRow, UserState
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.answers import Answer, Call, Verdict, judge
from bulk_user_deletion.rules.breaker import breaker_problem
from bulk_user_deletion.rules.deletion import (
    MAX_TRIES,
    pace_wait,
    reason_to_keep,
    retry_wait,
    settle_wait,
)
from bulk_user_deletion.rules.pace import (
    LONGEST_PATIENCE,
    is_strained,
    observe,
    patience_problem,
    pause,
)
from bulk_user_deletion.rules.protection import Protected

_IN_FLIGHT = {UserState.INTENT, UserState.SETTLING, UserState.DECLINED}
_NO_ANSWER = {Verdict.TRY_AGAIN, Verdict.REFUSE}

# Several users at a time may write the same row; a lost observation is soon made again.
_TRIES_TO_RECORD = 3


@dataclass(frozen=True, slots=True)
class Progress:
    """What the state machine receives: whether this user is finished, and how long to wait now.

    `tries` counts the looks in a row that the portal did not answer. It is kept in the state,
    because a user that was not started has no row in the ledger.
    """

    finished: bool
    wait_seconds: int = 0
    tries: int = 0


@dataclass(frozen=True)
class DeleteUser:
    """One invocation for one user.

    `connect` returns a portal client with a token that lasts for the given number of seconds; it is
    not called if no client is needed. `owner` identifies this invocation, and `lease_until` is when
    it can no longer be running.
    """

    run_id: str
    execution_arn: str
    user_id: str
    batch_key: str
    tries: int
    owner: str
    lease_until: int
    protected_list: str
    pacing: Pacing
    ledger: Ledger
    bucket: Bucket
    connect: Callable[[float], Portal]
    clock: Callable[[], float] = time.time

    @cached_property
    def portal(self) -> Portal:
        """The portal, connected on first use, with a token that lasts for a DELETE."""
        run, row = self._rows_at_start
        return self.connect(0 if _in_flight(row) else run.pace.seconds_per_delete)

    @cached_property
    def looks(self) -> Looks:
        """Looks, judged by the control looks of the run's round."""
        return Looks(self.portal, self._rows_at_start[0].control)

    @cached_property
    def _rows_at_start(self) -> tuple[RunRow, UserRow | None]:
        return self.ledger.users.run_and_user(
            self.run_id, self.user_id, execution_arn=self.execution_arn
        )

    def perform(self) -> Progress:
        """Process the user as far as possible without waiting.

        Raises:
            TokenRejected: renew the token, then call again.
            PermanentError: no user can be deleted now; the run's stop flag is set.
            StoreUnavailable: call again.
        """
        run, row = self._rows_at_start
        if row and row.state is UserState.DONE:
            return self._finished(run, row)
        if run.stop and (row is None or row.state in {UserState.REFUSED, UserState.REOPENED}):
            return Progress(finished=True)
        if row and row.lease_until > self._now() and row.lease_owner != self.owner:
            return Progress(finished=False, wait_seconds=row.lease_until - self._now() + 1)
        quiet = run.pace.quiet_until - self._now()
        if quiet > 0 and not self.tries:
            # The portal asked another user's function to wait. A user that has waited goes on.
            return Progress(finished=False, wait_seconds=min(quiet, LONGEST_PATIENCE), tries=1)
        try:
            return self._look(run, row)
        except PermanentError as error:
            self._stop(str(error))
            raise

    def _look(self, run: RunRow, row: UserRow | None, *, again: bool = True) -> Progress:
        seen = self.looks.at(self.planned.user_id, again=again)
        if seen.verdict is Verdict.GONE:
            return self._gone(run, row)
        if seen.verdict is Verdict.OK and seen.user:
            return self._found(run, row, seen.user)
        if _in_flight(row) and (seen.is_this_users or seen.verdict in _NO_ANSWER):
            run = self._observed(run, seen.answer)
            said = f"the last look was not answered ({seen.describe()})"
            least = min(seen.answer.retry_after or 0, LONGEST_PATIENCE)
            return self._settle(run, row, seen=said, least=least)
        if seen.verdict is Verdict.TRY_AGAIN:
            return self._unanswered(run, row, seen)
        return self._not_shown(run, row, seen)

    def _not_shown(self, run: RunRow, row: UserRow | None, seen: Seen) -> Progress:
        """Fail a user that the portal does not show, unless it does not show our own either."""
        if seen.is_this_users and (ours := self.looks.at_api_user()):
            if ours.verdict is Verdict.OK:
                return self._failed(run, row, seen)
            if ours.verdict is Verdict.TRY_AGAIN:
                return self._unanswered(run, row, ours)
        denied = seen.answer.status == HTTPStatus.FORBIDDEN
        if seen.verdict is Verdict.REFUSE and not denied:
            raise PortalAnswerUnusable(
                f"The portal does not show user {self.user_id} as it should ({seen.describe()}),"
                " nor the user that our own token acts as: nobody can be checked against the plan."
                " Nothing more is deleted. When the portal shows its users again, resume the run."
            )
        verdict = Verdict.STOP_USER_MANAGEMENT if denied else seen.verdict
        self.portal.raise_for(verdict, seen.answer, f"looked at user {self.user_id}")

    def _failed(self, run: RunRow, row: UserRow | None, seen: Seen) -> Progress:
        reason = f"look: {seen.describe()}; the portal answers looks at others"
        return self._end(run, row, Outcome.FAILED, reason, said=seen.answer)

    def _gone(self, run: RunRow, row: UserRow | None) -> Progress:
        if row is None or not row.attempts:
            return self._end(run, row, Outcome.ALREADY_ABSENT, "gone before we sent a DELETE")
        reason = "a look after the DELETE found nobody under this id"
        return self._end(run, row, Outcome.DELETED, reason, gone=self.planned)

    def _found(self, run: RunRow, row: UserRow | None, found: PortalUser) -> Progress:
        keep = reason_to_keep(
            self.planned,
            found,
            protected=Protected(
                self.portal.user,
                self.bucket.read_protected(self.protected_list),
                run.control.self_ids,
            ),
            today=datetime.fromtimestamp(self._now(), UTC).date(),
        )
        if _in_flight(row):
            if keep:
                reason = f"after the DELETE: {keep.text}"
                return self._end(run, row, Outcome.UNKNOWN, reason, kind=keep.kind)
            if row.state is UserState.DECLINED:
                reason = f"{row.reason}; still there"
                return self._end(run, row, Outcome.FAILED, reason)
            return self._settle(run, row, seen="still there")
        if keep:
            return self._end(run, row, Outcome.SKIPPED, keep.text, kind=keep.kind)
        return self._delete(run, row)

    def _delete(self, run: RunRow, row: UserRow | None) -> Progress:
        if not self.ledger.users.record_intent(
            self.run_id,
            self.user_id,
            execution_arn=self.execution_arn,
            owner=self.owner,
            lease_until=self.lease_until,
            now=self._now(),
            is_first=row is None or not row.attempts_this_round,
        ):
            # Stopped, or another invocation was faster: the next one reads in the ledger which.
            return Progress(finished=False, wait_seconds=1)
        answer = self.portal.delete(self.user_id)
        said = f"DELETE: {answer.describe()}"
        sent = UserRow(
            self.user_id,
            UserState.SETTLING,
            reason=said,
            attempts=(row.attempts if row else 0) + 1,
            delete_seconds=math.ceil(answer.seconds),
            answered_at=self._now(),
            history=row.history if row else (),
            portal_message=answer.portal_message,
        )
        match judge(Call.DELETE, answer):
            case (Verdict.OK | Verdict.LOOK) as verdict:
                self.ledger.users.record_sent(self.run_id, sent, owner=self.owner)
                run = self._observed(run, answer, is_delete=verdict is Verdict.OK)
                # The portal says "gone" too, unless its answer was an error or got lost.
                says_deleted = verdict is Verdict.OK and not answer.is_portal_error
                return self._look(run, sent, again=not says_deleted)
            case Verdict.GONE | Verdict.REFUSE:
                declined = replace(sent, state=UserState.DECLINED)
                self.ledger.users.record_sent(self.run_id, declined, owner=self.owner)
                return self._look(self._observed(run, answer), declined)
            case Verdict.TRY_AGAIN:
                self._refused(said, answer)
                run = self._observed(run, answer)
                if problem := patience_problem(answer.retry_after):
                    self._stop(problem)
                    return Progress(finished=True)
                wait = retry_wait(sent.attempts_this_round, answer.retry_after)
                if wait is None:
                    reason = f"refused {sent.attempts_this_round} times, last {said}"
                    return self._end(run, sent, Outcome.FAILED, reason)
                return Progress(
                    finished=False, wait_seconds=wait, tries=int(answer.retry_after is not None)
                )
            case verdict:
                self._refused(said, answer)
                self.portal.raise_for(verdict, answer, f"deleted user {self.user_id}")

    def _settle(self, run: RunRow, row: UserRow, *, seen: str, least: int = 0) -> Progress:
        wait = settle_wait(row)
        if wait is None:
            evidence = row.reason or "the function ended before the DELETE's answer was recorded"
            reason = f"{evidence}; {seen} after {row.looks + 1} looks in {row.waited} s"
            return self._end(run, row, Outcome.UNKNOWN, reason)
        wait = max(wait, least)
        self.ledger.users.record_look(
            self.run_id,
            self.user_id,
            wait_seconds=wait,
            is_declined=row.state is UserState.DECLINED,
        )
        return Progress(finished=False, wait_seconds=wait)

    def _unanswered(self, run: RunRow, row: UserRow | None, seen: Seen) -> Progress:
        answer = seen.answer
        run = self._observed(run, answer)
        if problem := patience_problem(answer.retry_after):
            self._stop(problem)
            return Progress(finished=True)
        if self.tries + 1 >= MAX_TRIES:
            ours = self.looks.at_api_user() if seen.is_this_users else None
            if ours and ours.verdict is Verdict.OK:
                return self._failed(run, row, seen)
            self._stop(
                f"The portal did not answer {MAX_TRIES} looks at user {self.user_id} in a row"
                f" ({answer.describe()}). When it is up again, resume the run."
            )
            return Progress(finished=True)
        wait = retry_wait(min(self.tries, 4), answer.retry_after) or 0
        return Progress(finished=False, wait_seconds=wait, tries=self.tries + 1)

    def _end(
        self,
        run: RunRow,
        row: UserRow | None,
        outcome: Outcome,
        reason: str,
        gone: PortalUser | None = None,
        kind: ReasonKind = ReasonKind.NONE,
        said: Answer | None = None,
    ) -> Progress:
        if not self.ledger.users.record_outcome(
            self.run_id,
            self.user_id,
            outcome,
            reason=reason,
            now=self._now(),
            kind=kind,
            portal_message=said.portal_message if said else "",
            gone=gone,
            attempts=row.attempts if row else 0,
        ):
            # Another invocation has sent a DELETE since our look, or recorded the outcome first.
            return Progress(finished=False, wait_seconds=1)
        rows = self.ledger.users.read_all(self.run_id)
        if outcome.is_open and (problem := breaker_problem(rows)):
            count(Metric.BREAKER_TRIPPED)
            self._stop(f"The breaker tripped: {problem}.", by="breaker")
        if row is None:
            return Progress(finished=True)
        return self._finished(run, replace(row, state=UserState.DONE))

    def _finished(self, run: RunRow, row: UserRow) -> Progress:
        wait_seconds = pause(self.pacing, run.pace, least=run.wait_seconds)
        wait = pace_wait(row, wait_seconds=wait_seconds, now=self._now())
        return Progress(finished=True, wait_seconds=wait)

    def _observed(self, run: RunRow, answer: Answer, *, is_delete: bool = False) -> RunRow:
        """Record what an answer shows about the pace, if it is new; return the run with it.

        If the portal asks for a longer wait than a run accepts, the run stops.
        """
        if is_strained(answer) and (problem := patience_problem(answer.retry_after)):
            self._stop(problem)
        pace = run.pace
        for _ in range(_TRIES_TO_RECORD):
            after = observe(pace, answer, is_delete=is_delete, now=self.clock())
            if after == pace or self.ledger.portal.record_pace(after, before=pace):
                return replace(run, pace=after)
            pace = self.ledger.portal.pace()
        return replace(run, pace=pace)

    @cached_property
    def planned(self) -> PortalUser:
        """The user as planned; no user outside the batch that was handed out is touched."""
        planned = self.bucket.read_batch(self.batch_key).get(self.user_id)
        if planned is None:
            raise PortalAnswerUnusable(
                f"User {self.user_id} is not in {self.batch_key}, and so in no plan."
            )
        return planned

    def _refused(self, said: str, answer: Answer) -> None:
        self.ledger.users.record_refusal(
            self.run_id,
            self.user_id,
            owner=self.owner,
            reason=said,
            portal_message=answer.portal_message,
            now=self._now(),
        )

    def _stop(self, reason: str, by: str = "DeleteUser") -> None:
        self.ledger.runs.press_stop(self.run_id, reason=reason, by=by, now=self._now())

    def _now(self) -> int:
        return int(self.clock())


def _in_flight(row: UserRow | None) -> TypeGuard[UserRow]:
    """Return whether a DELETE of ours may have taken effect, or still may."""
    return row is not None and row.state in _IN_FLIGHT

"""What deleting a user and switching a user's access have in common.

Look, check against the plan, record the intent, send the request, look again. An invocation does as
much as it can without waiting, then returns how long the state machine should wait. The next
invocation continues from the ledger.
"""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from http import HTTPStatus
from typing import ClassVar, Literal

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import (
    PermanentError,
    PlanEdited,
    PortalAnswerUnusable,
    PortalUnavailable,
)
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.ledger.table import Write
from bulk_user_deletion.looks import Looks, Seen
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver
from bulk_user_deletion.models.plans import PlannedUser
from bulk_user_deletion.models.runs import Pace, Pacing, RunRow, Stopper
from bulk_user_deletion.models.users import (
    Outcome,
    PortalUser,
    ReasonKind,
    UserRow,
    UserState,
    Why,
)
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal, record_in
from bulk_user_deletion.rules.actions import check_action
from bulk_user_deletion.rules.answers import Answer, Call, Verdict, judge
from bulk_user_deletion.rules.breaker import breaker_problem
from bulk_user_deletion.rules.decisions import Decision, End, LookAgain, Send
from bulk_user_deletion.rules.deletion import MAX_TRIES, pace_wait, reason_to_keep, retry_wait
from bulk_user_deletion.rules.leavers import seen_enabled
from bulk_user_deletion.rules.pace import (
    LONGEST_PATIENCE,
    is_strained,
    patience_problem,
    pause,
)
from bulk_user_deletion.rules.protection import Protected
from bulk_user_deletion.rules.windows import ALWAYS, Windows, pause_at
from bulk_user_deletion.steps.endings import Endings

_NO_ANSWER = {Verdict.TRY_AGAIN, Verdict.REFUSE}

# Several invocations may write the same row at a time; a lost observation is soon repeated.
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


@dataclass(frozen=True, kw_only=True)
class ChangeUser(ABC):
    """One invocation for one user.

    `connect` returns a portal client with a token that lasts for the given number of seconds; it is
    not called if no client is needed. `owner` identifies this invocation, and `lease_until` is when
    it can no longer be running.
    """

    request: ClassVar[Literal[Call.DELETE, Call.PUT]]

    run_id: str
    execution_arn: str
    user_id: str
    batch_key: str
    tries: int
    owner: str
    lease_until: int
    portal_url: str
    stack_action: Action
    protected_list: str
    ledger: Ledger
    bucket: Bucket
    connect: Callable[[float], Portal]
    pacing: Pacing = Pacing.FIXED
    windows_for: Callable[[Action], Windows] = lambda _: ALWAYS
    clock: Callable[[], float] = time.time

    @abstractmethod
    def send(self, action: Action) -> Answer:
        """Send the request."""

    @abstractmethod
    def decide(
        self, run: RunRow, row: UserRow | None, found: PortalUser, keep: Why | None, answer: Answer
    ) -> Decision:
        """Decide about a user whom a look shows; only `keep` may speak for the user."""

    @abstractmethod
    def after_gone(self, row: UserRow) -> End:
        """Decide about a user who was sent a request, and whose id nobody has, as looks show."""

    @abstractmethod
    def reason_to_leave(self, run: RunRow, found: PortalUser) -> Why | None:
        """Return why the user, who may be a leaver, is not sent a request, or None."""

    @abstractmethod
    def on_intent(self, run: RunRow, leaver: Leaver) -> Leaver:
        """Return the user's row as a leaver once a request is about to be sent."""

    @abstractmethod
    def settle_wait(self, row: UserRow) -> int | None:
        """Return how many seconds to wait before the next look, None when settling is over."""

    @abstractmethod
    def pace_after(self, pace: Pace, answer: Answer, *, is_done: bool) -> Pace:
        """Return the portal's pace after an answer; `is_done` says that the request worked."""

    def is_shown(self, seen: Seen, row: UserRow | None) -> bool:  # noqa: ARG002
        """Return whether a look shows enough of the user."""
        return seen.verdict is Verdict.OK

    def token_seconds(self, run: RunRow) -> float:  # noqa: ARG002
        """Return how long a token must last for the request."""
        return 0

    def refused_kind(self, run: RunRow) -> ReasonKind:  # noqa: ARG002
        """Return the kind of outcome of a user whose request the portal kept refusing."""
        return ReasonKind.NONE

    def must_wait(self) -> int:
        """Return for how many seconds another run must be allowed to finish with the user."""
        return 0

    @cached_property
    def portal(self) -> Portal:
        """The portal, connected on first use, with a token that lasts for the request."""
        run, row, _ = self._rows_at_start
        return self.connect(0 if row and row.is_in_flight else self.token_seconds(run))

    @cached_property
    def looks(self) -> Looks:
        """Looks, judged by the control looks of the run's round."""
        return Looks(self.portal, self._rows_at_start[0].control)

    @property
    def _name(self) -> str:
        return self.request.value.upper()

    @property
    def leaver(self) -> Leaver | None:
        """The user's row as a leaver, as it was when the invocation began."""
        return self._rows_at_start[2]

    @cached_property
    def _rows_at_start(self) -> tuple[RunRow, UserRow | None, Leaver | None]:
        return self.ledger.users.run_user_and_leaver(
            self.run_id,
            self.user_id,
            execution_arn=self.execution_arn,
            portal_url=self.portal_url,
        )

    def perform(self) -> Progress:
        """Process the user as far as possible without waiting.

        Raises:
            TokenRejected: renew the token, then call again.
            PermanentError: no user can be changed now; the run's stop flag is set.
            StoreUnavailable: call again.
        """
        run, row, _ = self._rows_at_start
        if row and row.state is UserState.DONE:
            return self._finished(run, row)
        may_not_start = run.stop or run.pause
        if may_not_start and (row is None or row.state in {UserState.REFUSED, UserState.REOPENED}):
            return Progress(finished=True)
        if row and row.lease_until > self.now() and row.lease_owner != self.owner:
            return Progress(finished=False, wait_seconds=row.lease_until - self.now() + 1)
        quiet = run.pace.quiet_until - self.now()
        if quiet > 0 and not self.tries:
            # The portal asked another user's function to wait. A user that has waited continues.
            return Progress(finished=False, wait_seconds=min(quiet, LONGEST_PATIENCE), tries=1)
        try:
            return self._look(run, row)
        except PortalUnavailable as error:
            if not isinstance(error.answer, Answer):
                raise
            self._observed(run, error.answer)
            return self._ask_again(error.answer, "requests for the guard")
        except PermanentError as error:
            self._stop(str(error))
            raise

    def _look(self, run: RunRow, row: UserRow | None, *, again: bool = True) -> Progress:
        seen = self.looks.at(self.planned.user_id, again=again)
        if seen.verdict is Verdict.GONE:
            return self._gone(run, row)
        if seen.user and self.is_shown(seen, row):
            return self._found(run, row, seen.user, seen.answer)
        if row and row.is_in_flight and (seen.is_this_users or seen.verdict in _NO_ANSWER):
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
            reason = f"gone before we sent a {self._name}"
            return self._end(run, row, Outcome.ALREADY_ABSENT, reason)
        end = self.after_gone(row)
        return self._end(run, row, end.outcome, end.reason)

    def _found(
        self, run: RunRow, row: UserRow | None, found: PortalUser, answer: Answer
    ) -> Progress:
        keep = reason_to_keep(
            self.planned,
            found,
            action=run.action,
            protected=Protected(
                self.portal.user,
                self.bucket.read_protected(self.protected_list),
                run.control.self_ids,
            ),
            today=datetime.fromtimestamp(self.now(), UTC).date(),
        )
        if self._holds(run, row, found):
            return Progress(finished=False, wait_seconds=1)
        if keep is None and not (row and row.is_in_flight):
            keep = self.reason_to_leave(run, found)
        match self.decide(run, row, found, keep, answer):
            case Send():
                return self._send(run, row, answer)
            case LookAgain(seen):
                return self._settle(run, row, seen=seen) if row else Progress(finished=False)
            case End(outcome, reason, kind, stop):
                if stop:
                    self._stop(stop)
                return self._end(run, row, outcome, reason, kind=kind, is_enabled=found.is_enabled)

    def _holds(self, run: RunRow, row: UserRow | None, found: PortalUser) -> bool:
        """Record that a look saw a leaver enabled, before anything else; return whether it is new.

        Whatever keeps this run from continuing, the user is no longer due.
        """
        leaver = self._leaver_now(row)
        if leaver is None or not found.is_enabled or run.action is Action.ENABLE:
            return False
        after = seen_enabled(leaver, run_id=self.run_id, now=self.now())
        if after == leaver:
            return False
        self.ledger.leavers.change(after, before=leaver)
        return True

    def _send(self, run: RunRow, row: UserRow | None, shown: Answer) -> Progress:
        check_action(run.action, stack=self.stack_action)
        if seconds := self.must_wait():
            return Progress(finished=False, wait_seconds=seconds)
        if self._pauses(run):
            if row and row.is_in_flight:  # a PUT may still take effect: it is followed to the end
                return self._settle(run, row, seen="not changed, and the change window has ended")
            return Progress(finished=True)
        is_first = row is None or not row.attempts_this_round
        if is_first:
            self.bucket.write_record(self.run_id, run.round_number, self.user_id, record_in(shown))
        if not self.ledger.users.record_intent(
            self.run_id,
            self.user_id,
            action=run.action,
            execution_arn=self.execution_arn,
            owner=self.owner,
            lease_until=self.lease_until,
            now=self.now(),
            is_first=is_first,
            leaver=self._leaver_on_intent(run),
        ):
            # Stopped, or another invocation was faster: the next one finds out from the ledger.
            return Progress(finished=False, wait_seconds=1)
        if not self.windows_for(run.action).is_open(self.clock()):
            return self._too_late(run)
        answer = self.send(run.action)
        said = f"{self._name}: {answer.describe()}"
        sent = UserRow(
            self.user_id,
            UserState.SETTLING,
            reason=said,
            attempts=(row.attempts if row else 0) + 1,
            delete_seconds=math.ceil(answer.seconds),
            answered_at=self.now(),
            looks=row.looks if row else 0,
            waited=row.waited if row else 0,
            history=row.history if row else (),
            portal_message=answer.portal_message,
        )
        match judge(self.request, answer):
            case (Verdict.OK | Verdict.LOOK) as verdict:
                self.ledger.users.record_sent(self.run_id, sent, owner=self.owner)
                run = self._observed(run, answer, is_done=verdict is Verdict.OK)
                # After a DELETE the portal says "gone" too, unless its answer was an error or lost.
                says_deleted = (
                    self.request is Call.DELETE
                    and verdict is Verdict.OK
                    and not answer.is_portal_error
                )
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
                    return self._end(run, sent, Outcome.FAILED, reason, self.refused_kind(run))
                return Progress(
                    finished=False, wait_seconds=wait, tries=int(answer.retry_after is not None)
                )
            case verdict:
                self._refused(said, answer)
                self.portal.raise_for(verdict, answer, f"changed user {self.user_id}")

    def _too_late(self, run: RunRow) -> Progress:
        """Send nothing: recording the intent took until after the end of the change window."""
        self.ledger.users.record_refusal(
            self.run_id,
            self.user_id,
            owner=self.owner,
            reason=f"no {self._name} was sent: the change window ended before it could be",
            portal_message="",
            now=self.now(),
        )
        self._pauses(run)
        return Progress(finished=True)

    def _pauses(self, run: RunRow) -> bool:
        """Pause the run if its change window has ended; return whether it has."""
        pause = pause_at(self.clock(), run, windows=self.windows_for(run.action))
        if pause:
            self.ledger.runs.pause(
                self.run_id, pause, execution_arn=self.execution_arn, now=self.now()
            )
        return pause is not None

    def _leaver_on_intent(self, run: RunRow) -> Write | None:
        """Return what an intent changes about a leaver, on condition that it is as it was read."""
        if self.leaver is None:
            return None
        return self.ledger.leavers.changing(self.on_intent(run, self.leaver), before=self.leaver)

    def _settle(self, run: RunRow, row: UserRow, *, seen: str, least: int = 0) -> Progress:
        wait = self.settle_wait(row)
        if wait is None:
            evidence = (
                row.reason or f"the function ended before the {self._name}'s answer was recorded"
            )
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
        is_last = self.tries + 1 >= MAX_TRIES and not patience_problem(answer.retry_after)
        ours = self.looks.at_api_user() if is_last and seen.is_this_users else None
        if ours and ours.verdict is Verdict.OK:
            return self._failed(run, row, seen)
        return self._ask_again(answer, f"looks at user {self.user_id}")

    def _ask_again(self, answer: Answer, what: str) -> Progress:
        """Wait before repeating a request that the portal did not answer, or stop the run."""
        if problem := patience_problem(answer.retry_after):
            self._stop(problem)
            return Progress(finished=True)
        if self.tries + 1 >= MAX_TRIES:
            self._stop(
                f"The portal did not answer {MAX_TRIES} {what} in a row ({answer.describe()})."
                " When it is up again, resume the run."
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
        kind: ReasonKind = ReasonKind.NONE,
        said: Answer | None = None,
        *,
        is_enabled: bool = False,
    ) -> Progress:
        if not Endings(run, self.portal_url, self.ledger).record(
            self.planned,
            outcome,
            Why(kind, reason),
            leaver=self._leaver_now(row),
            row=row,
            now=self.now(),
            portal_message=said.portal_message if said else "",
            attempts=row.attempts if row else 0,
            is_enabled=is_enabled,
        ):
            # Another invocation has sent a request since our look, or recorded the outcome first.
            return Progress(finished=False, wait_seconds=1)
        rows = self.ledger.users.read_all(self.run_id)
        if outcome.is_open and (problem := breaker_problem(rows)):
            count(Metric.BREAKER_TRIPPED)
            self._stop(f"The breaker tripped: {problem}.", by="breaker")
        if row is None:
            return Progress(finished=True)
        return self._finished(run, replace(row, state=UserState.DONE))

    def _leaver_now(self, row: UserRow | None) -> Leaver | None:
        """Return the user's row as a leaver: an intent of this invocation may have changed it."""
        if self.leaver is None or row is self._rows_at_start[1]:
            return self.leaver
        return self.ledger.leavers.read(self.portal_url, self.user_id)

    def _finished(self, run: RunRow, row: UserRow) -> Progress:
        wait_seconds = pause(self.pacing, run.pace, least=run.wait_seconds)
        wait = pace_wait(row, wait_seconds=wait_seconds, now=self.now())
        return Progress(finished=True, wait_seconds=wait)

    def _observed(self, run: RunRow, answer: Answer, *, is_done: bool = False) -> RunRow:
        """Record what an answer shows about the pace, if it is new; return the run with it.

        If the portal asks for a longer wait than a run accepts, the run stops.
        """
        if is_strained(answer) and (problem := patience_problem(answer.retry_after)):
            self._stop(problem)
        pace = run.pace
        for _ in range(_TRIES_TO_RECORD):
            after = self.pace_after(pace, answer, is_done=is_done)
            if after == pace or self.ledger.portal.record_pace(after, before=pace):
                return replace(run, pace=after)
            pace = self.ledger.portal.pace()
        return replace(run, pace=pace)

    @property
    def planned(self) -> PortalUser:
        """The user as planned."""
        return self._handed_out.user

    @cached_property
    def _handed_out(self) -> PlannedUser:
        """What is planned for the user. No user outside the batch is touched."""
        found = self.bucket.read_batch(self.batch_key).get(self.user_id)
        if found is None:
            raise PortalAnswerUnusable(
                f"User {self.user_id} is not in {self.batch_key}, and so in no plan."
            )
        run = self._rows_at_start[0]
        deletes = self.request is Call.DELETE
        if found.action is not run.action:
            raise PlanEdited(
                f"User {self.user_id} in {self.batch_key} is to be changed by {found.action}, and"
                f" run {self.run_id} is a run to {run.action}. Nobody else is touched."
            )
        if found.action.deletes is not deletes:
            raise PlanEdited(
                f"Run {self.run_id} is a run to {run.action}, and its execution was started before"
                " the stack was updated: it cannot do that. Nobody was touched. Resume the run."
            )
        return found

    def _refused(self, said: str, answer: Answer) -> None:
        self.ledger.users.record_refusal(
            self.run_id,
            self.user_id,
            owner=self.owner,
            reason=said,
            portal_message=answer.portal_message,
            now=self.now(),
        )

    def _stop(self, reason: str, by: str = "") -> None:
        name = by or type(self).__name__
        self.ledger.runs.press_stop(
            self.run_id, reason=reason, by=name, now=self.now(), stopper=Stopper.RUN
        )

    def now(self) -> int:
        """The time, in whole epoch seconds."""
        return int(self.clock())

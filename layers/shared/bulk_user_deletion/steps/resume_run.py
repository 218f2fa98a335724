"""Resumes a run: another execution does what the previous one left open."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import users_before_key
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.executions import Executions
from bulk_user_deletion.guard_dataset import GuardDataset
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.ledger.table import Write
from bulk_user_deletion.looks import control_looks
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.requests import Request, Resume
from bulk_user_deletion.models.routes import Nothing, Wait
from bulk_user_deletion.models.runs import Mode, RunRow
from bulk_user_deletion.models.users import Outcome, UserRow, UserState
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.actions import check_action
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.rules.leavers import is_held_by, waiting_again
from bulk_user_deletion.rules.planning import (
    check_portal_url,
    check_size,
    stricter,
    strictest,
)
from bulk_user_deletion.rules.rosters import check_newest
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.steps.endings import Endings
from bulk_user_deletion.steps.plan_roster import named_since, stop_if_replaced
from bulk_user_deletion.steps.turn import Turn, check_may_apply


@dataclass(frozen=True, slots=True)
class Resumed:
    """A run that was taken over, and how many of its users are open."""

    run_id: str
    users: int


@dataclass(frozen=True, slots=True)
class ResumeRun:
    """One execution, named `run_id`, that resumes another one's run."""

    request: Request
    resumed: Resume
    run_id: str
    execution_arn: str
    settings: Settings
    ledger: Ledger
    bucket: Bucket
    executions: Executions
    connect: Callable[[], Portal]
    turn: Turn
    clock: Callable[[], float] = time.time

    def resume(self) -> Resumed | Wait | Nothing:
        """Take a run over from its ended execution, with those of its users that are open.

        Steps that may fail come first: once the run is taken over, this execution must report it.

        Raises:
            RequestRefused: no user will be deleted; the message says why and what to do.
            TokenRejected: renew the token, then call again.
            PortalBusy: other runs were still deleting when this run's waiting time ended.
            RunClosed: another execution has taken the run, or it was stopped, in the meantime.
            PortalUnavailable, StoreUnavailable: call again.
        """
        run_id = self.ledger.runs.id_of(self.resumed.run_id)
        run = self.ledger.runs.read(run_id)
        if nothing := self._superseded(run):
            return nothing
        started_at = self.executions.started_at(self.execution_arn) or self.clock()
        if run:
            self._check_stop(run, started_at)
        action = run.action if run else Action.DELETE
        # An earlier attempt of this step may have taken the run over, and has the lock. If the
        # window has ended since, the run is paused: its checks say nothing about the next window.
        is_ours = run is not None and run.execution_arn == self.execution_arn
        if not is_ours and (instead := self.turn.instead(run_id, self.request, action)):
            return instead
        run, plan = check_resumable(
            run_id, settings=self.settings, ledger=self.ledger, bucket=self.bucket
        )
        self._check_stop(run, started_at)
        rows = {row.user_id: row for row in self.ledger.users.read_all(run_id)}
        still_open = open_users(plan, rows)
        if self.resumed.only_not_attempted:
            still_open = [user_id for user_id in still_open if user_id not in rows]
        named = named_since(
            plan, portal_url=self.settings.portal_url, ledger=self.ledger, bucket=self.bucket
        )
        kept = [user_id for user_id in still_open if user_id in named]
        still_open = [user_id for user_id in still_open if user_id not in named]
        if not still_open and not kept:
            raise RequestRefused(f"Run {run_id} left nobody open: see its report.")
        if run.execution_arn != self.execution_arn:
            limits = strictest(
                plan.limits,
                stricter(self.settings.limits_for(plan.action), self.request.options),
            )
            self.bucket.read_protected(self.settings.protected_list)
            portal = self.connect()
            if plan.action.deletes:
                guard = GuardDataset(self.settings, self.ledger, self.clock)
                guard.accept(portal, run_id=self.run_id)
            users = Directory(portal.users()).users
            counted = users if plan.action.deletes else [u for u in users if u.is_enabled]
            check_size(
                action=plan.action,
                distinct=len(still_open),
                portal_users=len(counted),
                last_day=self.ledger.users.count_intents(
                    plan.action, since=self._now() - 24 * 3600
                ),
                limits=limits,
                is_roster=bool(plan.roster_run),
            )
            if run.is_open and self.executions.status(run.execution_arn).is_running:
                raise RequestRefused(
                    f"Run {run_id} is in progress. To end it, press its stop button."
                )
            control = control_looks(portal, users)
            self.bucket.write_users(users_before_key(run_id, run.round_number + 1), users)
            self.bucket.write_open_users(run_id, run.round_number + 1, still_open)
            self.ledger.runs.resume(
                run,
                name=self.run_id,
                execution_arn=self.execution_arn,
                request=self.request,
                limits=limits,
                control=control,
                started_at=started_at,
                now=self._now(),
            )
            stop_if_replaced(
                run_id,
                portal_url=self.settings.portal_url,
                ledger=self.ledger,
                now=self.clock(),
            )
        endings = Endings(run, self.settings.portal_url, self.ledger)
        for user in plan.users:
            # Users who were sent a request before keep that outcome.
            if user.user_id in kept and user.user_id not in rows:
                leaver = self.ledger.leavers.read(self.settings.portal_url, user.user_id)
                why = named[user.user_id]
                endings.record(user, Outcome.SKIPPED, why, leaver=leaver, row=None, now=self._now())
        for user_id in still_open:
            if (row := rows.get(user_id)) and row.state is UserState.DONE:
                self.ledger.users.reopen(run_id, row, leaver=self._leaver_again(plan, user_id))
        return Resumed(run_id, len(still_open))

    def _superseded(self, run: RunRow | None) -> Nothing | None:
        """Return why a paused run is no longer resumed automatically, if it is not."""
        if not self.resumed.only_not_attempted:
            return None
        if run and run.execution_arn == self.execution_arn:
            return None  # taken over by an earlier attempt of this step
        if run and run.pause and run.pause.resumed_by == self.run_id:
            return None
        return Nothing(
            f"Run {self.resumed.run_id} does not wait for this execution: it was resumed, or has"
            " ended, in the meantime."
        )

    def _check_stop(self, run: RunRow, started_at: float) -> None:
        """Refuse to resume a run that was stopped since this execution was started."""
        if run.stop and run.stopped_at >= started_at and run.execution_arn != self.execution_arn:
            raise RequestRefused(
                f"The stop button of run {run.run_id} was pressed while this execution was about to"
                f" resume it. Stopped by {run.stop.by}: {run.stop.reason.rstrip('.')}. Nobody was"
                " deleted. Resume it again when that is resolved."
            )

    def _leaver_again(self, plan: Plan, user_id: str) -> Write | None:
        """Let a leaver wait again if they are held because this very run could not delete them."""
        if plan.action is not Action.DELETE_DUE:
            return None
        leaver = self.ledger.leavers.read(self.settings.portal_url, user_id)
        if leaver is None or not is_held_by(leaver, plan.run_id):
            return None
        after = waiting_again(leaver, run_id=plan.run_id, now=self._now())
        return self.ledger.leavers.changing(after, before=leaver)

    def _now(self) -> int:
        return int(self.clock())


def check_resumable(
    run_id: str, *, settings: Settings, ledger: Ledger, bucket: Bucket
) -> tuple[RunRow, Plan]:
    """Return a run that may be resumed and its plan, as far as that is known without the portal.

    Raises:
        RequestRefused: no user will be deleted; the message says why and what to do.
    """
    run = ledger.runs.read(run_id)
    sealed = bucket.read_sealed(run_id)
    if run is None or run.mode is not Mode.APPLY or not run.plan_sha256 or sealed is None:
        raise RequestRefused(f"Run {run_id} has no plan that was applied: nothing to resume.")
    plan, digest = sealed
    if digest != run.plan_sha256:
        raise RequestRefused(
            f"The plan of run {run_id} is not the one that was made: somebody edited it. Find"
            " out who did, then start a new run."
        )
    if order := run.withdrawal:
        raise RequestRefused(
            f"Run {run_id} was withdrawn by {order.by}: {order.reason.rstrip('.')}. Nobody else"
            " of it is disabled. If that is wrong, start a new preview."
        )
    check_portal_url(plan, settings.portal_url)
    check_action(plan.action, stack=settings.leaver_action)
    check_newest(plan, ledger.rosters.newest(settings.portal_url))
    check_may_apply(
        is_sealed=bool(plan.applies) or plan.action is Action.DELETE_DUE,
        apply_only_plans=settings.apply_only_plans,
        ledger=ledger,
    )
    return run, plan


def open_users(plan: Plan, rows: Mapping[str, UserRow]) -> list[str]:
    """Return the ids of the users that a run left open, by their rows.

    Users that the portal refused come last, so that they do not hold up the others.
    """
    return sorted(
        (
            user.user_id
            for user in plan.users
            if not ((row := rows.get(user.user_id)) and row.is_final)
        ),
        key=lambda user_id: bool((row := rows.get(user_id)) and row.outcome is Outcome.FAILED),
    )

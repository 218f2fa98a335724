"""Starts a new run: opens it once, waits for its turn, seals its plan."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from hashlib import sha256

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.requests import Request, SealedPlan, Source, Trigger
from bulk_user_deletion.models.routes import Nothing, Wait
from bulk_user_deletion.models.runs import Control, Limits, Mode
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.actions import check_action
from bulk_user_deletion.rules.evidence import lock_problem
from bulk_user_deletion.rules.leavers import grace_problem
from bulk_user_deletion.rules.planning import stricter
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.steps.apply_plan import ApplyPlan
from bulk_user_deletion.steps.draft import Draft
from bulk_user_deletion.steps.drops import DropLook
from bulk_user_deletion.steps.make_plan import MakePlan
from bulk_user_deletion.steps.plan_due import PlanDue, keep_plans
from bulk_user_deletion.steps.plan_roster import PlanRoster, stop_if_replaced
from bulk_user_deletion.steps.turn import Turn, check_may_apply


@dataclass(frozen=True, slots=True)
class StartRun:
    """One execution that carries out its own request."""

    request: Request
    source: Source | SealedPlan
    run_id: str
    execution_arn: str
    settings: Settings
    ledger: Ledger
    bucket: Bucket
    connect: Callable[[], Portal]
    turn: Turn
    clock: Callable[[], float] = time.time

    def start(self) -> Plan | Wait | Nothing:
        """Open the run and, unless there is something else to do, store and seal its plan.

        Raises:
            RequestRefused: no user will be deleted; the message says why and what to do.
            TokenRejected: renew the token, then call again.
            PortalBusy: other runs were still deleting when this run's waiting time ended.
            RunClosed: the execution's name was used before.
            PortalUnavailable, StoreUnavailable: call again.
        """
        if nothing := self._open():
            return nothing
        if isinstance(self.source, Source) and self.source.due and not self._waiting():
            return self._ended(Nothing("Nobody waits to be deleted."))
        action = self._action()
        check_action(action, stack=self.settings.leaver_action)
        if problem := grace_problem(
            action,
            grace_days=self.settings.grace_days,
            retention_days=self.settings.retention_days,
        ):
            raise RequestRefused(problem)
        if problem := lock_problem(
            lock_days=self.settings.object_lock_days, retention_days=self.settings.retention_days
        ):
            raise RequestRefused(problem)
        match DropLook(self.request, self.run_id, self.bucket, self.ledger, self.clock()).instead():
            case Wait() as wait:
                return wait
            case Nothing() as nothing:
                return self._ended(nothing)
        limits = stricter(self.settings.limits_for(action), self.request.options)
        if self.request.mode is Mode.APPLY:
            check_may_apply(
                is_sealed=isinstance(self.source, SealedPlan) or action is Action.DELETE_DUE,
                apply_only_plans=self.settings.apply_only_plans,
                ledger=self.ledger,
            )
            if instead := self.turn.instead(self.run_id, self.request, action):
                return instead
        planned = self._plan(limits, action)
        if isinstance(planned, Nothing):
            self.ledger.portal.release_locks(self.execution_arn)
            return self._ended(planned)
        plan, control = planned
        plan = replace(plan, self_ids=control.self_ids)
        body = self.bucket.write_plan(plan)
        if plan.refusal:
            raise RequestRefused(plan.refusal)
        self.ledger.runs.seal_plan(
            self.run_id,
            execution_arn=self.execution_arn,
            plan=plan,
            plan_sha256=sha256(body).hexdigest(),
            control=control,
        )
        stop_if_replaced(
            self.run_id,
            portal_url=self.settings.portal_url,
            ledger=self.ledger,
            now=self.clock(),
        )
        return plan

    def _action(self) -> Action:
        """Return what this run does: an apply does what its plan says, as noted in the ledger."""
        if isinstance(self.source, SealedPlan):
            previewed = self.ledger.runs.read(self.source.run_id)
            return previewed.action if previewed else Action.DELETE
        action = self.request.action or self.settings.leaver_action
        if self.source.is_roster and action is Action.DELETE:
            return Action.DISABLE_THEN_DELETE  # users whom a roster lacks are never deleted at once
        return action

    def _waiting(self) -> bool:
        """Return whether any leaver is waiting, and keep the plans of leavers."""
        leavers = list(self.ledger.leavers.read_all(self.settings.portal_url))
        keep_plans(
            leavers,
            bucket=self.bucket,
            retention_days=self.settings.retention_days,
            now=self.clock(),
        )
        return any(leaver.state is LeaverState.WAITING for leaver in leavers)

    def _ended(self, nothing: Nothing) -> Nothing:
        self.ledger.runs.close(self.run_id, self.execution_arn)
        return nothing

    def _open(self) -> Nothing | None:
        """Open the run; if its event has started one before, return why there is nothing to do."""
        # The run first, then its event: a run that is interrupted in between is noticed, and
        # closed.
        is_new = self.ledger.runs.open(
            self.run_id, execution_arn=self.execution_arn, request=self.request, now=self._now()
        )
        if is_new and self.request.trigger is Trigger.SCHEDULE:
            count(Metric.SCHEDULED_RUNS)
        if first := self._taken_before():
            return self._ended(Nothing(f"The same event started run {first} before."))
        return None

    def _taken_before(self) -> str:
        """Return the run that the same event started before this one, or nothing."""
        if not self.request.fingerprint:
            return ""
        first = self.ledger.triggers.claim_event(
            self.request.fingerprint, self.run_id, now=self._now()
        )
        return "" if first == self.run_id else first

    def _plan(self, limits: Limits, action: Action) -> tuple[Plan, Control] | Nothing:
        """Return the plan, and the control looks that it was made with."""
        draft = Draft(
            self.run_id, self.request, action, self.settings, self.ledger, self.bucket, self.clock
        )
        if isinstance(self.source, SealedPlan):
            return ApplyPlan(draft, self.source, limits, self.connect).make()
        if self.source.due:
            return PlanDue(draft, limits, self.connect).make()
        if self.source.is_roster:
            return PlanRoster(draft, self.source, limits, self.connect).make()
        return MakePlan(draft, self.source, limits, self.connect).make()

    def _now(self) -> int:
        return int(self.clock())

"""Applies a sealed plan: exactly what its preview showed, once."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.looks import control_looks
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan, PlannedEntry, Preview
from bulk_user_deletion.models.requests import SealedPlan
from bulk_user_deletion.models.runs import Control, Limits, Mode
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.guard import Guard
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.rules.planning import check_portal_url, narrowed, strictest
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.rosters import check_newest, without_named
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.steps.draft import Draft


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """One plan, made from a `sealed` one."""

    draft: Draft
    sealed: SealedPlan
    limits: Limits
    settings: Settings
    bucket: Bucket
    connect: Callable[[], Portal]
    clock: Callable[[], float] = time.time

    def make(self) -> tuple[Plan, Control]:
        """Take over a sealed plan, entry by entry: the check before each DELETE only narrows it.

        Returns the plan and the control looks.

        Raises:
            RequestRefused: it is not the plan with this hash, or may no longer be applied; or the
                guard cannot be relied on.
            TokenRejected: renew the token, then call again.
            PortalAnswerUnusable, UserManagementDenied: users cannot be identified reliably.
            PortalUnavailable, StoreUnavailable: call again.
        """
        sealed = self.sealed
        found = self.bucket.read_sealed(sealed.run_id)
        if found is None:
            raise RequestRefused(f"Run {sealed.run_id} has no plan. Check the run id.")
        plan, digest = found
        if digest != sealed.sha256:
            raise RequestRefused(
                f"The plan of run {sealed.run_id} is not the one of this sha256: it was edited, or"
                " the hash is another plan's. Start a new preview, and apply that one."
            )
        if plan.mode is not Mode.PREVIEW or plan.refusal:
            raise RequestRefused(f"The plan of run {sealed.run_id} is not one that may be applied.")
        check_portal_url(plan, self.settings.portal_url)
        hours = self.settings.plan_max_age_hours
        # Its age counts when a person approved it: the run may have waited since, for its turn or
        # for a change window.
        run = self.draft.ledger.runs.read(self.draft.run_id)
        approved_at = run.started_at if run else int(self.clock())
        if approved_at - plan.created_at > hours * 3600:
            raise RequestRefused(
                f"The plan of run {sealed.run_id} was made at {iso(plan.created_at)}, and plans may"
                f" be applied for {hours} hours. Start a new preview, and apply that one."
            )
        if plan.action is not self.draft.action:
            raise RequestRefused(
                f"The plan of run {sealed.run_id} is one to {plan.action}, and the ledger says"
                f" {self.draft.action}. Nobody was touched. Start a new preview."
            )
        check_newest(plan, self.draft.ledger.rosters.newest(self.settings.portal_url))
        portal = self.connect()
        guard = self.draft.guard(portal)
        users = Directory(portal.users()).users
        control = control_looks(portal, users)
        self.draft.remember(users)
        again = self.draft.plan(
            strictest(plan.limits, self.limits),
            self._narrowed(plan, guard),
            portal=portal,
            distinct=plan.distinct,
            users=users,
            source_version=plan.source_version,
        )
        again = replace(
            again,
            source=plan.source,
            applies=digest,
            preview=Preview(sealed.run_id, plan.created_at, plan.requested_by, plan.reason),
            roster_run=plan.roster_run,
            grace_days=max(again.grace_days, plan.grace_days),
        )
        return self.draft.limited(again), control

    def _narrowed(self, plan: Plan, guard: Guard) -> tuple[PlannedEntry, ...]:
        if plan.action is Action.ENABLE:
            return plan.entries
        leavers = self.draft.ledger.leavers.read_all(self.settings.portal_url)
        entries = narrowed(plan.entries, leavers, since=plan.created_at, guard=guard)
        roster = self.draft.ledger.rosters.newest(self.settings.portal_url)
        if roster is None or roster.accepted_at < plan.created_at or plan.roster_run:
            return entries
        named = self.bucket.read_named(roster.run_id)
        return without_named(entries, named.now if named else (), roster)

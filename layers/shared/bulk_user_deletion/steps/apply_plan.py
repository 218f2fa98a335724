"""Applies a sealed plan: exactly what its preview showed, once."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import control_looks
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan, PlannedEntry, Preview
from bulk_user_deletion.models.requests import SealedPlan
from bulk_user_deletion.models.runs import Control, Limits, Mode
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.guard import NO_GUARD, Guard
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.rules.planning import check_portal_url, narrowed, strictest
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.rosters import check_newest, without_named
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.steps.draft import Draft
from bulk_user_deletion.steps.plan_roster import named_since


@dataclass(frozen=True, slots=True)
class ApplyPlan:
    """One plan, made from a `sealed` one."""

    draft: Draft
    sealed: SealedPlan
    limits: Limits
    connect: Callable[[], Portal]

    def make(self) -> tuple[Plan, Control]:
        """Take over a sealed plan, entry by entry: the check before each DELETE only narrows it.

        Returns the plan and the control looks.

        Raises:
            RequestRefused: it is not the plan with this hash, or may no longer be applied; or the
                guard is not reliable.
            TokenRejected: renew the token, then call again.
            PortalAnswerUnusable, UserManagementDenied: users cannot be identified reliably.
            PortalUnavailable, StoreUnavailable: call again.
        """
        ledger, digest = self.draft.ledger, self.sealed.sha256
        # Its age counts when a person approved it: the run may have waited since, for its turn or
        # for a change window.
        run = ledger.runs.read(self.draft.run_id)
        plan = check_sealed(
            self.sealed,
            action=self.draft.action,
            settings=self.draft.settings,
            ledger=ledger,
            bucket=self.draft.bucket,
            approved_at=run.started_at if run else self.draft.clock(),
        )
        portal = self.connect()
        guard = self.draft.guard(portal)
        users = Directory(portal.users()).users
        control = control_looks(portal, users)
        self.draft.remember(users)
        again = self.draft.plan(
            strictest(plan.limits, self.limits),
            narrowed_since(
                plan,
                settings=self.draft.settings,
                ledger=ledger,
                bucket=self.draft.bucket,
                guard=guard,
            ),
            portal=portal,
            distinct=plan.distinct,
            users=users,
            source_version=plan.source_version,
        )
        again = replace(
            again,
            source=plan.source,
            applies=digest,
            preview=Preview(self.sealed.run_id, plan.created_at, plan.requested_by, plan.reason),
            roster_run=plan.roster_run,
            grace_days=max(again.grace_days, plan.grace_days),
        )
        return self.draft.limited(again), control


def check_sealed(
    sealed: SealedPlan,
    *,
    action: Action,
    settings: Settings,
    ledger: Ledger,
    bucket: Bucket,
    approved_at: float,
) -> Plan:
    """Return a plan that may be applied, as far as that is known without the portal.

    `action` is what the ledger says the plan does, `approved_at` when it was to be applied.

    Raises:
        RequestRefused: it is not the plan with this hash, or may no longer be applied.
    """
    found = bucket.read_sealed(sealed.run_id)
    if found is None:
        raise RequestRefused(f"Run {sealed.run_id} has no plan. Check the run id.")
    plan, digest = found
    if digest != sealed.sha256:
        raise RequestRefused(
            f"The plan of run {sealed.run_id} does not have this sha256: it was edited, or the"
            " hash is another plan's. Start a new preview, and apply that one."
        )
    if plan.mode is not Mode.PREVIEW or plan.refusal:
        raise RequestRefused(f"The plan of run {sealed.run_id} may not be applied.")
    check_portal_url(plan, settings.portal_url)
    hours = settings.plan_max_age_hours
    if int(approved_at) - plan.created_at > hours * 3600:
        raise RequestRefused(
            f"The plan of run {sealed.run_id} was made at {iso(plan.created_at)}, and plans may"
            f" be applied for {hours} hours. Start a new preview, and apply that one."
        )
    if plan.action is not action:
        raise RequestRefused(
            f"The plan of run {sealed.run_id} is a plan to {plan.action}, and the ledger says"
            f" {action}. Nobody was touched. Start a new preview."
        )
    check_newest(plan, ledger.rosters.newest(settings.portal_url))
    return plan


def narrowed_since(
    plan: Plan, *, settings: Settings, ledger: Ledger, bucket: Bucket, guard: Guard = NO_GUARD
) -> tuple[PlannedEntry, ...]:
    """Return a plan's entries without users who must stay because of what happened since."""
    if plan.action is Action.ENABLE:
        return plan.entries
    leavers = ledger.leavers.read_all(settings.portal_url)
    entries = narrowed(plan.entries, leavers, since=plan.created_at, guard=guard)
    named = named_since(plan, portal_url=settings.portal_url, ledger=ledger, bucket=bucket)
    return without_named(entries, named)

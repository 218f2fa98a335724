"""What applying or resuming a plan would do today, by the rules that the stack itself applies.

This is checked before anybody types a number. The stack checks it all again, and more: what only
the portal shows, such as who is in the guard.
"""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.models.plans import Estimate, Plan
from bulk_user_deletion.models.requests import SealedPlan
from bulk_user_deletion.models.runs import Limits
from bulk_user_deletion.models.users import Outcome, UserRow
from bulk_user_deletion.rules.actions import check_action
from bulk_user_deletion.rules.estimate import SECONDS_PER_DELETE, estimate
from bulk_user_deletion.rules.leavers import grace_problem
from bulk_user_deletion.rules.planning import check_size, strictest
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.steps.apply_plan import check_sealed, narrowed_since
from bulk_user_deletion.steps.draft import applied_before, plan_fingerprint
from bulk_user_deletion.steps.resume_run import check_resumable, open_users
from bulk_user_deletion.steps.turn import check_may_apply
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.runs import estimate_of, pace_of


@dataclass(frozen=True, slots=True)
class Today:
    """A plan that may be applied or resumed today.

    `users` are left to change, out of `planned` in the plan. The caps count `counted`, which
    includes requested users who are not changed; `portal_users` is what the percentages refer to.
    """

    plan: Plan
    users: int
    planned: int
    counted: int
    limits: Limits
    last_day: int
    portal_users: int
    estimate: Estimate

    def rows(self) -> dict[str, str]:
        """Return the figures to decide by, with their names."""
        done = self.plan.action.done
        kept = self.planned - self.users
        of = f", of {self.planned} in the plan: the others are done, or kept by now" if kept else ""
        in_a_day, then = self.counted + self.last_day, self.portal_users + self.last_day
        limits = self.limits
        what = "users" if self.plan.action.deletes else "enabled users"
        return {
            f"To be {done}": f"{counted(self.users, 'user')}{of}",
            "Caps today": f"{self.counted} of {limits.max_users} entries per run, and"
            f" {_share(self.counted, self.portal_users)} of {limits.max_percent:g} % of"
            f" {self.portal_users} {what}",
            "In 24 hours": f"{in_a_day} of {limits.max_users_per_day}, and"
            f" {_share(in_a_day, then)} of {limits.max_percent_per_day:g} %, including"
            f" {self.last_day} before this run",
            "Pace": pace_of(limits),
            "Estimate": estimate_of(self.estimate),
        }


def applied_today(deployment: Deployment, sealed: SealedPlan) -> Today:
    """Return what applying a preview's plan would do today.

    Raises:
        RequestRefused: it would be refused; the message says why and what to do.
    """
    ledger, settings, now = deployment.ledger, deployment.settings, int(time.time())
    if first := ledger.triggers.claimed_by(plan_fingerprint(sealed.sha256)):
        raise applied_before(first)
    run = ledger.runs.read(sealed.run_id)
    if run is None:
        raise RequestRefused(f"There is no run {sealed.run_id}.")
    check_action(run.action, stack=settings.leaver_action)
    if problem := grace_problem(
        run.action, grace_days=settings.grace_days, retention_days=settings.retention_days
    ):
        raise RequestRefused(problem)
    check_may_apply(is_sealed=True, apply_only_plans=settings.apply_only_plans, ledger=ledger)
    plan = check_sealed(
        sealed,
        action=run.action,
        settings=settings,
        ledger=ledger,
        bucket=deployment.bucket,
        approved_at=now,
    )
    entries = narrowed_since(plan, settings=settings, ledger=ledger, bucket=deployment.bucket)
    return _within_caps(
        plan,
        users=sum(entry.outcome is plan.action.would for entry in entries),
        counted=plan.distinct,
        portal_users=plan.portal_users if plan.action.deletes else plan.enabled_users,
        deployment=deployment,
        now=now,
    )


def resumed_today(deployment: Deployment, run_id: str) -> Today:
    """Return what resuming a run would do today.

    Raises:
        RequestRefused: it would be refused; the message says why and what to do.
    """
    run, plan = check_resumable(
        run_id,
        settings=deployment.settings,
        ledger=deployment.ledger,
        bucket=deployment.bucket,
    )
    execution = deployment.execution(run.execution_arn) if run.is_open else None
    if execution and execution.is_running:
        raise RequestRefused(f"Run {run_id} is in progress. To end it, press its stop button.")
    rows = {row.user_id: row for row in deployment.ledger.users.read_all(run_id)}
    still_open = open_users(plan, rows)
    if not still_open:
        raise RequestRefused(f"Run {run_id} left nobody open: there is nothing to resume.")
    return _within_caps(
        plan,
        users=len(still_open),
        counted=len(still_open),
        portal_users=_portal_users_left(plan, rows.values()),
        deployment=deployment,
        now=int(time.time()),
    )


def _within_caps(
    plan: Plan, *, users: int, counted: int, portal_users: int, deployment: Deployment, now: int
) -> Today:
    settings, ledger = deployment.settings, deployment.ledger
    limits = strictest(plan.limits, settings.limits_for(plan.action))
    last_day = ledger.users.count_intents(plan.action, since=now - 24 * 3600)
    check_size(
        action=plan.action,
        distinct=counted,
        portal_users=portal_users,
        last_day=last_day,
        limits=limits,
        is_roster=bool(plan.roster_run),
    )
    return Today(
        plan=plan,
        users=users,
        planned=len(plan.users),
        counted=counted,
        limits=limits,
        last_day=last_day,
        portal_users=portal_users,
        estimate=_estimate(users, plan, limits, settings, deployment),
    )


def _estimate(
    users: int, plan: Plan, limits: Limits, settings: Settings, deployment: Deployment
) -> Estimate:
    pace = deployment.ledger.portal.pace()
    return estimate(
        users,
        action=plan.action,
        wait_seconds=limits.wait_seconds,
        concurrency=settings.concurrency,
        seconds_per_delete=pace.seconds_per_delete or SECONDS_PER_DELETE,
        windows=settings.windows_for(plan.action),
        now=time.time(),
    )


def _portal_users_left(plan: Plan, rows: Iterable[UserRow]) -> int:
    """Return how many users the percentages refer to: the plan's, without those already deleted."""
    outcomes = Counter(row.outcome for row in rows)
    if plan.action.deletes:
        return plan.portal_users - outcomes[Outcome.DELETED]
    return plan.enabled_users - outcomes[Outcome.DISABLED] + outcomes[Outcome.ENABLED]


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}" if whole else "more than all"

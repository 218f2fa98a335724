"""What all plans share, regardless of their source: the figures, and the check of the caps."""

import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import users_before_key
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.guard_dataset import GuardDataset
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan, PlannedEntry
from bulk_user_deletion.models.requests import Request
from bulk_user_deletion.models.runs import Limits, Mode
from bulk_user_deletion.models.users import PortalUser
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.estimate import (
    SECONDS_PER_DELETE,
    SECONDS_PER_PUT,
    estimate,
    windows_warning,
)
from bulk_user_deletion.rules.expiry import renewals_warning
from bulk_user_deletion.rules.guard import NO_GUARD, Guard
from bulk_user_deletion.rules.planning import (
    check_entries,
    check_size,
    directory_warning,
    warnings_of,
)
from bulk_user_deletion.settings import Settings


@dataclass(frozen=True, slots=True)
class Draft:
    """The plan of one run while it is being made."""

    run_id: str
    request: Request
    action: Action
    settings: Settings
    ledger: Ledger
    bucket: Bucket
    clock: Callable[[], float] = time.time

    def remember(self, users: Iterable[PortalUser]) -> None:
        """Store the portal's users as they were before a run that deletes some of them."""
        if self.request.mode is Mode.APPLY:
            self.bucket.write_users(users_before_key(self.run_id), users)

    def guard(self, portal: Portal) -> Guard:
        """Return whom the guard keeps from this run; it only keeps users from being deleted.

        Raises:
            RequestRefused: it is not reliable.
            TokenRejected, UserManagementDenied, PortalUnavailable, PortalAnswerUnusable
        """
        if not self.action.deletes:
            return NO_GUARD
        dataset = GuardDataset(self.settings, self.ledger, self.clock)
        return dataset.accept(portal, run_id=self.run_id)

    def plan(
        self,
        limits: Limits,
        entries: tuple[PlannedEntry, ...],
        *,
        portal: Portal,
        distinct: int,
        users: Collection[PortalUser],
        source_version: str,
        hints: Iterable[str] = (),
    ) -> Plan:
        """Return a plan with these entries and all its other fields."""
        chosen = sum(entry.outcome is self.action.would for entry in entries)
        seconds_per_delete = self.ledger.portal.pace().seconds_per_delete or SECONDS_PER_DELETE
        windows = self.settings.windows_for(self.action)
        estimated = estimate(
            chosen,
            action=self.action,
            wait_seconds=limits.wait_seconds,
            concurrency=self.settings.concurrency,
            seconds_per_delete=seconds_per_delete,
            windows=windows,
            now=self.clock(),
        )
        tokens = renewals_warning(
            run_seconds=estimated.seconds,
            life_seconds=portal.token_life_seconds,
            seconds_per_delete=seconds_per_delete if self.action.deletes else SECONDS_PER_PUT,
        )
        return Plan(
            run_id=self.run_id,
            mode=self.request.mode,
            created_at=self._now(),
            portal_url=self.settings.portal_url,
            source=self.request.source.describe(),
            source_version=source_version,
            reason=self.request.reason,
            requested_by=self.request.requested_by,
            limits=limits,
            portal_users=len(users),
            distinct=distinct,
            last_day=self.ledger.users.count_intents(self.action, since=self._now() - 24 * 3600),
            estimate=estimated,
            entries=entries,
            warnings=(
                *hints,
                *warnings_of(entries),
                *filter(
                    None,
                    [
                        directory_warning(entries, self.action),
                        windows_warning(chosen, estimated, windows, now=self.clock()),
                        tokens,
                    ],
                ),
            ),
            action=self.action,
            grace_days=self._grace_days,
            enabled_users=sum(user.is_enabled for user in users),
        )

    @property
    def _grace_days(self) -> int:
        return self.settings.grace_days if self.action is Action.DISABLE_THEN_DELETE else 0

    def limited(self, plan: Plan) -> Plan:
        """Record why the plan may not be applied; it is stored anyway, for the report."""
        try:
            check_size(
                action=plan.action,
                distinct=plan.distinct,
                portal_users=plan.portal_users if plan.action.deletes else plan.enabled_users,
                last_day=plan.last_day,
                limits=plan.limits,
                is_roster=bool(plan.roster_run),
            )
            check_entries(plan.entries, self.request, plan.limits)
            if plan.applies:
                # Last, so that the plan can still be applied after any other refusal; and before it
                # is sealed, so that a run that came too late has nothing to resume.
                self._use_up(plan.applies)
        except RequestRefused as error:
            return replace(plan, refusal=str(error))
        return plan

    def _use_up(self, digest: str) -> None:
        first = self.ledger.triggers.claim_event(
            plan_fingerprint(digest), self.run_id, now=self._now()
        )
        if first != self.run_id:
            raise applied_before(first)

    def _now(self) -> int:
        return int(self.clock())


def plan_fingerprint(digest: str) -> str:
    """Return the key for the use of a plan in the ledger: a plan is applied once."""
    return f"plan {digest}"


def applied_before(run_id: str) -> RequestRefused:
    """Return why the plan that a run has applied is not applied again."""
    return RequestRefused(f"This plan was applied before, by run {run_id}. Start a new preview.")

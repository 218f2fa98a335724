"""What all plans share, regardless of their source: the figures, and the check of the caps."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.bucket_keys import users_before_key
from bulk_user_deletion.errors import RequestRefused
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.plans import Plan, PlannedEntry
from bulk_user_deletion.models.requests import Request
from bulk_user_deletion.models.runs import Limits, Mode
from bulk_user_deletion.models.users import Outcome, PortalUser
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.rules.estimate import SECONDS_PER_DELETE, estimate
from bulk_user_deletion.rules.expiry import renewals_warning
from bulk_user_deletion.rules.planning import check_entries, check_size, warnings_of
from bulk_user_deletion.settings import Settings


@dataclass(frozen=True, slots=True)
class Draft:
    """The plan of one run while it is being made."""

    run_id: str
    request: Request
    settings: Settings
    ledger: Ledger
    bucket: Bucket
    clock: Callable[[], float] = time.time

    def remember(self, users: Iterable[PortalUser]) -> None:
        """Store the portal's users as they were before a run that deletes some of them."""
        if self.request.mode is Mode.APPLY:
            self.bucket.write_users(users_before_key(self.run_id), users)

    def plan(
        self,
        limits: Limits,
        entries: tuple[PlannedEntry, ...],
        *,
        portal: Portal,
        distinct: int,
        portal_users: int,
        source_version: str,
        hints: Iterable[str] = (),
    ) -> Plan:
        """Return a plan with these entries and all its other fields."""
        users = sum(entry.outcome is Outcome.WOULD_DELETE for entry in entries)
        seconds_per_delete = self.ledger.portal.pace().seconds_per_delete or SECONDS_PER_DELETE
        estimated = estimate(
            users,
            wait_seconds=limits.wait_seconds,
            concurrency=self.settings.concurrency,
            seconds_per_delete=seconds_per_delete,
        )
        tokens = renewals_warning(
            run_seconds=estimated.seconds,
            life_seconds=portal.token_life_seconds,
            seconds_per_delete=seconds_per_delete,
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
            portal_users=portal_users,
            distinct=distinct,
            last_day=self.ledger.users.count_intents(since=self._now() - 24 * 3600),
            estimate=estimated,
            entries=entries,
            warnings=(*hints, *warnings_of(entries), *filter(None, [tokens])),
        )

    def limited(self, plan: Plan) -> Plan:
        """Record why the plan may not be applied; it is stored anyway, for the report."""
        try:
            check_size(
                distinct=plan.distinct,
                portal_users=plan.portal_users,
                last_day=plan.last_day,
                limits=plan.limits,
            )
            check_entries(plan.entries, self.request, plan.limits)
            if plan.applies:
                # Last, so that what else is refused leaves the plan to be applied; and before it is
                # sealed, so that a run that came too late has nothing to be resumed.
                self._use_up(plan.applies)
        except RequestRefused as error:
            return replace(plan, refusal=str(error))
        return plan

    def _use_up(self, digest: str) -> None:
        first = self.ledger.triggers.claim_event(f"plan {digest}", self.run_id, now=self._now())
        if first != self.run_id:
            raise RequestRefused(
                f"This plan was applied before, by run {first}. Start a new preview."
            )

    def _now(self) -> int:
        return int(self.clock())

"""Turns a request into a sealed plan, or refuses it: nobody is touched here."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import PortalBusy, RequestRefused
from bulk_user_deletion.executions import Executions
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models import (
    Entry,
    Limits,
    Mode,
    Outcome,
    Plan,
    PlannedEntry,
    Request,
    SealedPlan,
    Source,
    StopOrder,
)
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.request import read_request
from bulk_user_deletion.rules.estimate import estimate
from bulk_user_deletion.rules.identity import Directory, identity_keys, names_by_id
from bulk_user_deletion.rules.planning import (
    check_entries,
    check_size,
    distinct_entries,
    plan_entries,
    stricter,
    strictest,
    warnings_of,
)
from bulk_user_deletion.rules.protection import Protected
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.sources import (
    LARGEST_FILE,
    entries_from_csv,
    entries_from_dataset,
    entries_from_list,
)


@dataclass(frozen=True, slots=True)
class Planned:
    """What the state machine is told: `next_step` is preview, apply or nothing.

    `nothing_because` says why there is nothing to do for it: the event names a folder, another run
    has taken it, or it was a stop order, and is obeyed.
    """

    next_step: str
    users: int = 0
    plan_sha256: str = ""
    nothing_because: str = ""


@dataclass(frozen=True, slots=True)
class FetchUserIds:
    """One invocation for one execution, whose input is `event`."""

    run_id: str
    execution_arn: str
    event: Mapping[str, Any]
    settings: Settings
    ledger: Ledger
    bucket: Bucket
    executions: Executions
    connect: Callable[[], Portal]
    clock: Callable[[], float] = time.time

    def run(self) -> Planned:
        """Check the request, read its source, resolve and limit it, store the plan.

        Raises:
            RequestRefused: nobody will be deleted; the message says why and what to do.
            TokenRejected: renew the token, then call again.
            PortalBusy: another run is deleting; call again later.
            RunClosed: the execution's name was used before.
            PortalUnavailable, StoreUnavailable: call again.
        """
        request = read_request(self.event, file_drop_mode=self.settings.file_drop_mode)
        match request:
            case None:
                return Planned("nothing", nothing_because="The event names a folder, not a file.")
            case StopOrder():
                return Planned("nothing", nothing_because=self._obey(request))
        if first := self._taken_before(request):
            because = f"The same event started run {first} before."
            return Planned("nothing", nothing_because=because)
        limits = stricter(self.settings.limits, request.options)
        self.ledger.open_run(
            self.run_id,
            execution_arn=self.execution_arn,
            request=request,
            wait_seconds=limits.wait_seconds,
            now=self._now(),
        )
        if request.mode is Mode.APPLY:
            self._may_apply(request)
            self._take_lock()
        if isinstance(request.source, SealedPlan):
            plan = self._plan_again(request, request.source, limits)
        else:
            plan = self._plan(request, request.source, limits)
        body = self.bucket.write_plan(plan)
        if plan.refusal:
            raise RequestRefused(plan.refusal)
        if plan.applies:
            # Last, so that a plan is used up only by a run that goes on to carry it out.
            self._use_up(plan.applies)
        return Planned(request.mode.value, len(plan.users), sha256(body).hexdigest())

    def _obey(self, order: StopOrder) -> str:
        """Press the stop button, or lift it; return what was done, for the execution's output."""
        which = f"run {order.run_id}" if order.run_id else "every run on this portal"
        if order.lift:
            if not self.ledger.lift_stop(order.run_id):
                raise RequestRefused(f"There is no stop to lift for {which}.")
            return f"The stop for {which} is lifted."
        pressed = self.ledger.press_stop(
            order.run_id, reason=order.reason, by=order.by, now=self._now()
        )
        if not pressed:
            raise RequestRefused(f"There is no {which}: nothing was stopped. Check the run id.")
        return f"The stop for {which} is set: no further user is begun."

    def _taken_before(self, request: Request) -> str:
        """Return the run that the same event started before this one, or nothing."""
        if not request.fingerprint:
            return ""
        first = self.ledger.claim_event(request.fingerprint, self.run_id, now=self._now())
        return "" if first == self.run_id else first

    def _may_apply(self, request: Request) -> None:
        if self.settings.apply_only_plans and not isinstance(request.source, SealedPlan):
            raise RequestRefused(
                "ApplyOnlyPlans is on: only the plan of a preview may be applied. Start a preview"
                " of this source, read it, then apply its plan as its notification says."
            )
        if stop := self.ledger.portal_stop():
            raise RequestRefused(
                f"{stop.by} stopped every run on this portal: {stop.reason}. Nobody was deleted."
                ' When that is settled, start {"lift": {"reason", "by"}}, then send this again.'
            )

    def _take_lock(self) -> None:
        holder = self.ledger.take_lock(self.run_id, self.execution_arn)
        if holder != self.execution_arn and not self.executions.is_running(holder):
            holder = self.ledger.take_lock(self.run_id, self.execution_arn, instead_of=holder)
        if holder != self.execution_arn:
            raise PortalBusy(
                f"Execution {holder} is deleting users from this portal. Send the request again"
                " when it has ended."
            )

    def _plan(self, request: Request, source: Source, limits: Limits) -> Plan:
        # What needs no portal comes first: a malformed list is refused before the portal is called.
        entries = self._entries_at_hand(source)
        listed = self.bucket.read_protected(self.settings.protected_list)
        portal = self.connect()
        if entries is None:
            entries = entries_from_dataset(portal.dataset_rows(source.dataset_id or 0))
        directory = Directory(portal.users())
        planned = plan_entries(
            entries,
            directory,
            protected=Protected(portal.user, listed),
            today=datetime.fromtimestamp(self._now(), UTC).date(),
            deleted_before=self._deleted_before(entries, directory),
        )
        plan = self._new_plan(
            request,
            limits,
            planned,
            distinct=distinct_entries(entries),
            portal_users=len(directory.users),
            source_version=source.version(),
        )
        return self._limited(plan, request)

    def _plan_again(self, request: Request, sealed: SealedPlan, limits: Limits) -> Plan:
        """Take over a sealed plan, entry by entry: the check before each DELETE only narrows it."""
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
        hours = self.settings.plan_max_age_hours
        if self._now() - plan.created_at > hours * 3600:
            raise RequestRefused(
                f"The plan of run {sealed.run_id} was made at {iso(plan.created_at)}, and plans may"
                f" be applied for {hours} hours. Start a new preview, and apply that one."
            )
        again = self._new_plan(
            request,
            strictest(plan.limits, limits),
            plan.entries,
            distinct=plan.distinct,
            portal_users=sum(1 for _ in self.connect().users()),
            source_version=plan.source_version,
        )
        return self._limited(replace(again, source=plan.source, applies=digest), request)

    def _use_up(self, digest: str) -> None:
        first = self.ledger.claim_event(f"plan {digest}", self.run_id, now=self._now())
        if first != self.run_id:
            raise RequestRefused(
                f"This plan was applied before, by run {first}. Start a new preview."
            )

    def _new_plan(
        self,
        request: Request,
        limits: Limits,
        entries: tuple[PlannedEntry, ...],
        *,
        distinct: int,
        portal_users: int,
        source_version: str,
    ) -> Plan:
        users = sum(entry.outcome is Outcome.WOULD_DELETE for entry in entries)
        return Plan(
            run_id=self.run_id,
            mode=request.mode,
            created_at=self._now(),
            source=request.source.describe(),
            source_version=source_version,
            reason=request.reason,
            requested_by=request.requested_by,
            limits=limits,
            portal_users=portal_users,
            distinct=distinct,
            last_day=self.ledger.count_intents(since=self._now() - 24 * 3600),
            estimate=estimate(
                users, wait_seconds=limits.wait_seconds, concurrency=self.settings.concurrency
            ),
            entries=entries,
            warnings=warnings_of(entries),
        )

    def _limited(self, plan: Plan, request: Request) -> Plan:
        """Note why the plan may not be applied; it is stored all the same, for the report."""
        try:
            check_size(
                distinct=plan.distinct,
                portal_users=plan.portal_users,
                last_day=plan.last_day,
                limits=plan.limits,
            )
            check_entries(plan.entries, request, plan.limits)
        except RequestRefused as error:
            return replace(plan, refusal=str(error))
        return plan

    def _entries_at_hand(self, source: Source) -> list[Entry] | None:
        if source.users is not None:
            return entries_from_list(source.users)
        if source.s3 is not None:
            return entries_from_csv(self.bucket.read(source.s3, limit=LARGEST_FILE))
        return None

    def _deleted_before(self, entries: list[Entry], directory: Directory) -> set[str]:
        """Return whom the ledger has on record as deleted; an id that is there needs none."""
        return self.ledger.deleted_before(
            {
                key
                for entry in entries
                if not names_by_id(entry) or directory.match(entry).user is None
                for key in identity_keys(entry)
            }
        )

    def _now(self) -> int:
        return int(self.clock())

"""Turns a request into a sealed plan, or refuses it: nobody is touched here."""

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from bulk_user_deletion.bucket import Bucket, users_before_key
from bulk_user_deletion.errors import PortalBusy, RequestRefused, RunClosed
from bulk_user_deletion.executions import Executions
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import Looks, Patience, control_looks
from bulk_user_deletion.models.names import fold
from bulk_user_deletion.models.plans import Entry, Plan, PlannedEntry
from bulk_user_deletion.models.requests import (
    CheckOrder,
    CloseOrder,
    EndQuietOrder,
    Request,
    Resume,
    SealedPlan,
    Source,
    StopOrder,
)
from bulk_user_deletion.models.runs import Control, Limits, Lock, Mode, Stop
from bulk_user_deletion.models.users import Outcome, PortalUser, UserState
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.request import read_request
from bulk_user_deletion.rules.answers import Verdict
from bulk_user_deletion.rules.deletion import leases_left
from bulk_user_deletion.rules.drops import Nothing, Wait, nothing_in
from bulk_user_deletion.rules.estimate import SECONDS_PER_DELETE, estimate
from bulk_user_deletion.rules.expiry import renewals_warning
from bulk_user_deletion.rules.identity import Directory, identity_keys, names_by_id
from bulk_user_deletion.rules.planning import (
    check_entries,
    check_size,
    distinct_entries,
    ids_to_look_at,
    plan_entries,
    stricter,
    strictest,
    warnings_of,
    with_looks,
)
from bulk_user_deletion.rules.protection import Protected
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.sources import (
    LARGEST_FILE,
    Reading,
    entries_from_dataset,
    entries_from_list,
    read_file,
)
from bulk_user_deletion.sources.hints import check_hints
from bulk_user_deletion.steps.drops import DropLook
from bulk_user_deletion.steps.orders import (
    check_portal,
    end_quiet,
    obey_stop,
    take_over_ended,
)

# The function has fifteen minutes, and reading a large list may take some of them.
_SECONDS_FOR_LOOKS = 240

# How often a run that waits for its turn looks whether it has come.
LOOK_AGAIN_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Planned:
    """What the state machine is told: `next_step` is preview, apply, close, wait or nothing.

    `run_id` is the run that it is about from now on: its own, or one that it resumes or closes.
    `nothing_because` says why there is nothing to do for it: the event names no list, another run
    has taken it, or it was an order, and is obeyed. To wait is to call again after `wait_seconds`.
    """

    run_id: str
    next_step: str
    users: int = 0
    nothing_because: str = ""
    wait_seconds: int = 0


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
            PortalBusy: other runs were deleting for as long as this one may wait.
            RunClosed: the execution's name was used before.
            PortalUnavailable, StoreUnavailable: call again.
        """
        request = read_request(self.event, file_drop_mode=self.settings.file_drop_mode)
        match request:
            case None:
                return self._nothing(nothing_in(str(self.event["detail"]["object"]["key"])))
            case StopOrder():
                return self._nothing(obey_stop(request, ledger=self.ledger, now=self.clock()))
            case EndQuietOrder():
                return self._nothing(end_quiet(ledger=self.ledger, now=self.clock()))
            case CheckOrder():
                found = check_portal(
                    self.connect(),
                    bucket=self.bucket,
                    run_id=self.run_id,
                    protected_list=self.settings.protected_list,
                    now=self.clock(),
                )
                return self._nothing(found)
            case CloseOrder():
                return self._close(request)
        if isinstance(request.source, Resume):
            return self._resume(request, request.source)
        # The run first, then its event: who is cut off in between is missed, and closed.
        is_new = self.ledger.open_run(
            self.run_id, execution_arn=self.execution_arn, request=request, now=self._now()
        )
        if is_new and request.trigger == "schedule":
            count(Metric.SCHEDULED_RUNS)
        if first := self._taken_before(request):
            self.ledger.close_run(self.run_id, self.execution_arn)
            return self._nothing(f"The same event started run {first} before.")
        match DropLook(request, self.run_id, self.bucket, self.ledger, self.clock()).instead():
            case Wait(seconds):
                return Planned(self.run_id, "wait", wait_seconds=seconds)
            case Nothing(because):
                self.ledger.close_run(self.run_id, self.execution_arn)
                return self._nothing(because)
        limits = stricter(self.settings.limits, request.options)
        if request.mode is Mode.APPLY:
            self._may_apply(is_sealed=isinstance(request.source, SealedPlan))
            if instead := self._instead_of_turn(self.run_id, request):
                return instead
        if isinstance(request.source, SealedPlan):
            plan, control = self._plan_again(request, request.source, limits)
        else:
            plan, control = self._plan(request, request.source, limits)
        plan = replace(plan, self_ids=control.self_ids)
        body = self.bucket.write_plan(plan)
        if plan.refusal:
            raise RequestRefused(plan.refusal)
        self.ledger.seal_plan(
            self.run_id,
            execution_arn=self.execution_arn,
            plan_sha256=sha256(body).hexdigest(),
            limits=plan.limits,
            control=control,
        )
        return Planned(self.run_id, request.mode.value, len(plan.users))

    def _nothing(self, because: str) -> Planned:
        return Planned(self.run_id, "nothing", nothing_because=because)

    def _close(self, order: CloseOrder) -> Planned:
        taken = take_over_ended(
            order,
            execution_arn=self.execution_arn,
            ledger=self.ledger,
            executions=self.executions,
            now=self._now(),
        )
        return self._nothing(taken) if isinstance(taken, str) else Planned(taken.run_id, "close")

    def _taken_before(self, request: Request) -> str:
        """Return the run that the same event started before this one, or nothing."""
        if not request.fingerprint:
            return ""
        first = self.ledger.claim_event(request.fingerprint, self.run_id, now=self._now())
        return "" if first == self.run_id else first

    def _may_apply(self, *, is_sealed: bool) -> None:
        if self.settings.apply_only_plans and not is_sealed:
            raise RequestRefused(
                "ApplyOnlyPlans is on: only the plan of a preview may be applied. Start a preview"
                " of this source, read it, then apply its plan as its notification says."
            )
        if stop := self.ledger.portal_stop():
            raise RequestRefused(
                f"{stop.by} stopped every run on this portal: {stop.reason}. Nobody was deleted."
                ' When that is settled, start {"lift": {"reason", "by"}}, then send this again.'
            )

    def _instead_of_turn(self, run_id: str, request: Request) -> Planned | None:
        """Take the portal's lock for a run, or say what to do while another one has it.

        What waits is planned when its turn comes: by then the portal has other users, and the
        others' deletions count towards the caps. A file that was replaced meanwhile is left to the
        run that the new one started.

        Raises:
            RequestRefused: the run was stopped while it waited, or its file was deleted.
            PortalBusy: it has waited for `max_wait_hours`.
        """
        has_waited = bool(self.ledger.waits_for(self.run_id))
        if has_waited and self._is_replaced(request):
            self.ledger.close_run(self.run_id, self.execution_arn)
            return self._nothing(
                "The file was replaced while this run waited: the run that the new file started"
                " reads it."
            )
        lock, wait_seconds = self._lock(run_id)
        if not wait_seconds:
            if has_waited:
                self.ledger.wait_for(self.run_id, "", now=self._now())
            return None
        hours = self.settings.max_wait_hours
        started_at = self.executions.started_at(self.execution_arn) or self.clock()
        if self.clock() >= started_at + hours * 3600:
            raise PortalBusy(
                f"This run has waited {hours} h for its turn (MaxWaitHours), and run {lock.run_id}"
                " is still deleting users from this portal. When that has ended, send the request"
                " again."
            )
        self.ledger.wait_for(self.run_id, lock.run_id, now=self._now())
        return Planned(self.run_id, "wait", wait_seconds=wait_seconds)

    def _is_replaced(self, request: Request) -> bool:
        """Look at what may have happened to a run while it waited."""
        run = self.ledger.run(self.run_id)  # there is none of its own for one that resumes another
        if run and run.stop:
            raise RequestRefused(
                f"{run.stop.by} stopped this run while it waited for its turn:"
                f" {run.stop.reason.rstrip('.')}. Nobody was deleted."
            )
        source = request.source
        if not request.dropped_key or not isinstance(source, Source) or source.s3 is None:
            return False
        return not self.bucket.is_current(source.s3)

    def _lock(self, run_id: str) -> tuple[Lock, int]:
        """Return who has the portal's lock, and how long to wait for it: 0 when it is ours."""
        lock = self.ledger.take_lock(run_id, self.execution_arn)
        holder = lock.execution_arn
        if holder != self.execution_arn and not self._is_alive(holder):
            if lock.run_id != run_id and (wait_seconds := self._outlast(lock)):
                return lock, wait_seconds
            lock = self.ledger.take_lock(run_id, self.execution_arn, instead_of=holder)
        return lock, 0 if lock.execution_arn == self.execution_arn else LOOK_AGAIN_SECONDS

    def _is_alive(self, execution_arn: str) -> bool:
        return self.executions.status(execution_arn) in Executions.ALIVE

    def _outlast(self, lock: Lock) -> int:
        """Return how long a function may be left of a dead execution that deletes a user.

        Its run may hold the very users that are asked for now, and a second DELETE to one whose
        first is under way would go beside the ledger.
        """
        run = self.ledger.run(lock.run_id)
        if run and run.is_open and run.execution_arn == lock.execution_arn:
            stop = Stop("Its execution ended before it could report.", "FetchUserIds", self._now())
            with suppress(RunClosed):  # taken over meanwhile, which stops it too
                self.ledger.take_over_stopped(run, execution_arn=run.execution_arn, stop=stop)
        return leases_left(self.ledger.users(lock.run_id), now=self._now())

    def _plan(self, request: Request, source: Source, limits: Limits) -> tuple[Plan, Control]:
        # What needs no portal comes first: a malformed list is refused before the portal is called.
        today = datetime.fromtimestamp(self._now(), UTC).date()
        reading = self._read_at_hand(source)
        hints = check_hints(reading.hints if reading else (), request, today=today)
        listed = self.bucket.read_protected(self.settings.protected_list)
        portal = self.connect()
        if reading:
            entries = reading.entries
        else:
            entries = entries_from_dataset(portal.dataset_rows(source.dataset_id or 0))
        directory = Directory(portal.users())
        control = control_looks(portal, directory.users)
        self._remember(request, directory.users)
        planned = plan_entries(
            entries,
            directory,
            protected=Protected(portal.user, listed, control.self_ids),
            today=today,
            deleted_before=self._deleted_before(entries, directory),
        )
        plan = self._new_plan(
            request,
            limits,
            planned,
            portal=portal,
            distinct=distinct_entries(entries),
            portal_users=len(directory.users),
            source_version=source.version(),
            hints=hints,
        )
        return self._looked_at(self._limited(plan, request), Looks(portal, control)), control

    def _looked_at(self, plan: Plan, looks: Looks) -> Plan:
        """Look at every id that the list lacks: nobody is called absent because of a list.

        After the caps, which bound how many there are.
        """
        if plan.refusal:
            return plan
        refused: dict[str, str] = {}
        patience = Patience(_SECONDS_FOR_LOOKS)
        user_ids = ids_to_look_at(plan.entries)
        for number, user_id in enumerate(user_ids):
            if patience.is_over:
                return replace(
                    plan,
                    refusal=f"The portal's list lacks {len(user_ids)} of the ids that were asked"
                    f" for, and looking at {number} of them took {_SECONDS_FOR_LOOKS} s. Nobody was"
                    " deleted. Send the list in parts.",
                )
            seen = looks.at(user_id)
            match seen.verdict:
                case Verdict.GONE:
                    pass
                case Verdict.OK:
                    return replace(
                        plan,
                        refusal="The portal's list of users is not whole: it lacks user"
                        f" {user_id}, and a look shows that this user is there. Nobody was deleted."
                        " Check what stands between the portal and this stack, and that the user in"
                        " the credentials secret may list everybody.",
                    )
                case _ if seen.is_this_users and looks.api_user_answers():
                    refused[user_id] = seen.describe()
                case verdict:
                    looks.portal.raise_for(verdict, seen.answer, f"looked at user {user_id}")
        return replace(plan, entries=with_looks(plan.entries, refused))

    def _plan_again(
        self, request: Request, sealed: SealedPlan, limits: Limits
    ) -> tuple[Plan, Control]:
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
        self._check_portal(plan)
        hours = self.settings.plan_max_age_hours
        if self._now() - plan.created_at > hours * 3600:
            raise RequestRefused(
                f"The plan of run {sealed.run_id} was made at {iso(plan.created_at)}, and plans may"
                f" be applied for {hours} hours. Start a new preview, and apply that one."
            )
        portal = self.connect()
        users = Directory(portal.users()).users
        control = control_looks(portal, users)
        self._remember(request, users)
        again = self._new_plan(
            request,
            strictest(plan.limits, limits),
            plan.entries,
            portal=portal,
            distinct=plan.distinct,
            portal_users=len(users),
            source_version=plan.source_version,
        )
        again = replace(again, source=plan.source, applies=digest)
        return self._limited(again, request), control

    def _resume(self, request: Request, resumed: Resume) -> Planned:
        """Take a run over from its ended execution, with those of its users that are open.

        What may fail comes first: once the run is taken over, it is this execution's to report.
        """
        run_id = self.ledger.run_of(resumed.run_id)
        if instead := self._instead_of_turn(run_id, request):
            return instead
        run = self.ledger.run(run_id)
        sealed = self.bucket.read_sealed(run_id)
        if run is None or run.mode is not Mode.APPLY or not run.plan_sha256 or sealed is None:
            raise RequestRefused(f"Run {run_id} has no plan that was applied: nothing to resume.")
        plan, digest = sealed
        if digest != run.plan_sha256:
            raise RequestRefused(
                f"The plan of run {run_id} is not the one that was made: somebody edited it. Find"
                " out who did, then start a new run."
            )
        self._check_portal(plan)
        self._may_apply(is_sealed=bool(plan.applies))
        started_at = self.executions.started_at(self.execution_arn) or self.clock()
        if run.stop and run.stopped_at >= started_at and run.execution_arn != self.execution_arn:
            raise RequestRefused(
                f"The stop button of run {run_id} was pressed while this execution was about to"
                f" resume it. Its stop: {run.stop.by}: {run.stop.reason.rstrip('.')}. Nobody was"
                " deleted. Resume it again when that is settled."
            )
        rows = {row.user_id: row for row in self.ledger.users(run_id)}
        # Whom the portal refused comes last: nobody else waits behind their trouble.
        still_open = sorted(
            (
                user.user_id
                for user in plan.users
                if not ((row := rows.get(user.user_id)) and row.is_final)
            ),
            key=lambda user_id: bool((row := rows.get(user_id)) and row.outcome is Outcome.FAILED),
        )
        if not still_open:
            raise RequestRefused(f"Run {run_id} left nobody open: see its report.")
        if run.execution_arn != self.execution_arn:
            limits = strictest(plan.limits, stricter(self.settings.limits, request.options))
            self.bucket.read_protected(self.settings.protected_list)
            portal = self.connect()
            users = Directory(portal.users()).users
            check_size(
                distinct=len(still_open),
                portal_users=len(users),
                last_day=self.ledger.count_intents(since=self._now() - 24 * 3600),
                limits=limits,
            )
            if run.is_open and self.executions.status(run.execution_arn) in Executions.ALIVE:
                raise RequestRefused(f"Run {run_id} is going on. To end it, press its stop button.")
            control = control_looks(portal, users)
            self.bucket.write_users(users_before_key(run_id, run.round_number + 1), users)
            self.bucket.write_open_users(run_id, run.round_number + 1, still_open)
            self.ledger.resume_run(
                run,
                name=self.run_id,
                execution_arn=self.execution_arn,
                limits=limits,
                control=control,
                started_at=started_at,
                now=self._now(),
            )
        for user_id in still_open:
            if (row := rows.get(user_id)) and row.state is UserState.DONE:
                self.ledger.reopen_user(run_id, row)
        return Planned(run_id, request.mode.value, len(still_open))

    def _check_portal(self, plan: Plan) -> None:
        if plan.portal_url != self.settings.portal_url:
            raise RequestRefused(
                f"The plan of run {plan.run_id} was made for {plan.portal_url}, and PortalUrl is"
                f" {self.settings.portal_url} now. Nobody was deleted. Start a new preview."
            )

    def _remember(self, request: Request, users: Iterable[PortalUser]) -> None:
        """Keep the portal's users as they were before a run that deletes some of them."""
        if request.mode is Mode.APPLY:
            self.bucket.write_users(users_before_key(self.run_id), users)

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
        portal: Portal,
        distinct: int,
        portal_users: int,
        source_version: str,
        hints: Iterable[str] = (),
    ) -> Plan:
        users = sum(entry.outcome is Outcome.WOULD_DELETE for entry in entries)
        seconds_per_delete = self.ledger.pace().seconds_per_delete or SECONDS_PER_DELETE
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
            mode=request.mode,
            created_at=self._now(),
            portal_url=self.settings.portal_url,
            source=request.source.describe(),
            source_version=source_version,
            reason=request.reason,
            requested_by=request.requested_by,
            limits=limits,
            portal_users=portal_users,
            distinct=distinct,
            last_day=self.ledger.count_intents(since=self._now() - 24 * 3600),
            estimate=estimated,
            entries=entries,
            warnings=(*hints, *warnings_of(entries), *filter(None, [tokens])),
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
            if plan.applies:
                # Last, so that what else is refused leaves the plan to be applied; and before it is
                # sealed, so that a run that came too late has nothing to be resumed.
                self._use_up(plan.applies)
        except RequestRefused as error:
            return replace(plan, refusal=str(error))
        return plan

    def _read_at_hand(self, source: Source) -> Reading | None:
        if source.users is not None:
            return Reading(entries_from_list(source.users))
        if source.s3 is not None:
            return read_file(self.bucket.read(source.s3, limit=LARGEST_FILE))
        return None

    def _deleted_before(self, entries: list[Entry], directory: Directory) -> set[str]:
        """Return whom the ledger has on record as deleted; an id that is there needs none."""
        return self.ledger.deleted_before(
            {
                key
                for entry in entries
                if not (names_by_id(entry) and directory.lists(fold(entry.user_id or entry.bare)))
                for key in identity_keys(entry)
            }
        )

    def _now(self) -> int:
        return int(self.clock())

"""Routes each request to the code that carries it out. Nothing is decided or touched here."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import OrderRefused, RequestRefused
from bulk_user_deletion.executions import Executions
from bulk_user_deletion.guard_dataset import GuardDataset
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.requests import (
    AcceptGuardOrder,
    Check,
    CheckOrder,
    CloseOrder,
    EndQuietOrder,
    Request,
    Resume,
    StopOrder,
    WithdrawOrder,
)
from bulk_user_deletion.models.routes import Nothing, Planned, Route, Wait
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.request import asker_of, read_request
from bulk_user_deletion.rules.drops import nothing_in
from bulk_user_deletion.settings import Settings
from bulk_user_deletion.steps.orders import (
    carry_out_stop,
    carry_out_withdrawal,
    check_portal,
    end_quiet,
    take_over_ended,
)
from bulk_user_deletion.steps.resume_run import Resumed, ResumeRun
from bulk_user_deletion.steps.start_run import StartRun
from bulk_user_deletion.steps.turn import Turn
from bulk_user_deletion.steps.watch_population import WatchPopulation


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

    def perform(self) -> Planned:
        """Route the request to the code that carries it out; return where the execution goes next.

        Raises:
            RequestRefused: no user will be deleted; the message says why and what to do.
            OrderRefused: there is nothing for the order to do.
            TokenRejected: renew the token, then call again.
            PortalBusy: other runs were still deleting when this run's waiting time ended.
            RunClosed: the execution's name was used before.
            PortalUnavailable, StoreUnavailable: call again.
        """
        try:
            request = read_request(self.event, file_drop_mode=self.settings.file_drop_mode)
        except RequestRefused:
            self._remember(*asker_of(self.event))
            raise
        match request:
            case None:
                return self._nothing(nothing_in(str(self.event["detail"]["object"]["key"])))
            case StopOrder() | WithdrawOrder() | EndQuietOrder() | AcceptGuardOrder():
                try:
                    return self._nothing(self._obey(request))
                except RequestRefused as error:
                    raise OrderRefused(str(error)) from None
            case CheckOrder():
                return self._nothing(self._check(request))
            case CloseOrder():
                return self._close(request)
            case Request():
                self._remember(request.requested_by, request.reason)
                return self._carry_out(request)

    def _obey(self, order: StopOrder | WithdrawOrder | EndQuietOrder | AcceptGuardOrder) -> str:
        """Carry out an order; return what was done."""
        match order:
            case StopOrder():
                return carry_out_stop(
                    order,
                    execution_arn=self.execution_arn,
                    ledger=self.ledger,
                    bucket=self.bucket,
                    executions=self.executions,
                    now=self.clock(),
                )
            case WithdrawOrder():
                return carry_out_withdrawal(
                    order,
                    portal_url=self.settings.portal_url,
                    ledger=self.ledger,
                    now=self.clock(),
                )
            case EndQuietOrder():
                return end_quiet(ledger=self.ledger, now=self.clock())
            case AcceptGuardOrder(users, reason, by):
                return self._guard.accept_count(users, by=by, reason=reason)

    def _remember(self, by: str, reason: str) -> None:
        """Record who asked and why, so that a refusal is reported with it."""
        if by or reason:
            self.ledger.runs.record_request(
                self.run_id, by=by, reason=reason, now=int(self.clock())
            )

    def _check(self, order: CheckOrder) -> str:
        if order.fingerprint:
            first = self.ledger.triggers.claim_event(
                order.fingerprint, self.run_id, now=int(self.clock())
            )
            if first != self.run_id:
                return f"The same event started check {first} before."
        match order.what:
            case Check.PORTAL:
                return check_portal(
                    self.connect(),
                    guard=self._guard,
                    bucket=self.bucket,
                    run_id=self.run_id,
                    protected_list=self.settings.protected_list,
                    now=self.clock(),
                )
            case Check.POPULATION:
                return WatchPopulation(
                    self.run_id,
                    settings=self.settings,
                    ledger=self.ledger,
                    bucket=self.bucket,
                    connect=self.connect,
                    clock=self.clock,
                ).perform()

    @property
    def _guard(self) -> GuardDataset:
        return GuardDataset(self.settings, self.ledger, self.clock)

    def _close(self, order: CloseOrder) -> Planned:
        match take_over_ended(
            order,
            execution_arn=self.execution_arn,
            ledger=self.ledger,
            executions=self.executions,
            now=int(self.clock()),
        ):
            case RunRow(run_id):
                return Planned(run_id, Route.CLOSE)
            case Nothing(because):
                return self._nothing(because)

    def _carry_out(self, request: Request) -> Planned:
        turn = Turn(
            self.run_id,
            self.execution_arn,
            settings=self.settings,
            ledger=self.ledger,
            bucket=self.bucket,
            executions=self.executions,
            clock=self.clock,
        )
        match self._done(request, turn):
            case Wait(seconds):
                return Planned(self.run_id, Route.WAIT, wait_seconds=seconds)
            case Nothing(because):
                return self._nothing(because)
            case Resumed(run_id, users):
                return Planned(run_id, Route.APPLY, users)
            case Plan() as plan:
                return Planned(self.run_id, Route(plan.mode), len(plan.users))

    def _done(self, request: Request, turn: Turn) -> Plan | Resumed | Wait | Nothing:
        if isinstance(request.source, Resume):
            return ResumeRun(
                request,
                request.source,
                run_id=self.run_id,
                execution_arn=self.execution_arn,
                settings=self.settings,
                ledger=self.ledger,
                bucket=self.bucket,
                executions=self.executions,
                connect=self.connect,
                turn=turn,
                clock=self.clock,
            ).resume()
        return StartRun(
            request,
            request.source,
            run_id=self.run_id,
            execution_arn=self.execution_arn,
            settings=self.settings,
            ledger=self.ledger,
            bucket=self.bucket,
            connect=self.connect,
            turn=turn,
            clock=self.clock,
        ).start()

    def _nothing(self, because: str) -> Planned:
        return Planned(self.run_id, Route.NOTHING, nothing_because=because)

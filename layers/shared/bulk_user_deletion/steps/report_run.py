"""Ends a run: takes the last look, writes the report, notifies people, releases the lock."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from bulk_user_deletion.bucket import OLD_VERSION_DAYS, Bucket
from bulk_user_deletion.bucket_keys import file_name, files_before_report, report_key
from bulk_user_deletion.errors import (
    OrderRefused,
    PortalBusy,
    RequestRefused,
    RunClosed,
    StoreUnavailable,
    sentence_of,
)
from bulk_user_deletion.executions import Executions
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.mails import mail
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.costs import Cost, Event
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.reports import Report, Summary
from bulk_user_deletion.models.runs import Mode, RoundEnd, RunRow, RunStatus, Stop, Stopper
from bulk_user_deletion.models.users import Outcome, UserRow
from bulk_user_deletion.observability import Metric, count
from bulk_user_deletion.portal import Portal
from bulk_user_deletion.report_page import answer_page, report_page
from bulk_user_deletion.reports import report_csv, report_json, summary
from bulk_user_deletion.rules.costs import of_run
from bulk_user_deletion.rules.deletion import leases_left
from bulk_user_deletion.rules.guard import hand_over
from bulk_user_deletion.rules.links import object_link, portal_host, stack_of
from bulk_user_deletion.rules.milestones import asked, milestones, stops_of_round
from bulk_user_deletion.rules.reporting import (
    access_warnings,
    count_outcomes,
    ending,
    first_the_urgent,
    held_warning,
    iso,
    report_row,
    rest_of,
    run_status,
)
from bulk_user_deletion.rules.rosters import is_replaced
from bulk_user_deletion.rules.text import counted, some
from bulk_user_deletion.steps.last_look import LastLook
from bulk_user_deletion.topic import Topic

# Errors that end a run before its first DELETE because someone has to decide something.
_REFUSALS = {error.__name__ for error in (RequestRefused, OrderRefused, PortalBusy, RunClosed)}


@dataclass(frozen=True, slots=True)
class Reported:
    """A run that was reported: its summary, and the name and message of its end state."""

    summary: Summary
    succeeded: bool
    list_doubted: bool
    error: str
    cause: str

    def as_json(self) -> dict[str, Any]:
        """Return what the state machine receives."""
        return {
            **asdict(self.summary),
            "succeeded": self.succeeded,
            "wait_seconds": 0,
            "list_doubted": self.list_doubted,
            "error": self.error,
            "cause": self.cause,
        }


@dataclass(frozen=True, slots=True)
class NotYet:
    """Nothing was reported yet: call again after `wait_seconds`, with this `list_doubted`."""

    run_id: str
    wait_seconds: int
    list_doubted: bool

    def as_json(self) -> dict[str, Any]:
        """Return what the state machine receives, with every field that it selects."""
        nothing = dict.fromkeys(("status", "sentence", "counts", "report", "error", "cause"))
        return {
            **nothing,
            "run_id": self.run_id,
            "succeeded": False,
            "wait_seconds": self.wait_seconds,
            "list_doubted": self.list_doubted,
        }


@dataclass(frozen=True, slots=True)
class ReportRun:
    """One invocation. `failure` is the Error and Cause that ended the run early, if one did.

    Without `look` the portal is not asked again, because no token can be had. `list_doubted` says
    that the previous invocation found a list that contradicts a look, a minute ago.
    """

    run_id: str
    execution_arn: str
    failure: Mapping[str, str] | None
    look: bool
    portal_url: str
    ledger: Ledger
    bucket: Bucket
    topic: Topic
    executions: Executions
    connect: Callable[[], Portal]
    list_doubted: bool = False
    clock: Callable[[], float] = time.time

    def perform(self) -> Reported | NotYet:
        """Write the report and notify people, unless a user's DELETE may still be in progress.

        Raises:
            TokenRejected: renew the token, then call again.
            RunClosed: another execution has taken the run in the meantime, and will report it.
            StoreUnavailable: call again.
        """
        run = self._run()
        run_id = run.run_id if run else self.run_id
        if run_id != self.run_id:
            return replace(self, run_id=run_id).perform()
        if run and run.execution_arn != self.execution_arn:
            # The name was used before: that run's plan, report and lock are not ours.
            report = self._report(None, None, "", {})
        else:
            plan, digest = self._plan(run)
            rows = {row.user_id: row for row in self.ledger.users.read_all(self.run_id)}
            if wait := leases_left(rows.values(), now=int(self.clock())):
                return NotYet(self.run_id, wait, list_doubted=self.list_doubted)
            losses = None
            warnings = []
            if plan and _is_edited(run, digest):
                warnings.append(_edit_warning(plan, rows))
            if plan and run and run.mode is Mode.APPLY and run.plan_sha256:
                last = self._last_look(run, plan, rows)
                if last.wait_seconds:
                    return NotYet(self.run_id, last.wait_seconds, list_doubted=True)
                plan, rows, losses = last.plan, last.rows, last.losses
                warnings += _loss_warnings(last)
            if run and (held := self._held()):
                count(Metric.LEAVERS_HELD, len(held))
                warnings.append(held_warning(held))
            report = self._report(run, plan, digest, rows, losses, warnings)
        said = summary(report, report_address=self._address("json"))
        if not run or run.execution_arn == self.execution_arn:
            if run and run.dropped_key:
                report = self._answered(report, said, run.dropped_key)
            digest = self._publish(report)
            if run:
                end = RoundEnd(int(self.clock()), report.status, report.counts, self._stop(run))
                self.ledger.runs.end_round(run, self.execution_arn, end, report_sha256=digest)
        self.ledger.portal.release_locks(self.execution_arn)
        return Reported(
            said,
            succeeded=report.status.is_success,
            list_doubted=self.list_doubted,
            error=self._error_name(report.status),
            cause=f"{report.sentence} Report: {said.report}",
        )

    def _run(self) -> RunRow | None:
        """Return the run to report; one that this execution was to resume, and cannot, is stopped.

        Such a run was reported as paused, but it no longer resumes automatically.
        """
        run = self.ledger.runs.read(self.run_id)
        if run or not self.failure:
            return run
        paused = self.ledger.runs.read(self.ledger.runs.id_of(self.run_id))
        if paused is None or paused.execution_arn == self.execution_arn:
            return paused  # taken over by an earlier attempt of this step
        if paused.pause is None or paused.pause.resumed_by != self.run_id:
            return None
        stop = Stop(sentence_of(self.failure), "ChangeWindows", int(self.clock()), Stopper.RUN)
        self.ledger.runs.take_over_stopped(paused, execution_arn=self.execution_arn, stop=stop)
        return self.ledger.runs.read(paused.run_id)

    def _held(self) -> list[str]:
        """Return the ids of the leavers whom this run has left for a person to decide."""
        return [
            leaver.user_id
            for leaver in self.ledger.leavers.read_all(self.portal_url)
            if leaver.state is LeaverState.HELD and leaver.changed_by == self.run_id
        ]

    def _plan(self, run: RunRow | None) -> tuple[Plan | None, str]:
        """Return the run's plan and its hash; a plan that was not sealed only if it was refused."""
        plan, digest = (self.bucket.read_sealed(self.run_id) if run else None) or (None, "")
        return (plan, digest) if run and plan and (run.plan_sha256 or plan.refusal) else (None, "")

    def _last_look(self, run: RunRow, plan: Plan, rows: Mapping[str, UserRow]) -> "LastLook":
        return LastLook(
            run,
            plan,
            dict(rows),
            ledger=self.ledger,
            bucket=self.bucket,
            list_doubted=self.list_doubted,
            clock=self.clock,
        ).taken_with(self.connect if self.look else None)

    def _report(
        self,
        run: RunRow | None,
        plan: Plan | None,
        digest: str,
        rows: Mapping[str, UserRow],
        losses: list[str] | None = None,
        warnings: Sequence[str] = (),
    ) -> Report:
        mode = run.mode if run else None
        action = plan.action if plan else run.action if run else Action.DELETE
        why = self._why(run)
        report_rows = [
            report_row(
                entry,
                rows.get(entry.user.user_id) if entry.user else None,
                mode=mode or Mode.PREVIEW,
                not_attempted=why,
            )
            for entry in (plan.entries if plan else ())
        ]
        counts = count_outcomes(report_rows)
        status = run_status(
            counts,
            action=action,
            mode=mode,
            refused=self._is_refused and not (run and run.plan_sha256 and run.stop),
            failed=bool(self.failure) or plan is None or _is_edited(run, digest),
            stopped=bool(self._stop(run)),
            paused=bool(run and run.pause),
        )
        resumes_at = (
            iso(run.pause.opens_at) if run and run.pause and status is RunStatus.PAUSED else ""
        )
        now = self.clock()
        rounds = self.ledger.runs.rounds(self.run_id)
        stops = self.ledger.runs.stops(self.run_id) if run else []
        end = RoundEnd(int(now), status, counts, self._stop(run))
        rest = rest_of(
            report_rows,
            stoppers=stops_of_round(run, rounds, stops) if run and end.stop else (),
            is_withdrawn=bool(run and run.withdrawal),
            is_edited=_is_edited(run, digest),
            is_replaced=self._is_replaced(plan),
        )
        ended = ending(
            status,
            counts,
            action=action,
            why=why,
            rest=rest,
            is_preview=mode is Mode.PREVIEW,
            resumes_at=resumes_at,
        )
        requested_by, reason = asked(plan, rounds)
        return Report(
            run_id=self.run_id,
            execution_arn=self.execution_arn,
            status=status,
            sentence=why if self._is_order else str(ended),
            headline=why if self._is_order else ended.how,
            rest=rest,
            portal=portal_host(plan.portal_url if plan else self.portal_url),
            stack=stack_of(self.execution_arn),
            mode=mode or "",
            action=action,
            grace_days=plan.grace_days if plan else 0,
            trigger=run.trigger if run else "",
            source=run.source if run else "",
            reason=reason,
            requested_by=requested_by,
            started_at=iso(run.started_at if run else now),
            ended_at=iso(now),
            requested=len(report_rows),
            counts=counts,
            renewals=run.renewals if run else 0,
            renewed_at=[iso(at) for at in (self.ledger.runs.renewals(self.run_id) if plan else ())],
            refused_at=[iso(at) for row in rows.values() for at in row.refused_at],
            resumes_at=resumes_at,
            portal_users=plan.portal_users if plan else 0,
            plan_sha256=digest,
            files=self._files(run) if plan else {},
            estimate=plan.estimate if plan else None,
            cost=self._cost(run, rows),
            unexplained_losses=losses,
            guarded=hand_over(report_rows),
            warnings=[
                *access_warnings(report_rows),
                *(plan.warnings if plan else ()),
                *filter(None, warnings),
            ],
            milestones=milestones(run, plan, rounds, stops, end=end),
            rows=first_the_urgent(report_rows),
        )

    @property
    def _is_refused(self) -> bool:
        return bool(self.failure and self.failure.get("Error") in _REFUSALS)

    @property
    def _is_order(self) -> bool:
        """Whether this is about an order: it says everything itself, and has nobody to delete."""
        return bool(self.failure and self.failure.get("Error") == OrderRefused.__name__)

    def _stop(self, run: RunRow | None) -> Stop | None:
        """Return the stop that holds a run: none holds a preview."""
        return run.stop if run and run.mode is Mode.APPLY else None

    def _is_replaced(self, plan: Plan | None) -> bool:
        """Return whether a newer roster was accepted than the one that a plan comes from."""
        if plan is None or not plan.roster_run or plan.mode is not Mode.APPLY:
            return False
        return is_replaced(plan.roster_run, self.ledger.rosters.newest(self.portal_url))

    def _files(self, run: RunRow | None) -> dict[str, str]:
        """Return the sha256 of each file that the report is based on, by name."""
        keys = files_before_report(self.run_id, run.round_number if run else 1)
        found = {file_name(key): self.bucket.digest(key) for key in keys}
        return {name: digest for name, digest in found.items() if digest}

    def _cost(self, run: RunRow | None, rows: Mapping[str, UserRow]) -> Cost:
        """Return what the run has taken so far, in all its executions."""
        prefix = self.execution_arn.rpartition(":")[0]
        earlier = [f"{prefix}:{name}" for name in (run.earlier if run else ())]
        return of_run(
            [row.spent for row in rows.values()],
            [self._history(arn) for arn in (*earlier, self.execution_arn)],
            renewals=run.renewals if run else 0,
            now=self.clock(),
        )

    def _history(self, execution_arn: str) -> list[Event] | None:
        """Return an execution's history; a report is not kept waiting for its own cost."""
        try:
            return self.executions.history(execution_arn)
        except StoreUnavailable:
            return None

    def _why(self, run: RunRow | None) -> str:
        """Return why users were not attempted, or an empty string if nothing prevented it."""
        if self.failure and self._is_refused:
            return sentence_of(self.failure)
        if stop := self._stop(run):
            return f"Stopped by {stop.by}: {stop.reason.rstrip('.')}."
        if self.failure:
            return sentence_of(self.failure)
        if run and run.pause:
            return "The change window ended before this user was started."
        if run and run.mode is Mode.APPLY:
            return "The function for this user ended before it started: its log says more."
        return ""

    def _answered(self, report: Report, said: Summary, dropped_key: str) -> Report:
        """Write the answer to a drop; if that fails, the report says so."""
        try:
            self.bucket.write_answer(dropped_key, asdict(said), answer_page(report))
        except StoreUnavailable as error:
            warning = f"The answer to the dropped file could not be written: {error}"
            return replace(report, warnings=[*report.warnings, warning])
        return report

    def _publish(self, report: Report) -> str:
        """Write the report and notify people; return the sha256 of report.json."""
        written = {
            file_name(key): self.bucket.write_text(key, text, content_type)
            for key, text, content_type in (
                (report_key(self.run_id, "csv"), report_csv(report), "text/csv"),
                (report_key(self.run_id, "html"), report_page(report), "text/html"),
            )
        }
        # Last: when it exists the others exist too, and it has their hashes.
        whole = replace(report, files={**report.files, **written})
        digest = self.bucket.write_json(report_key(self.run_id, "json"), report_json(whole))
        link = object_link(
            self.bucket.name, report_key(self.run_id, "html"), execution_arn=self.execution_arn
        )
        self.topic.publish(*mail(report, report_link=link))
        _measure(report)
        return digest

    def _address(self, suffix: str) -> str:
        return f"s3://{self.bucket.name}/{report_key(self.run_id, suffix)}"

    def _error_name(self, status: RunStatus) -> str:
        """Return the error name of the Fail state."""
        match status:
            case RunStatus.STOPPED:
                return "RunStopped"
            case RunStatus.INCOMPLETE:
                return "UsersLeftOpen"
            case RunStatus.PAUSED:
                return "RunPaused"
            case _ if self.failure:
                return self.failure.get("Error", "")
            case _:
                return ""


def _is_edited(run: RunRow | None, digest: str) -> bool:
    """Return whether the stored plan is not the one that was sealed."""
    return bool(run and run.plan_sha256 not in {"", digest})


def _edit_warning(plan: Plan, rows: Mapping[str, UserRow]) -> str:
    planned = {user.user_id for user in plan.users}
    started = ", ".join(
        f"{row.user_id} {row.outcome or row.state}"
        for row in rows.values()
        if row.user_id not in planned
    )
    return (
        "The plan of this run is not the one that was made: somebody edited it, and this report may"
        f" lack entries. Started, and not in it: {started or 'nobody'}. Find"
        f" out who did; the bucket keeps the version that was made for {OLD_VERSION_DAYS} days."
    )


def _measure(report: Report) -> None:
    """Publish the metrics that alarms watch. A resumed run is counted again as a whole.

    A paused run has not ended, so it is neither a success nor a failure.
    """
    if report.status is RunStatus.PAUSED:
        return
    if report.status.is_success:
        count(Metric.RUNS_SUCCEEDED)
    else:
        refused = report.status is RunStatus.REFUSED
        count(Metric.RUNS_REFUSED if refused else Metric.RUNS_FAILED)
    if report.mode == Mode.APPLY:
        for outcome, number in report.counts.items():
            count(Metric[f"USERS_{Outcome(outcome).name}"], number)
    if report.unexplained_losses is not None:
        count(Metric.UNEXPLAINED_LOSSES, len(report.unexplained_losses))


def _loss_warnings(last: LastLook) -> Iterator[str]:
    others = "others" if not last.losses else "users other than those named below"
    if not last.compared:
        yield (
            f"The portal did not answer the last look: this report cannot say whether {others} left"
            " it during this run."
        )
    if last.list_is_short:
        yield (
            "The portal's last list of users is incomplete: it lacks users whom a look shows. This"
            f" report cannot say whether {others} left the portal during this run. Check whatever"
            " is between the portal and this stack."
        )
    if not last.losses:
        return
    yield (
        f"{counted(len(last.losses), 'user')} left the portal during this run that it did not"
        f" delete: {some(last.losses)}. Find out who did; users-before.json next to this report"
        " says who they were."
    )

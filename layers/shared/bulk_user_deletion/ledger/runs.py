"""Runs in the ledger: who owns them, whether they are open, and how they are carried out."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from bulk_user_deletion.errors import RunClosed
from bulk_user_deletion.ledger import rows
from bulk_user_deletion.ledger.table import EXISTS, IS_NEW, Condition, Table, Write, put, update
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.requests import Request
from bulk_user_deletion.models.runs import (
    Control,
    Limits,
    Pause,
    Round,
    RoundEnd,
    RunRow,
    RunStatus,
    Stop,
    Stopper,
)

_IS_CLOSED = Condition("is_open = :no", no=False)
_WAITS_FOR_THE_FIRST_TIME = EXISTS & Condition("attribute_not_exists(waited_for_content)")


def _is_held_by(execution_arn: str) -> Condition:
    return Condition("execution_arn = :held", held=execution_arn)


def _not_stopped_since(started_at: float) -> Condition:
    return Condition(
        "attribute_not_exists(stopped_at_ms) OR stopped_at_ms < :started",
        started=_milliseconds(started_at),
    )


class Runs:
    """The row of each run, and the condition that the writing execution still owns it."""

    def __init__(self, table: Table) -> None:
        self._table = table

    def open(self, run_id: str, *, execution_arn: str, request: Request, now: int) -> bool:
        """Open a run for an execution; return False if the same execution has opened it before.

        Raises:
            RunClosed: another execution had a run of this name, or this run was closed.
        """
        row = {
            "execution_arn": execution_arn,
            "is_open": True,
            "mode": request.mode.value,
            "trigger": request.trigger,
            "source": request.source.describe(),
            "dropped_key": request.dropped_key,
            "started_at": now,
            "round_number": 1,
            "renewals": 0,
            **self._table.expiry(now),
        }
        if self._table.write("Opening the run", put(rows.run_key(run_id), row, IS_NEW)):
            return True
        self.read_open(run_id, execution_arn)
        return False

    def record_request(self, name: str, *, by: str, reason: str, now: int) -> None:
        """Record who asked for the execution `name`, and why: a refusal is reported with it."""
        self._table.write(
            "Recording the request",
            update(
                rows.round_key(name, 1),
                {"by": by, "reason": reason, "execution": name, **self._table.expiry(now)},
                once={"at": now},
            ),
        )

    def rounds(self, run_id: str) -> list[Round]:
        """Return what is known about a run's rounds, in order."""
        found = self._table.query(
            "Reading the run's rounds", rows.run_partition(run_id), prefix=rows.ROUND
        )
        return [rows.round_of(item) for item in found]

    def stops(self, run_id: str) -> list[Stop]:
        """Return every press of a run's stop button, in order."""
        found = self._table.query(
            "Reading the run's stops", rows.run_partition(run_id), prefix=rows.PRESSED
        )
        return [rows.pressed_of(item) for item in found]

    def seal_plan(
        self,
        run_id: str,
        *,
        execution_arn: str,
        plan: Plan,
        plan_sha256: str,
        control: Control,
    ) -> None:
        """Record the hash of a run's plan, how it is carried out, and its control looks.

        Raises:
            RunClosed: the run is not open for this execution.
        """
        sealed = {
            "plan_sha256": plan_sha256,
            "action": plan.action,
            "grace_days": plan.grace_days,
            "is_from_preview": bool(plan.applies),
            "roster_run": plan.roster_run,
            **_round(plan.limits, control),
        }
        self._write_held(run_id, execution_arn, **sealed)

    def resume(
        self,
        run: RunRow,
        *,
        name: str,
        execution_arn: str,
        request: Request,
        limits: Limits,
        control: Control,
        started_at: float,
        now: int,
    ) -> None:
        """Hand a run over to the execution `name`, which resumes it: open, and not stopped.

        The round says who asked for it and why; the stop that this removes stays in `stops`.
        `started_at` is when that execution started: a stop pressed since then still applies.

        Raises:
            RunClosed: another execution has taken it, or it was stopped, in the meantime.
        """
        # First, so that the run can be found by this execution's name, whenever the execution ends.
        self._table.write(
            "Resuming the run",
            put(rows.resumes_key(name), {"run_id": run.run_id, **self._table.expiry(now)}),
        )
        resumed = update(
            rows.run_key(run.run_id),
            {"execution_arn": execution_arn, "is_open": True, **_round(limits, control)},
            _is_held_by(run.execution_arn) & _not_stopped_since(started_at),
            add={"round_number": 1},
            append={"earlier": [execution_name(run.execution_arn)]},
            remove=("stop_flag", "stopped_at_ms", "checked_batch", "pause", "report_sha256"),
        )
        # In a row of its own, like the renewals: every intent pays for the size of the run's row.
        started = {
            "by": request.requested_by,
            "reason": request.reason,
            "execution": name,
            "at": now,
            **self._table.expiry(now),
        }
        key = rows.round_key(run.run_id, run.round_number + 1)
        if not self._table.transact("Resuming the run", [resumed], [put(key, started)]):
            raise _closed(run.run_id)

    def take_over_stopped(self, run: RunRow, *, execution_arn: str, stop: Stop) -> None:
        """Hand an open run over to the execution that closes it, and set the stop flag.

        Raises:
            RunClosed: another execution has taken it in the meantime.
        """
        self._must_hold(
            run.run_id,
            update(
                rows.run_key(run.run_id),
                {"execution_arn": execution_arn},
                _is_held_by(run.execution_arn),
                once={"stop_flag": asdict(stop)},
                append={}
                if run.execution_arn == execution_arn
                else {"earlier": [execution_name(run.execution_arn)]},
            ),
        )
        self._record_press(run.run_id, stop)

    def pause(self, run_id: str, pause: Pause, *, execution_arn: str, now: int) -> bool:
        """Record that a run starts no further users until it is resumed; the first pause is kept.

        From now on the run is found by the name of the execution that is to resume it. Returns
        False if the run is not open for this execution.
        """
        resumes = {"run_id": run_id, **self._table.expiry(now)}
        self._write(update(rows.resumes_key(pause.resumed_by), resumes))
        held_open = Condition("is_open = :yes", yes=True) & _is_held_by(execution_arn)
        return self._write(
            update(rows.run_key(run_id), condition=held_open, once={"pause": asdict(pause)})
        )

    def id_of(self, name: str) -> str:
        """Return the run that an execution of this name carries out: its own, or one that it
        resumed or is to resume.
        """
        key = rows.resumes_key(name)
        return str(self._table.get_many([key]).get(key, {}).get("run_id", name))

    def read(self, run_id: str) -> RunRow | None:
        """Return a run's row, with the stop flag that applies to it and the portal's pace."""
        return rows.run_of(run_id, self._table.get_many(rows.run_keys(run_id)))

    def read_open(self, run_id: str, execution_arn: str) -> RunRow:
        """Return the run that an execution holds open.

        Raises:
            RunClosed: it has ended, or belongs to another execution.
        """
        return held(self.read(run_id), run_id, execution_arn)

    def press_stop(
        self,
        run_id: str,
        *,
        reason: str,
        by: str,
        now: float,
        stopper: Stopper = Stopper.PERSON,
    ) -> bool:
        """Set the stop flag: no further user is started.

        The first reason is kept while the run is open, and every press in a row of its own. Returns
        False if there is no such run.
        """
        stop = Stop(reason, by, int(now), stopper)
        flag = {"stop_flag": asdict(stop)}
        at = {"stopped_at_ms": _milliseconds(now)}
        key = rows.run_key(run_id)
        # The stop of a closed run is an old one, and is replaced.
        is_pressed = self._write(update(key, {**flag, **at}, _IS_CLOSED)) or self._write(
            update(key, at, EXISTS, once=flag)
        )
        if is_pressed:
            self._record_press(run_id, stop)
        return is_pressed

    def withdraw(self, run_id: str, *, reason: str, by: str, now: float) -> bool:
        """Record that nobody whom this run disables is to be deleted later.

        Returns False if there is no such run.
        """
        flag = asdict(Stop(reason, by, int(now)))
        return self._write(update(rows.run_key(run_id), {"withdrawal": flag}, EXISTS))

    def lift_stop(self, run_id: str) -> bool:
        """Clear the stop flag, also for an execution that is waiting to resume the run.

        Returns False if it is not set.
        """
        flags = ("stop_flag", "stopped_at_ms")
        lifted = update(rows.run_key(run_id), condition=rows.IS_STOPPED, remove=flags)
        return self._table.write("Lifting the stop", lifted)

    def count_renewal(self, run_id: str, *, now: int) -> None:
        """Record that the token was renewed during this run."""
        counted = update(rows.run_key(run_id), condition=EXISTS, add={"renewals": 1})
        if not self._write(counted):
            return  # a request that was refused has no row
        # In a separate row: every intent pays for the size of the run's row.
        self._table.write(
            "Noting the renewal of the token",
            update(rows.renewal_key(run_id, now), self._table.expiry(now)),
        )

    def renewals(self, run_id: str) -> list[int]:
        """Return when the token was renewed during this run."""
        found = self._table.query(
            "Reading the run's rows", rows.run_partition(run_id), prefix=rows.RENEWAL
        )
        return [int(item["sk"].removeprefix(rows.RENEWAL)) for item in found]

    def record_losses(
        self, run_id: str, execution_arn: str, *, after_batch: int, losses: Sequence[str]
    ) -> None:
        """Record that losses were checked after a batch, and all losses of the run up to then.

        Raises:
            RunClosed: the run is not open for this execution.
        """
        self._write_held(run_id, execution_arn, checked_batch=after_batch, losses=list(losses))

    def start_waiting_for_content(self, run_id: str) -> bool:
        """Record that a run waits for its drop's content; return False if it is on record."""
        waits = {"waited_for_content": True}
        return self._write(update(rows.run_key(run_id), waits, _WAITS_FOR_THE_FIRST_TIME))

    def close(self, run_id: str, execution_arn: str) -> None:
        """Close an execution's run that has nothing to report: it may start no further users.

        Raises:
            RunClosed: another execution has taken it in the meantime.
        """
        self._must_hold(run_id, self._closing(run_id, execution_arn))

    def end_round(
        self, run: RunRow, execution_arn: str, end: RoundEnd, *, report_sha256: str
    ) -> None:
        """Close an execution's run, and record how this round of it ended.

        Unless it is paused, no execution resumes it automatically. `report_sha256` seals its
        report.

        Raises:
            RunClosed: another execution has taken it in the meantime.
        """
        is_paused = end.status is RunStatus.PAUSED
        closed = self._closing(
            run.run_id, execution_arn, is_paused=is_paused, report_sha256=report_sha256
        )
        ended = {
            "status": end.status,
            "ended_at": end.at,
            "counts": dict(end.counts),
            **({"stop": asdict(end.stop)} if end.stop else {}),
            **self._table.expiry(end.at),
        }
        ended_round = update(rows.round_key(run.run_id, run.round_number), ended)
        if not self._table.transact("Closing the run", [closed], [ended_round]):
            raise _closed(run.run_id)

    def _closing(
        self,
        run_id: str,
        execution_arn: str,
        *,
        is_paused: bool = False,
        report_sha256: str = "",
    ) -> Write:
        sealed = {"report_sha256": report_sha256} if report_sha256 else {}
        return update(
            rows.run_key(run_id),
            {"is_open": False, **sealed},
            _is_held_by(execution_arn),
            remove=() if is_paused else ("pause",),
        )

    def _record_press(self, run_id: str, stop: Stop) -> None:
        pressed = {**asdict(stop), **self._table.expiry(stop.at)}
        self._table.write("Recording the stop", update(rows.pressed_key(run_id, stop), pressed))

    def _write_held(self, run_id: str, execution_arn: str, **values: Any) -> None:
        """Set attributes of a run's row while that execution owns it."""
        self._must_hold(run_id, update(rows.run_key(run_id), values, _is_held_by(execution_arn)))

    def _must_hold(self, run_id: str, write: Write) -> None:
        if not self._write(write):
            raise _closed(run_id)

    def _write(self, write: Write) -> bool:
        return self._table.write("Writing the run", write)


def execution_name(execution_arn: str) -> str:
    """Return the name of an execution."""
    return execution_arn.rpartition(":")[2]


def held(run: RunRow | None, run_id: str, execution_arn: str) -> RunRow:
    """Return the run, which must be open for an execution.

    Raises:
        RunClosed: it is not.
    """
    if run is None or not run.is_open or run.execution_arn != execution_arn:
        raise _closed(run_id)
    return run


def _closed(run_id: str) -> RunClosed:
    return RunClosed(
        f"Run {run_id} is not open for this execution: it has ended, or another execution has"
        " it. Start a new execution under a new name."
    )


def _round(limits: Limits, control: Control) -> dict[str, Any]:
    """Return the settings of a round of a run, as attributes of its row."""
    return {
        "wait_seconds": limits.wait_seconds,
        "canary_users": limits.canary_users,
        "self_ids": list(control.self_ids),
        "gone_shape": control.gone,
    }


def _milliseconds(seconds: float) -> int:
    return int(seconds * 1000)

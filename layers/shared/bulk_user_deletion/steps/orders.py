"""Orders, as opposed to runs: stop or close a run, withdraw leavers, call or check the portal."""

import json

from bulk_user_deletion.bucket import Bucket
from bulk_user_deletion.errors import RequestRefused, StoreUnavailable, UserManagementDenied
from bulk_user_deletion.executions import Executions, ExecutionStatus
from bulk_user_deletion.guard_dataset import GuardDataset
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.looks import control_looks
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import LeaverState
from bulk_user_deletion.models.portal_checks import PortalCheck
from bulk_user_deletion.models.requests import CloseOrder, StopOrder, WithdrawOrder
from bulk_user_deletion.models.routes import Nothing
from bulk_user_deletion.models.runs import Mode, RunRow, Stop, Stopper
from bulk_user_deletion.portal import Portal, user_in
from bulk_user_deletion.rules.identity import Directory
from bulk_user_deletion.rules.leavers import withdrawn
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion.steps.resume_run import open_users


def carry_out_stop(
    order: StopOrder,
    *,
    execution_arn: str,
    ledger: Ledger,
    bucket: Bucket,
    executions: Executions,
    now: float,
) -> str:
    """Press or lift the stop button; return what was done, for the execution's output.

    Raises:
        RequestRefused: there is nothing to stop, or to lift.
    """
    if not order.run_id:
        if order.lift:
            if not ledger.portal.lift_stop():
                raise RequestRefused("There is no stop to lift for every run on this portal.")
            return "The stop for every run on this portal is lifted."
        ledger.portal.press_stop(reason=order.reason, by=order.by, now=now)
        return "The stop for every run on this portal is set: no further user is started."
    run_id = _run_to_stop(order.run_id, execution_arn, ledger, executions)
    run = ledger.runs.read(run_id)
    if order.lift:
        return _lift(run_id, run, ledger)
    if run is None:
        raise RequestRefused(f"There is no run {run_id}: nothing was stopped. Check the run id.")
    if run.mode is Mode.PREVIEW:
        raise RequestRefused(f"Run {run_id} is a preview, which changes nobody: nothing to stop.")
    left = 0 if run.is_open else _left_open(run, ledger=ledger, bucket=bucket)
    if not run.is_open and not left:
        raise RequestRefused(f"Run {run_id} has {_ended(run_id, bucket)} Nothing was stopped.")
    ledger.runs.press_stop(run_id, reason=order.reason, by=order.by, now=now)
    if run.is_open:
        return f"The stop for run {run_id} is set: no further user is started."
    if run.pause:
        return (
            f"Run {run_id} is paused, and left {counted(left, 'user')} open. The stop is set: it"
            " does not continue when the next change window opens."
        )
    return (
        f"Run {run_id} has ended already, and left {counted(left, 'user')} open. The stop is set: a"
        " resume that is waiting starts none of them. One that is sent from now on lifts this stop."
    )


def _run_to_stop(name: str, execution_arn: str, ledger: Ledger, executions: Executions) -> str:
    """Return the run that an execution of this name carries out, or is waiting to resume."""
    run_id = ledger.runs.id_of(name)
    if not ledger.turns.read(name):
        return run_id
    machine = execution_arn.rpartition(":")[0]
    resumed = executions.request(f"{machine}:{name}").get("resume")
    return ledger.runs.id_of(resumed) if isinstance(resumed, str) else run_id


def _lift(run_id: str, run: RunRow | None, ledger: Ledger) -> str:
    if not ledger.runs.lift_stop(run_id):
        raise RequestRefused(f"There is no stop to lift for run {run_id}.")
    lifted = f"The stop for run {run_id} is lifted."
    return lifted if run and run.is_open else f"{lifted} The run has ended and is not resumed."


def _left_open(run: RunRow, *, ledger: Ledger, bucket: Bucket) -> int:
    """Return how many users a run that has ended left for a resume."""
    plan = bucket.read_plan(run.run_id) if run.plan_sha256 and not run.withdrawal else None
    if plan is None:
        return 0
    rows = {row.user_id: row for row in ledger.users.read_all(run.run_id)}
    return len(open_users(plan, rows))


def _ended(run_id: str, bucket: Bucket) -> str:
    """Say how a run has ended, by its report if there is one."""
    report = json.loads(bucket.read_report(run_id, "json") or b"{}")
    if not report:
        return "ended, and no report of it is kept."
    return f"ended {report['status']}: {report['sentence']}"


def carry_out_withdrawal(
    order: WithdrawOrder, *, portal_url: str, ledger: Ledger, now: float
) -> str:
    """Withdraw leavers, so that they are not deleted; return what was done, by id.

    A run that is in progress is stopped as well: it disables nobody else, and users who are being
    disabled are withdrawn too.

    Raises:
        RequestRefused: there is nobody to withdraw.
        StoreUnavailable: a leaver was changed at the same time; call again.
    """
    run_id = ledger.runs.id_of(order.run_id) if order.run_id else ""
    if run_id:
        run = ledger.runs.read(run_id)
        if run is None:
            raise RequestRefused(f"There is no run {run_id}: nobody was withdrawn.")
        if run.mode is not Mode.APPLY or (run.plan_sha256 and run.action not in _DISABLE):
            raise RequestRefused(
                f"Run {run_id} disables nobody: nobody was withdrawn. To stop a run, press its stop"
                " button. To keep users from being deleted, withdraw them by id."
            )
        ledger.runs.withdraw(run_id, reason=order.reason, by=order.by, now=now)
        if run.is_open:
            # Before it has a plan, it is not known what it does.
            ledger.runs.press_stop(
                run_id,
                reason=order.reason,
                by=order.by,
                now=now,
                stopper=Stopper.WITHDRAWAL,
            )
    found = ledger.leavers.read_all(portal_url)
    asked = [leaver for leaver in found if leaver.user_id in order.users or run_id in leaver.runs]
    said: dict[str, list[str]] = {}
    for leaver in asked:
        if leaver.state is not LeaverState.DONE:
            # Users who are already withdrawn are withdrawn again: a later run may have them, named
            # by id.
            after = withdrawn(leaver, by=order.by, reason=order.reason, now=int(now))
            if not ledger.leavers.change(after, before=leaver):
                raise StoreUnavailable(f"Leaver {leaver.user_id} is being changed. Send it again.")
        said.setdefault(_WITHDRAWN_FROM[leaver.state], []).append(leaver.user_id)
    missing = [user_id for user_id in order.users if user_id not in {a.user_id for a in asked}]
    if missing:
        said["No leavers"] = missing
    if not asked and not run_id:
        raise RequestRefused(
            f"No leaver of this portal has the id {', '.join(missing[:20])}: nobody was withdrawn."
            " `bulk-user-deletion due` lists the leavers. To keep users who are in no list yet, put"
            " them on the protected list."
        )
    lists = ". ".join(f"{what}: {', '.join(user_ids)}" for what, user_ids in said.items())
    kept = not {*said} <= {"Deleted before", "No leavers"}
    begin = f"Withdrawn by {order.by}" if kept or not said else "Nobody was withdrawn"
    return f"{begin}. {lists or 'The run has disabled nobody'}."


_DISABLE = {Action.DISABLE, Action.DISABLE_THEN_DELETE}
_WITHDRAWN_FROM = {
    LeaverState.DISABLED: "Will stay disabled",
    LeaverState.WAITING: "Will not be deleted",
    LeaverState.HELD: "Will not be deleted",
    LeaverState.DELETING: "Being deleted right now (their run's report says whether they are gone)",
    LeaverState.WITHDRAWN: "Withdrawn before",
    LeaverState.DONE: "Deleted before",
}


def end_quiet(*, ledger: Ledger, now: float) -> str:
    """Allow calls to the portal before the time in its `Retry-After` has passed.

    Returns what was done, for the execution's output.

    Raises:
        RequestRefused: the portal may be called anyway.
    """
    quiet_until = ledger.portal.end_quiet()
    if quiet_until <= now:
        raise RequestRefused("The portal has not asked to be left alone: there is nothing to end.")
    return (
        f"The portal may be called again: it had asked to be left alone until {iso(quiet_until)}."
    )


def take_over_ended(
    order: CloseOrder, *, execution_arn: str, ledger: Ledger, executions: Executions, now: int
) -> RunRow | Nothing:
    """Take over the run of an execution that ended without a report, with its stop flag set.

    From then on nothing left of that execution can start a user. Returns the run to report, or why
    there is none: most executions that end have closed their run themselves.

    This code does not limit how many executions try to close a run, because it may be what cannot
    run. The rule that starts them does: it ignores executions that were closings themselves.
    """
    name = _execution_to_close(order, execution_arn, executions)
    run_id = ledger.runs.id_of(name)
    run = ledger.runs.read(run_id)
    if run is None:
        return Nothing(f"There is no run {run_id} to close.")
    is_to_be_resumed = run.pause is not None and run.pause.resumed_by == name
    if not run.is_open and not is_to_be_resumed:
        return Nothing(f"Run {run_id} is closed already.")
    if run.execution_arn == execution_arn:
        return run  # taken over by an earlier attempt of this step
    ended = run.execution_arn
    if is_to_be_resumed:  # the execution that waited to resume the run has ended instead
        ended = f"{execution_arn.rpartition(':')[0]}:{name}"
    status = executions.status(ended)
    if status.is_running:
        return Nothing(f"Run {run_id} is in progress: there is nothing to close.")
    reason = f"Its execution ended {status} before it could report."
    stopper = Stopper.PERSON if status is ExecutionStatus.ABORTED else Stopper.RUN
    ledger.runs.take_over_stopped(
        run, execution_arn=execution_arn, stop=Stop(reason, "CloseRun", now, stopper)
    )
    ledger.portal.take_lock(run.action, run_id, execution_arn, instead_of=run.execution_arn)
    return run


def _execution_to_close(order: CloseOrder, execution_arn: str, executions: Executions) -> str:
    """Return the execution that an order is about.

    An order may name an execution that was itself started to close another one and failed: alarms
    report its name. It leads to the other execution.
    """
    machine, name = execution_arn.rpartition(":")[0], order.name
    passed = {name}
    while True:
        named = executions.request(f"{machine}:{name}").get("close")
        if not isinstance(named, str) or named in passed:
            return name
        name = named
        passed.add(name)


def check_portal(
    portal: Portal,
    *,
    guard: GuardDataset,
    bucket: Bucket,
    run_id: str,
    protected_list: str,
    now: float,
) -> str:
    """Request everything from the portal that a run reads, and store the result.

    Problems are raised as they would be in a run: no token, no user management, a portal that is
    down, answers that lack what safety depends on, looks that do not show who exists, a malformed
    protected list, a guard that cannot be relied on.
    """
    bucket.read_protected(protected_list)
    guard.read(portal)
    try:
        users = Directory(portal.users()).users
    except RequestRefused as refusal:
        raise UserManagementDenied(
            f"{refusal} Use an administrator in the credentials secret, and switch on 'Application"
            " Can Manage Users' for the External Application."
        ) from None
    control = control_looks(portal, users)
    answer = portal.look(control.self_ids[0])
    ours = user_in(answer)
    found = PortalCheck(
        portal_users=len(users),
        is_administrator=bool(ours and ours.is_administrator),
        clock_ahead_seconds=round(answer.served_at - now) if answer.served_at else None,
    )
    bucket.write_check(run_id, found)
    return f"The portal works as expected, and lists {counted(len(users), 'user')}."

"""The commands about leavers: users whom a run disabled. Ids and dates, never names."""

import getpass
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.rules.leavers import DAY, Grace, due_at, is_due
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.exits import ENDED_OTHERWISE, SUCCEEDED, refuse
from bulk_user_deletion_cli.parts import (
    as_json_option,
    follow,
    give_order,
    print_next_steps,
    who_and_why,
)
from bulk_user_deletion_cli.terminal import make_console, print_json, print_rows, say
from bulk_user_deletion_cli.wording import moment

_OPEN = (LeaverState.WAITING, LeaverState.DELETING, LeaverState.HELD)
_DATED = {LeaverState.WAITING, LeaverState.DELETING}
_SHOWN = 1_000

_NOT_APPROVED = "never due: ApplyOnlyPlans is on, and no preview's plan was applied"
_NO_DATE = "never due: there is no date"


@click.command()
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in LeaverState]),
    default=[state.value for state in _OPEN],
    show_default=True,
    help="State to list; repeatable.",
)
@as_json_option
@click.pass_obj
def due(stack_name: str, states: tuple[str, ...], as_json: bool) -> None:
    """List whom a run disabled: who is to be deleted when, who is held, who was withdrawn.

    Nobody is named: the ledger has only ids. The date is the one that applies today: the later
    one, if GraceDays was changed.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    grace, now = deployment.grace, int(time.time())
    listed = [leaver for leaver in deployment.leavers() if leaver.state in states]
    lines = [line_of(leaver, grace=grace, now=now) for leaver in by_date(listed, grace)]
    rows = [
        (
            line["user_id"],
            line["run_id"],
            line["state"],
            moment(line["disabled_at"]),
            moment(line["due_at"]),
            line["why"],
        )
        for line in lines[:_SHOWN]
    ]
    if as_json:
        print_json({"leavers": lines})
    elif rows:
        names = ("user id", "run", "state", "disabled (UTC)", "due (UTC)", "why")
        print_rows(console, names, rows, whole=2)
    if len(lines) > _SHOWN:
        say(console, f"These are the first {_SHOWN}; --json has all of them.")
    nobody = f"Nobody is {' or '.join(states)}."
    say(console, count_by_state(listed, grace=grace, now=now) if listed else nobody)


@click.command()
@click.argument("users", metavar="[USER-ID]...", nargs=-1)
@click.option("--run", "run_id", default="", metavar="RUN-ID", help="All users of this run.")
@click.option("--reason", required=True, help="Why. Reports of later runs say it.")
@click.option(
    "--by",
    default=getpass.getuser,
    show_default="your user name",
    help="Who; reports say that too.",
)
@as_json_option
@click.pass_obj
def withdraw(
    stack_name: str, users: tuple[str, ...], run_id: str, reason: str, by: str, as_json: bool
) -> None:
    """Do not delete users whom a run disabled. They stay disabled.

    This takes effect before the next user. A run that is still disabling users is stopped. The
    exit status is 1 if one of them is not a leaver, is already deleted, or is being deleted right
    now.
    """
    if bool(users) == bool(run_id):
        raise click.UsageError("Name user ids, or --run.")
    deployment = Deployment(stack_name)
    order: dict[str, Any] = {"reason": reason, "by": by}
    if run_id:
        order["run_id"] = run_id = deployment.ledger.runs.id_of(run_id)
    else:
        order["users"] = list(users)
    before = {leaver.user_id: leaver for leaver in deployment.leavers()}
    done = give_order(deployment, {"withdraw": order}, kind="withdraw", as_json=as_json)
    asked = users or [leaver.user_id for leaver in before.values() if run_id in leaver.runs]
    too_late = {LeaverState.DELETING, LeaverState.DONE}
    all_kept = all(
        (leaver := before.get(user_id.strip())) and leaver.state not in too_late
        for user_id in asked
    )
    if as_json:
        print_json({**done, "all_kept": all_kept})
    raise SystemExit(SUCCEEDED if all_kept else ENDED_OTHERWISE)


@click.command()
@click.argument("users", metavar="[USER-ID]...", nargs=-1)
@click.option(
    "--run", "run_id", default="", metavar="RUN-ID", help="All users whom this run disabled."
)
@who_and_why
@as_json_option
@click.pass_obj
def enable(
    stack_name: str,
    users: tuple[str, ...],
    run_id: str,
    reason: str,
    requested_by: str,
    as_json: bool,
) -> None:
    """Preview giving users their access back. Nobody is touched: `apply` does it.

    Only users whom a run disabled, and who had access before, are enabled.
    """
    if bool(users) == bool(run_id):
        raise click.UsageError("Name user ids, or --run.")
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    if run_id:
        run_id = deployment.ledger.runs.id_of(run_id)
        users = disabled_by(deployment.leavers(), run_id)
        if not users:
            refuse(f"Run {run_id} disabled nobody who may be enabled. Nothing was started.")
    arn = deployment.start(
        {
            "mode": "preview",
            "action": Action.ENABLE,
            "source": {"users": list(users)},
            "reason": reason,
            "requested_by": requested_by,
        }
    )
    end = follow(deployment, arn, console, as_json=as_json)
    print_next_steps(end, console)
    raise SystemExit(end.exit_status)


def disabled_by(leavers: Sequence[Leaver], run_id: str) -> tuple[str, ...]:
    """Return the ids of a run's leavers whose access one of our PUTs took, and who are not gone."""
    return tuple(
        leaver.user_id
        for leaver in leavers
        if run_id in leaver.runs and leaver.by_our_put and leaver.state is not LeaverState.DONE
    )


def by_date(leavers: Sequence[Leaver], grace: Grace) -> list[Leaver]:
    """Return leavers by due date, the earliest first; those without one come last."""
    return sorted(
        leavers,
        key=lambda leaver: (_due(leaver, grace) or float("inf"), int(leaver.user_id)),
    )


def line_of(leaver: Leaver, *, grace: Grace, now: int) -> dict[str, Any]:
    """Return what is shown about a leaver; `why` is for people."""
    due = _due(leaver, grace)
    return {
        "user_id": leaver.user_id,
        "state": leaver.state,
        "disabled_at": iso(leaver.seen_disabled_at) if leaver.seen_disabled_at else "",
        "due_at": iso(due) if due else "",
        "is_due": is_due(leaver, now=now, grace=grace),
        "why": _why(leaver, grace=grace, now=now),
        "by": leaver.by,
        "run_id": leaver.runs[-1] if leaver.runs else "",
    }


def count_by_state(leavers: Sequence[Leaver], *, grace: Grace, now: int) -> str:
    """Return how many leavers there are by state, and how many of them are due."""
    counts = Counter(leaver.state for leaver in leavers)
    by_state = ", ".join(f"{counts[state]} {state}" for state in LeaverState if counts[state])
    due = sum(is_due(leaver, now=now, grace=grace) for leaver in leavers)
    return f"{by_state}; {due} due now."


def _due(leaver: Leaver, grace: Grace) -> int:
    """Return when a leaver is to be deleted, or 0 for never."""
    has_date = leaver.state in _DATED and leaver.due_at and leaver.seen_disabled_at
    if not has_date or (grace.only_previewed and not leaver.is_from_preview):
        return 0
    return due_at(leaver, grace_days=grace.days)


def _why(leaver: Leaver, *, grace: Grace, now: int) -> str:
    match leaver.state:
        case LeaverState.WAITING if due := _due(leaver, grace):
            late = (now - due) // DAY
            return (
                f"overdue for {counted(late, 'day')}" if late > 0 else "due" if due <= now else ""
            )
        case LeaverState.WAITING if leaver.due_at and leaver.seen_disabled_at:
            return _NOT_APPROVED
        case LeaverState.WAITING:
            return _NO_DATE
        case LeaverState.WITHDRAWN:
            return f"by {leaver.by}: {leaver.reason}"
        case _:
            return leaver.reason

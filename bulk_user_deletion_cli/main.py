"""The commands of `bulk-user-deletion`."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bulk_user_deletion.models.plans import Plan, PlannedEntry
from bulk_user_deletion.models.requests import SealedPlan
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion_cli.check import COLUMNS
from bulk_user_deletion_cli.check import check as check_file
from bulk_user_deletion_cli.checkup import doctor
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.exits import REFUSED, SUCCEEDED, refuse
from bulk_user_deletion_cli.leavers import due, enable, withdraw
from bulk_user_deletion_cli.orders import accept_guard, end_quiet, stop
from bulk_user_deletion_cli.parts import (
    as_json_option,
    confirm,
    follow,
    print_next_steps,
    run_of,
    sealed_plan,
    show_today,
    who_and_why,
    yes_options,
)
from bulk_user_deletion_cli.program import Program
from bulk_user_deletion_cli.rosters import roster
from bulk_user_deletion_cli.runs import (
    show_plan,
)
from bulk_user_deletion_cli.standing import report, runs, status
from bulk_user_deletion_cli.target import target_options
from bulk_user_deletion_cli.terminal import make_console, print_json, print_rows, say, shown
from bulk_user_deletion_cli.today import applied_today, resumed_today
from bulk_user_deletion_cli.verify import verify
from bulk_user_deletion_cli.watch import watch
from bulk_user_deletion_cli.wording import REQUESTED

_SHOWN = 1_000


@click.group(
    cls=Program,
    params=target_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="bulk-user-deletion")
def main() -> None:
    """Delete or disable leavers of a Metric Insights portal: preview, read, apply.

    \b
    Exit status:
      0    it succeeded
      1    it ended in another way: the report of the run, or the output, says how
      2    it was refused, and nobody was touched
      3    this command could not do its work: AWS, the network or the disk failed
      64   the command line is wrong
      130  interrupted with Ctrl-C: what was started continues
    """


@main.command()
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--dataset", type=click.IntRange(min=1), metavar="ID", help="A dataset's users.")
@click.option(
    "--user", "users", multiple=True, metavar="WHO", help="An id, username or e-mail; repeatable."
)
@click.option(
    "--action",
    type=click.Choice([action.value for action in REQUESTED]),
    show_default="the stack's LeaverAction",
    help="What applying the plan would do to them; nothing harsher than the stack's LeaverAction.",
)
@who_and_why
@as_json_option
@click.pass_obj
def preview(
    stack_name: str,
    file: Path | None,
    dataset: int | None,
    users: tuple[str, ...],
    action: str | None,
    reason: str,
    requested_by: str,
    as_json: bool,
) -> None:
    """Say who would be deleted, disabled or enabled. Nobody is touched.

    FILE is a list of leavers, in any format that may be dropped into the inbox.
    """
    if sum(map(bool, (file, dataset, users))) != 1:
        raise click.UsageError("Name exactly one of FILE, --dataset and --user.")
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    source: dict[str, Any]
    if file:
        source = deployment.upload(file)
    else:
        source = {"dataset_id": dataset} if dataset else {"users": list(users)}
    request = {"mode": "preview", "source": source, "reason": reason, "requested_by": requested_by}
    if action:
        request["action"] = action
    end = follow(deployment, deployment.start(request), console, as_json=as_json)
    print_next_steps(end, console)
    raise SystemExit(end.exit_status)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json_option
def check(file: Path, as_json: bool) -> None:
    """Read FILE here, without AWS: who is named in it, or why it would be refused.

    A preview says whether the portal knows them.
    """
    console = make_console(as_json=as_json)
    found = check_file(file, today=datetime.now(UTC).date())
    if found.refusal:
        say(console, shown(found.refusal))
    else:
        rows = [
            (str(entry.line), *(getattr(entry, name) for name in COLUMNS))
            for entry in found.entries[:_SHOWN]
        ]
        print_rows(console, ("line", *COLUMNS.values()), rows)
        if len(found.entries) > _SHOWN:
            console.print(f"These are the first {_SHOWN}; --json has all of them.")
        by = "; ".join(f"{number} by {columns}" for columns, number in found.by.items())
        say(
            console,
            shown(f"{found.file} names {counted(len(found.entries), 'entry', 'entries')}: {by}."),
        )
    for doubt in found.doubts:
        say(console, f"[yellow]Refused when unattended:[/yellow] {shown(doubt)}")
    for note in found.notes:
        say(console, f"[yellow]Note:[/yellow] {shown(note)}")
    if as_json:
        print_json(found.as_json())
    raise SystemExit(REFUSED if found.refusal else SUCCEEDED)


@main.command()
@click.argument("run_id")
@as_json_option
@click.pass_obj
def plan(stack_name: str, run_id: str, as_json: bool) -> None:
    """Show a run's plan: its figures, and what would happen to each entry."""
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    found, digest, _ = sealed_plan(deployment, run_id)
    show_plan(found, console=console)
    if as_json:
        print_json(_plan_as_json(found, digest))
        return
    names = ("line", "entry", "user id", "username", "e-mail", "outcome", "reason")
    print_rows(console, names, map(_cells, found.entries))


@main.command()
@click.argument("run_id")
@yes_options(*REQUESTED)
@who_and_why
@as_json_option
@click.pass_obj
def apply(
    stack_name: str,
    /,
    run_id: str,
    reason: str,
    requested_by: str,
    as_json: bool,
    **yes: int | None,
) -> None:
    """Delete, disable or enable exactly the users of a preview's plan, once.

    The command shows what it would do today, and asks for the number of users. What the stack
    would refuse is refused before that.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    found, digest, run = sealed_plan(deployment, run_id)
    if found.mode is not Mode.PREVIEW:
        refuse(
            f"Run {run.run_id} is no preview: its plan was applied. To do what it left open:"
            f" bulk-user-deletion resume {run.run_id}"
        )
    if found.refusal or not run.plan_sha256:
        refuse(
            f"This plan may not be applied. {found.refusal}".strip()
            + " Then start a new preview, and apply that one."
        )
    if digest != run.plan_sha256:
        refuse("This plan was edited since its preview. Find out who did, then preview again.")
    today = applied_today(deployment, SealedPlan(run.run_id, run.plan_sha256))
    show_today(today, console)
    confirm(today.users, found.action, found.grace_days, yes)
    arn = deployment.start(
        {
            "mode": "apply",
            "plan": {"run_id": run.run_id, "sha256": run.plan_sha256},
            "reason": reason or found.reason,
            "requested_by": requested_by,
        }
    )
    raise SystemExit(follow(deployment, arn, console, as_json=as_json).exit_status)


@main.command()
@click.argument("run_id")
@yes_options(*REQUESTED)
@who_and_why
@as_json_option
@click.pass_obj
def resume(
    stack_name: str,
    /,
    run_id: str,
    reason: str,
    requested_by: str,
    as_json: bool,
    **yes: int | None,
) -> None:
    """Do what a run left open: its failed, unknown and not attempted users.

    The command shows what it would do today, and asks for the number of users. What the stack
    would refuse is refused before that.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    run_id = run_of(deployment, run_id).run_id
    today = resumed_today(deployment, run_id)
    show_today(today, console)
    confirm(today.users, today.plan.action, today.plan.grace_days, yes)
    arn = deployment.start(
        {"mode": "apply", "resume": run_id, "reason": reason, "requested_by": requested_by}
    )
    raise SystemExit(follow(deployment, arn, console, as_json=as_json).exit_status)


def _cells(planned: PlannedEntry) -> tuple[str, ...]:
    user = planned.user
    who = (user.user_id, user.username, user.email) if user else ("", "", "")
    reason = f"{planned.reason} {planned.warning}".strip()
    return (str(planned.entry.line), planned.entry.text, *who, planned.outcome.value, reason)


def _plan_as_json(plan: Plan, digest: str) -> dict[str, Any]:
    """Return a plan with all its entries, for scripts."""
    return {
        "run_id": plan.run_id,
        "sha256": digest,
        "created_at": iso(plan.created_at),
        "portal_url": plan.portal_url,
        "mode": plan.mode,
        "action": plan.action,
        "grace_days": plan.grace_days,
        "source": plan.source,
        "reason": plan.reason,
        "requested_by": plan.requested_by,
        "portal_users": plan.portal_users,
        "enabled_users": plan.enabled_users,
        "distinct": plan.distinct,
        "last_day": plan.last_day,
        "users": len(plan.users),
        "limits": asdict(plan.limits),
        "estimate": asdict(plan.estimate),
        "warnings": plan.warnings,
        "refusal": plan.refusal,
        "entries": [
            {
                "line": planned.entry.line,
                "entry": planned.entry.text,
                "user_id": planned.user.user_id if planned.user else "",
                "username": planned.user.username if planned.user else "",
                "email": planned.user.email if planned.user else "",
                "outcome": planned.outcome,
                "reason_kind": planned.reason_kind,
                "reason": planned.reason,
                "warning": planned.warning,
            }
            for planned in plan.entries
        ],
    }


for _command in (
    *(status, report, runs),
    *(stop, end_quiet, accept_guard),
    *(due, withdraw, enable, roster, watch, verify),
):
    main.add_command(_command)
main.add_command(doctor, signs_in=False)

"""The commands of `bulk-user-deletion`."""

import getpass
import json
import time
from collections.abc import Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError

from bulk_user_deletion.errors import BulkUserDeletionError
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Mode
from bulk_user_deletion.models.users import UserState
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.store import error_code
from bulk_user_deletion_cli.check import COLUMNS
from bulk_user_deletion_cli.check import check as check_file
from bulk_user_deletion_cli.deployment import Deployment, Execution, NoStackError
from bulk_user_deletion_cli.doctor import Finding, State, findings
from bulk_user_deletion_cli.leavers import due, enable, withdraw
from bulk_user_deletion_cli.parts import (
    as_json_option,
    confirm,
    follow,
    give_order,
    make_console,
    make_table,
    print_next_steps,
    refuse,
    run_of,
    sealed_plan,
    wait,
    who_and_why,
    yes_options,
)
from bulk_user_deletion_cli.rosters import roster
from bulk_user_deletion_cli.runs import (
    ENDED_OTHERWISE,
    REFUSED,
    SUCCEEDED,
    copy_reports,
    ended,
    print_end,
    quiet_sentence,
    reported,
    show_plan,
    shown,
)
from bulk_user_deletion_cli.trial import Trial
from bulk_user_deletion_cli.verify import verify
from bulk_user_deletion_cli.watch import watch
from bulk_user_deletion_cli.wording import REQUESTED, awaited, moment, to_do, verb

_LISTED = 20
_SHOWN = 1_000


class _Commands(click.Group):
    """Shows one sentence about what AWS refused, instead of a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except ClientError as error:
            raise click.ClickException(
                f"AWS refused {error.operation_name}: {error_code(error)}. See what works with:"
                " bulk-user-deletion doctor"
            ) from None
        except (BotoCoreError, BulkUserDeletionError, NoStackError) as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="bulk-user-deletion")
@click.option(
    "--stack-name",
    envvar="BULK_USER_DELETION_STACK",
    default="bulk-user-deletion",
    show_default=True,
    show_envvar=True,
    help="The deployed stack.",
)
@click.option("--profile", help="Profile of the AWS configuration.")
@click.option("--region", help="Region of the stack.")
@click.pass_context
def main(context: click.Context, stack_name: str, profile: str | None, region: str | None) -> None:
    """Delete or disable leavers of a Metric Insights portal: preview, read, apply.

    Exit status: 0 it succeeded; 1 it ended otherwise; 2 it was refused before anybody was touched.
    """
    if profile or region:
        boto3.setup_default_session(profile_name=profile, region_name=region)
    context.obj = stack_name


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

    FILE is a list of leavers, as it may be dropped into the inbox.
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

    Whether the portal knows them, a preview says.
    """
    console = make_console(as_json=as_json)
    found = check_file(file, today=datetime.now(UTC).date())
    if found.refusal:
        console.print(shown(found.refusal), soft_wrap=True)
    else:
        table = make_table("line", *COLUMNS.values())
        for entry in found.entries[:_SHOWN]:
            cells = (str(entry.line), *(getattr(entry, name) for name in COLUMNS))
            table.add_row(*map(shown, cells))
        console.print(table)
        if len(found.entries) > _SHOWN:
            console.print(f"These are the first {_SHOWN}; --json has all of them.")
        by = "; ".join(f"{number} by {columns}" for columns, number in found.by.items())
        console.print(
            shown(f"{found.file} names {len(found.entries)} {_entries(found.entries)}: {by}.")
        )
    for doubt in found.doubts:
        said = f"[yellow]Refused when nobody watches:[/yellow] {shown(doubt)}"
        console.print(said, soft_wrap=True)
    for note in found.notes:
        console.print(f"[yellow]Note:[/yellow] {shown(note)}", soft_wrap=True)
    if as_json:
        click.echo(json.dumps(found.as_json()))
    raise SystemExit(REFUSED if found.refusal else SUCCEEDED)


@main.command()
@click.argument("run_id")
@as_json_option
@click.pass_obj
def plan(stack_name: str, run_id: str, as_json: bool) -> None:
    """Show a run's plan: its figures, and what is to become of each entry."""
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    found, digest, _ = sealed_plan(deployment, run_id)
    show_plan(found, console=console, users=len(found.users))
    table = make_table("line", "entry", "user id", "username", "e-mail", "outcome", "reason")
    for planned in found.entries:
        user = planned.user
        who = (user.user_id, user.username, user.email) if user else ("", "", "")
        reason = f"{planned.reason} {planned.warning}".strip()
        cells = (str(planned.entry.line), planned.entry.text, *who, planned.outcome.value, reason)
        table.add_row(*map(shown, cells))
    console.print(table)
    if as_json:
        counts = {"entries": len(found.entries), "users": len(found.users)}
        line = {"run_id": found.run_id, "sha256": digest, **counts, "refusal": found.refusal}
        click.echo(json.dumps(line))


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

    The plan's figures are shown, and the number of users has to be typed.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    found, digest, run = sealed_plan(deployment, run_id)
    show_plan(found, console=console, users=len(found.users))
    if found.refusal or found.mode is not Mode.PREVIEW or not run.plan_sha256:
        refuse("This is no plan that may be applied. Start a new preview, and apply that one.")
    if digest != run.plan_sha256:
        refuse("This plan was edited since its preview. Find out who did, then preview again.")
    confirm(len(found.users), found.action, found.grace_days, yes)
    arn = deployment.start(
        {
            "mode": "apply",
            "plan": {"run_id": run_id, "sha256": run.plan_sha256},
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

    The figures are shown, and the number of users has to be typed.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    run_id = deployment.ledger.runs.id_of(run_id)
    found, _, _ = sealed_plan(deployment, run_id)
    final = {row.user_id for row in deployment.ledger.users.read_all(run_id) if row.is_final}
    still_open = [user for user in found.users if user.user_id not in final]
    show_plan(found, console=console, users=len(still_open))
    if found.mode is not Mode.APPLY or not still_open:
        refuse(f"Run {run_id} left nobody open: there is nothing to resume.")
    confirm(len(still_open), found.action, found.grace_days, yes)
    arn = deployment.start(
        {"mode": "apply", "resume": run_id, "reason": reason, "requested_by": requested_by}
    )
    raise SystemExit(follow(deployment, arn, console, as_json=as_json).exit_status)


@main.command()
@click.argument("run_id")
@click.option("--watch", "watching", is_flag=True, help="Follow it to its end.")
@as_json_option
@click.pass_obj
def status(stack_name: str, run_id: str, watching: bool, as_json: bool) -> None:
    """Say how a run stands, or how it ended."""
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    if quiet := quiet_sentence(deployment.ledger.portal.pace(), now=time.time()):
        console.print(quiet, soft_wrap=True)
    if behind := deployment.waits_for(run_id):  # waiting to resume a run, perhaps
        if watching:
            arn = deployment.execution_arn(run_id)
            raise SystemExit(follow(deployment, arn, console, as_json=as_json).exit_status)
        console.print(f"{run_id}: waits for {awaited(behind)}", soft_wrap=True)
        if as_json:
            opens_at = iso(behind.opens_at) if behind.opens_at else ""
            waiting = {"status": "WAITING", "waits_for": behind.run_id, "opens_at": opens_at}
            click.echo(json.dumps({"run_id": run_id, **waiting}))
        return
    run = run_of(deployment, run_id)
    execution = deployment.execution(run.execution_arn)
    if execution and execution.is_running and watching:
        followed = follow(deployment, run.execution_arn, console, as_json=as_json)
        raise SystemExit(followed.exit_status)
    if execution is None:
        end = ended(deployment, run.run_id)
    else:
        end = None if execution.is_running else reported(deployment, execution)
    if end:
        raise SystemExit(print_end(end, deployment, console=console, as_json=as_json))
    outcomes = {
        name: number
        for name, number in _outcomes(deployment, run.run_id).items()
        if run.mode is Mode.APPLY
    }
    planned = deployment.bucket.read_plan(run.run_id)
    standing = execution.status if execution else "ENDED WITHOUT A REPORT"
    source = shown(run.source)
    said = f"{run.run_id}: {standing}, {run.mode} of {source}, to {to_do(run.action)}"
    console.print(said, soft_wrap=True)
    if planned:
        done = sum(outcomes.values())
        console.print(f"{done} of {len(planned.users)} users done, {run.renewals} token renewals")
    for name, number in outcomes.items():
        console.print(f"{number:>7}  {name}")
    if run.stop:
        console.print(shown(f"Stopped by {run.stop.by}: {run.stop.reason}"), soft_wrap=True)
    if as_json:
        users = len(planned.users) if planned else None
        line = {"run_id": run.run_id, "status": standing, "action": run.action, "users": users}
        click.echo(json.dumps({**line, "outcomes": outcomes}))


@main.command()
@click.argument("run_id", required=False, default="")
@click.option("--portal", is_flag=True, help="Every run on the portal, until it is lifted.")
@click.option("--lift", is_flag=True, help="Take the stop back, of RUN_ID or of the portal.")
@click.option("--reason", required=True, help="Why. The report of a stopped run says it.")
@click.option(
    "--by",
    default=getpass.getuser,
    show_default="your user name",
    help="Who; the report says that too.",
)
@click.pass_obj
def stop(stack_name: str, run_id: str, portal: bool, lift: bool, reason: str, by: str) -> None:
    """Stop a run before its next user."""
    if bool(run_id) == portal and not (lift and not run_id):
        raise click.UsageError("Name a run, or --portal.")
    deployment = Deployment(stack_name)
    order = {"reason": reason, "by": by}
    if run_id:
        order["run_id"] = deployment.ledger.runs.id_of(run_id)
    give_order(deployment, {"lift" if lift else "stop": order}, kind="stop")


@main.command("end-quiet")
@click.option("--reason", required=True, help="Why; it stands in the order's execution.")
@click.option(
    "--by", default=getpass.getuser, show_default="your user name", help="Who; that does too."
)
@click.pass_obj
def end_quiet(stack_name: str, reason: str, by: str) -> None:
    """Call the portal again before the time that it asked to be left alone is over."""
    give_order(
        Deployment(stack_name), {"end_quiet": {"reason": reason, "by": by}}, kind="end-quiet"
    )


@main.command("accept-guard")
@click.argument("users", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why; the ledger keeps it.")
@click.option(
    "--by", default=getpass.getuser, show_default="your user name", help="Who; it keeps that too."
)
@click.pass_obj
def accept_guard(stack_name: str, users: int, reason: str, by: str) -> None:
    """Accept that the guard keeps only USERS users now.

    USERS is the number in the refusal: check first that these really are all.
    """
    order = {"users": users, "reason": reason, "by": by}
    give_order(Deployment(stack_name), {"accept_guard": order}, kind="accept-guard")


@main.command()
@click.argument("run_id")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Where the files are copied.",
)
@as_json_option
@click.pass_obj
def report(stack_name: str, run_id: str, out: Path, as_json: bool) -> None:
    """Copy a run's report (HTML, JSON, CSV), and say how it ended."""
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    end = ended(deployment, run_id)
    if end is None or not copy_reports(deployment, end.run_id, out):
        raise click.ClickException(
            f"Run {run_id} has no report yet. See how it stands: bulk-user-deletion status {run_id}"
        )
    print_end(end, deployment, console=console, as_json=as_json, out=out)


@main.command()
@as_json_option
@click.pass_obj
def runs(stack_name: str, as_json: bool) -> None:
    """List the last runs, the newest first."""
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    table = make_table("run", "started (UTC)", "status", "mode", "started by", "source")
    lines = []
    for arn in deployment.executions():
        name = arn.rpartition(":")[2]
        run = deployment.ledger.runs.read(name)
        execution = deployment.execution(arn)
        if run is None or execution is None:  # an order, a refused request, a resuming execution
            continue
        end = None if execution.is_running else ended(deployment, name)
        standing = end.status if end else execution.status
        line = {
            "run_id": name,
            "started_at": iso(run.started_at),
            "status": standing,
            "mode": str(run.mode),
            "trigger": run.trigger,
            "source": run.source,
        }
        lines.append({**line, "action": run.action})
        line["started_at"] = moment(line["started_at"])
        line["mode"] = f"{run.mode}, {verb(run.action)}"
        table.add_row(*map(shown, line.values()))
        if len(lines) == _LISTED:
            break
    console.print(table if lines else "There was no run yet.")
    if as_json:
        click.echo(json.dumps({"runs": lines}))


@main.command()
@click.option(
    "--try-disabling",
    "test_account",
    metavar="USER-ID",
    help="Disable this user, and enable them again: an enabled TEST ACCOUNT of the portal, nobody's"
    " own. Shows whether the portal's PUT does what is assumed of it.",
)
@click.option(
    "--yes-disable",
    type=click.IntRange(min=1),
    metavar="N",
    help="For scripts, with --try-disabling: 1, the number of users to disable.",
)
@as_json_option
@click.pass_obj
def doctor(
    stack_name: str, test_account: str | None, yes_disable: int | None, as_json: bool
) -> None:
    """Say what works, what does not, and how to fix it.

    Nobody is touched, unless you name a test account to try disabling on.
    """
    if test_account and not is_user_id(test_account):
        raise click.UsageError("--try-disabling takes a user id: a name may be another user's.")
    console = make_console(as_json=as_json)
    found: list[Finding] = []
    marks = {State.WELL: "[green]✓[/green]", State.WRONG: "[red]✗[/red]", State.UNKNOWN: "?"}
    deployment = Deployment(stack_name)

    def show(finding: Finding) -> None:
        found.append(finding)
        said = shown(finding.said)
        console.print(f" {marks[finding.state]} {finding.what:<22}  {said}", soft_wrap=True)
        if finding.state is State.WRONG and finding.fix:
            console.print(f"   {'':<22}  → {shown(finding.fix)}", soft_wrap=True)

    def watch_quietly(arn: str) -> Execution:
        return wait(deployment, arn)

    for finding in findings(stack_name, watch_quietly):
        show(finding)
    if test_account:
        said = (
            f"\nUser {test_account} will be disabled, and enabled again: name a test account only."
        )
        console.print(said, soft_wrap=True)
        confirm(1, Action.DISABLE, 0, {"yes_disable": yes_disable})
        for finding in Trial(deployment, test_account, watch_quietly).findings():
            show(finding)
    wrong = [finding.what for finding in found if finding.state is State.WRONG]
    console.print(f"\nWrong: {', '.join(wrong)}." if wrong else "\nNothing is wrong.")
    if as_json:
        click.echo(json.dumps({finding.what: finding.state for finding in found}))
    raise SystemExit(ENDED_OTHERWISE if wrong else SUCCEEDED)


def _entries(found: Sized) -> str:
    return "entry" if len(found) == 1 else "entries"


def _outcomes(deployment: Deployment, run_id: str) -> dict[str, int]:
    outcomes: dict[str, int] = {}
    for row in deployment.ledger.users.read_all(run_id):
        if row.state is UserState.DONE and row.outcome:
            outcomes[row.outcome.value] = outcomes.get(row.outcome.value, 0) + 1
    return outcomes


for _command in (due, withdraw, enable, roster, watch, verify):
    main.add_command(_command)

"""The commands of `bulk-user-deletion`."""

import getpass
import json
import time
from collections.abc import Callable, Sized
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import boto3
import click
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.table import Table

from bulk_user_deletion.errors import BulkUserDeletionError
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.runs import Mode, RunRow
from bulk_user_deletion.models.users import UserState
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.store import error_code
from bulk_user_deletion_cli.check import COLUMNS
from bulk_user_deletion_cli.check import check as check_file
from bulk_user_deletion_cli.deployment import Deployment, Execution, NoStackError
from bulk_user_deletion_cli.doctor import Finding, State, findings
from bulk_user_deletion_cli.runs import (
    ENDED_OTHERWISE,
    REFUSED,
    SUCCEEDED,
    copy_reports,
    ended,
    ended_by,
    print_end,
    quiet_sentence,
    reported,
    show_plan,
    shown,
    watch,
)

_LISTED = 20
_SHOWN = 1_000

_Command = TypeVar("_Command", bound=Callable[..., Any])


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
    """Delete leavers from a Metric Insights portal: preview, read, apply.

    Exit status: 0 it succeeded; 1 it ended otherwise; 2 it was refused before anything was deleted.
    """
    if profile or region:
        boto3.setup_default_session(profile_name=profile, region_name=region)
    context.obj = stack_name


_as_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON line last.")


def _who_and_why(command: _Command) -> _Command:
    """Add --reason and --requested-by."""
    by = click.option(
        "--requested-by",
        default=getpass.getuser,
        show_default="your user name",
        help="Who wants it; stands in the report of what is planned.",
    )
    why = click.option("--reason", default="", help="Why, such as a ticket; stands there too.")
    return why(by(command))


_yes_delete = click.option(
    "--yes-delete",
    type=click.IntRange(min=1),
    metavar="N",
    help="For scripts: the number of users, instead of typing it.",
)


@main.command()
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--dataset", type=click.IntRange(min=1), metavar="ID", help="A dataset's users.")
@click.option(
    "--user", "users", multiple=True, metavar="WHO", help="An id, username or e-mail; repeatable."
)
@_who_and_why
@_as_json
@click.pass_obj
def preview(
    stack_name: str,
    file: Path | None,
    dataset: int | None,
    users: tuple[str, ...],
    reason: str,
    requested_by: str,
    as_json: bool,
) -> None:
    """Say who would be deleted. Nobody is touched.

    FILE is a list of leavers, as it may be dropped into the inbox.
    """
    if sum(map(bool, (file, dataset, users))) != 1:
        raise click.UsageError("Name exactly one of FILE, --dataset and --user.")
    console, deployment = _console(as_json), Deployment(stack_name)
    source: dict[str, Any]
    if file:
        source = deployment.upload(file)
    else:
        source = {"dataset_id": dataset} if dataset else {"users": list(users)}
    arn = deployment.start(
        {"mode": "preview", "source": source, "reason": reason, "requested_by": requested_by}
    )
    status = _follow(deployment, arn, console, as_json=as_json)
    name = arn.rpartition(":")[2]
    if status == SUCCEEDED:
        console.print(f"See who: bulk-user-deletion plan {name}", soft_wrap=True)
        console.print(f"Delete them: bulk-user-deletion apply {name}", soft_wrap=True)
    raise SystemExit(status)


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_as_json
def check(file: Path, as_json: bool) -> None:
    """Read FILE here, without AWS: who is named in it, or why it would be refused.

    Whether the portal knows them, a preview says.
    """
    console = _console(as_json)
    found = check_file(file, today=datetime.now(UTC).date())
    if found.refusal:
        console.print(shown(found.refusal), soft_wrap=True)
    else:
        table = _table("line", *COLUMNS.values())
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
@_as_json
@click.pass_obj
def plan(stack_name: str, run_id: str, as_json: bool) -> None:
    """Show a run's plan: its figures, and what is to become of each entry."""
    console, deployment = _console(as_json), Deployment(stack_name)
    found, digest, _ = _sealed(deployment, run_id)
    show_plan(found, console=console, users=len(found.users))
    table = _table("line", "entry", "user id", "username", "e-mail", "outcome", "reason")
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
@_yes_delete
@_who_and_why
@_as_json
@click.pass_obj
def apply(
    stack_name: str,
    run_id: str,
    yes_delete: int | None,
    reason: str,
    requested_by: str,
    as_json: bool,
) -> None:
    """Delete exactly the users of a preview's plan, once.

    The plan's figures are shown, and the number of users has to be typed.
    """
    console, deployment = _console(as_json), Deployment(stack_name)
    found, digest, run = _sealed(deployment, run_id)
    show_plan(found, console=console, users=len(found.users))
    if found.refusal or found.mode is not Mode.PREVIEW or not run.plan_sha256:
        _refuse("This is no plan that may be applied. Start a new preview, and apply that one.")
    if digest != run.plan_sha256:
        _refuse("This plan was edited since its preview. Find out who did, then preview again.")
    _confirm(len(found.users), yes_delete)
    arn = deployment.start(
        {
            "mode": "apply",
            "plan": {"run_id": run_id, "sha256": run.plan_sha256},
            "reason": reason or found.reason,
            "requested_by": requested_by,
        }
    )
    raise SystemExit(_follow(deployment, arn, console, as_json=as_json))


@main.command()
@click.argument("run_id")
@_yes_delete
@_who_and_why
@_as_json
@click.pass_obj
def resume(
    stack_name: str,
    run_id: str,
    yes_delete: int | None,
    reason: str,
    requested_by: str,
    as_json: bool,
) -> None:
    """Do what a run left open: its failed, unknown and not attempted users.

    The figures are shown, and the number of users has to be typed.
    """
    console, deployment = _console(as_json), Deployment(stack_name)
    run_id = deployment.ledger.runs.id_of(run_id)
    found, _, _ = _sealed(deployment, run_id)
    final = {row.user_id for row in deployment.ledger.users.read_all(run_id) if row.is_final}
    still_open = [user for user in found.users if user.user_id not in final]
    show_plan(found, console=console, users=len(still_open))
    if found.mode is not Mode.APPLY or not still_open:
        _refuse(f"Run {run_id} left nobody open: there is nothing to resume.")
    _confirm(len(still_open), yes_delete)
    arn = deployment.start(
        {"mode": "apply", "resume": run_id, "reason": reason, "requested_by": requested_by}
    )
    raise SystemExit(_follow(deployment, arn, console, as_json=as_json))


@main.command()
@click.argument("run_id")
@click.option("--watch", "watching", is_flag=True, help="Follow it to its end.")
@_as_json
@click.pass_obj
def status(stack_name: str, run_id: str, watching: bool, as_json: bool) -> None:
    """Say how a run stands, or how it ended."""
    console, deployment = _console(as_json), Deployment(stack_name)
    if quiet := quiet_sentence(deployment.ledger.portal.pace(), now=time.time()):
        console.print(quiet, soft_wrap=True)
    if behind := deployment.waits_for(run_id):  # waiting to resume a run, perhaps
        if watching:
            arn = deployment.execution_arn(run_id)
            raise SystemExit(_follow(deployment, arn, console, as_json=as_json))
        console.print(f"{run_id}: waits for run {behind} to end", soft_wrap=True)
        if as_json:
            click.echo(json.dumps({"run_id": run_id, "status": "WAITING", "waits_for": behind}))
        return
    run = _run(deployment, run_id)
    execution = deployment.execution(run.execution_arn)
    if execution and execution.is_running and watching:
        raise SystemExit(_follow(deployment, run.execution_arn, console, as_json=as_json))
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
    console.print(f"{run.run_id}: {standing}, {run.mode} of {source}", soft_wrap=True)
    if planned:
        done = sum(outcomes.values())
        console.print(f"{done} of {len(planned.users)} users done, {run.renewals} token renewals")
    for name, number in outcomes.items():
        console.print(f"{number:>7}  {name}")
    if run.stop:
        console.print(shown(f"Stopped by {run.stop.by}: {run.stop.reason}"), soft_wrap=True)
    if as_json:
        users = len(planned.users) if planned else None
        line = {"run_id": run.run_id, "status": standing, "users": users, "outcomes": outcomes}
        click.echo(json.dumps(line))


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
    _order(deployment, {"lift" if lift else "stop": order}, kind="stop")


@main.command("end-quiet")
@click.option("--reason", required=True, help="Why; it stands in the order's execution.")
@click.option(
    "--by", default=getpass.getuser, show_default="your user name", help="Who; that does too."
)
@click.pass_obj
def end_quiet(stack_name: str, reason: str, by: str) -> None:
    """Call the portal again before the time that it asked to be left alone is over."""
    _order(Deployment(stack_name), {"end_quiet": {"reason": reason, "by": by}}, kind="end-quiet")


@main.command()
@click.argument("run_id")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Where the files are copied.",
)
@_as_json
@click.pass_obj
def report(stack_name: str, run_id: str, out: Path, as_json: bool) -> None:
    """Copy a run's report (HTML, JSON, CSV), and say how it ended."""
    console, deployment = _console(as_json), Deployment(stack_name)
    end = ended(deployment, run_id)
    if end is None or not copy_reports(deployment, end.run_id, out):
        raise click.ClickException(
            f"Run {run_id} has no report yet. See how it stands: bulk-user-deletion status {run_id}"
        )
    print_end(end, deployment, console=console, as_json=as_json, out=out)


@main.command()
@_as_json
@click.pass_obj
def runs(stack_name: str, as_json: bool) -> None:
    """List the last runs, the newest first."""
    console, deployment = _console(as_json), Deployment(stack_name)
    table = _table("run", "started (UTC)", "status", "mode", "started by", "source")
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
        lines.append(line)
        line_shown = {**line, "started_at": line["started_at"][:16].replace("T", " ")}
        table.add_row(*map(shown, line_shown.values()))
        if len(lines) == _LISTED:
            break
    console.print(table if lines else "There was no run yet.")
    if as_json:
        click.echo(json.dumps({"runs": lines}))


@main.command()
@_as_json
@click.pass_obj
def doctor(stack_name: str, as_json: bool) -> None:
    """Say what works, what does not, and how to fix it. Nobody is touched."""
    console = _console(as_json)
    found: list[Finding] = []
    marks = {State.WELL: "[green]✓[/green]", State.WRONG: "[red]✗[/red]", State.UNKNOWN: "?"}
    deployment = Deployment(stack_name)
    for finding in findings(stack_name, lambda arn: _wait(deployment, arn)):
        found.append(finding)
        said = shown(finding.said)
        console.print(f" {marks[finding.state]} {finding.what:<22}  {said}", soft_wrap=True)
        if finding.state is State.WRONG and finding.fix:
            console.print(f"   {'':<22}  → {shown(finding.fix)}", soft_wrap=True)
    wrong = [finding.what for finding in found if finding.state is State.WRONG]
    console.print(f"\nWrong: {', '.join(wrong)}." if wrong else "\nNothing is wrong.")
    if as_json:
        click.echo(json.dumps({finding.what: finding.state for finding in found}))
    raise SystemExit(ENDED_OTHERWISE if wrong else SUCCEEDED)


# What the commands share


def _entries(found: Sized) -> str:
    return "entry" if len(found) == 1 else "entries"


def _console(as_json: bool) -> Console:
    return Console(stderr=as_json, highlight=False)


def _table(first: str, *others: str) -> Table:
    """Return a table whose first column is never cut, because other commands take it as input."""
    table = Table(box=None)
    table.add_column(first, no_wrap=True)
    for name in others:
        table.add_column(name, overflow="fold")
    return table


def _follow(deployment: Deployment, arn: str, console: Console, *, as_json: bool) -> int:
    end = ended_by(deployment, watch(deployment, arn, console))
    return print_end(end, deployment, console=console, as_json=as_json)


def _wait(deployment: Deployment, arn: str) -> Execution:
    return watch(deployment, arn, Console(quiet=True))


def _order(deployment: Deployment, order: dict[str, Any], *, kind: str) -> None:
    """Send an order and print what was done; exit if it was refused."""
    execution = _wait(deployment, deployment.start(order, kind=kind))
    if not execution.succeeded:
        _refuse(execution.cause.partition(" Report: ")[0])
    _console(as_json=False).print(execution.nothing_because, soft_wrap=True)


def _run(deployment: Deployment, name: str) -> RunRow:
    run = deployment.ledger.runs.read(deployment.ledger.runs.id_of(name))
    if run is None:
        raise click.ClickException(f"There is no run {name}. List them: bulk-user-deletion runs")
    return run


def _sealed(deployment: Deployment, run_id: str) -> tuple[Plan, str, RunRow]:
    run = _run(deployment, run_id)
    sealed = deployment.bucket.read_sealed(run.run_id)
    if sealed is None:
        raise click.ClickException(
            f"Run {run_id} has no plan. See why: bulk-user-deletion status {run_id}"
        )
    return (*sealed, run)


def _outcomes(deployment: Deployment, run_id: str) -> dict[str, int]:
    outcomes: dict[str, int] = {}
    for row in deployment.ledger.users.read_all(run_id):
        if row.state is UserState.DONE and row.outcome:
            outcomes[row.outcome.value] = outcomes.get(row.outcome.value, 0) + 1
    return outcomes


def _confirm(users: int, typed: int | None) -> None:
    """Continue only if the number of users was typed, or given with --yes-delete."""
    if not users:
        _refuse("Nobody is left to delete.")
    if typed is None:
        try:
            typed = click.prompt("Type the number of users to delete", type=int, err=True)
        except click.Abort:
            _refuse(
                f"\nThe number was not typed: nothing was started. In scripts: --yes-delete {users}"
            )
    if typed != users:
        _refuse(f"That is not the number: the plan deletes {users} users. Nothing was started.")


def _refuse(why: str) -> NoReturn:
    click.echo(why, err=True)
    raise SystemExit(REFUSED)

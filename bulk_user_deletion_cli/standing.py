"""The commands about runs on record: their state, their reports, the latest ones."""

import time
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Mode, RunRow, RunStatus
from bulk_user_deletion.models.users import UserState
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.exits import Refusal
from bulk_user_deletion_cli.parts import as_json_option, follow, no_run
from bulk_user_deletion_cli.runs import (
    Ended,
    ended,
    ended_by,
    print_end,
    quiet_sentence,
    reported,
)
from bulk_user_deletion_cli.terminal import make_console, print_json, print_rows, say, shown
from bulk_user_deletion_cli.wording import awaited, moment, to_do, verb

_LISTED = 20
_NO_REPORT = "ENDED WITHOUT A REPORT"


@click.command()
@click.argument("run_id")
@click.option("--watch", "watching", is_flag=True, help="Follow it until it ends.")
@as_json_option
@click.pass_obj
def status(stack_name: str, run_id: str, watching: bool, as_json: bool) -> None:
    """Show the state of a run, or how it ended.

    RUN_ID may also be an order's, such as stop-…: then its result is shown.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    if quiet := quiet_sentence(deployment.ledger.portal.pace(), now=time.time()):
        say(console, quiet)
    run = deployment.ledger.runs.read(deployment.ledger.runs.id_of(run_id))
    behind = deployment.waits_for(run_id)  # also an execution that is waiting to resume a run
    arn = run.execution_arn if run and not behind else deployment.execution_arn(run_id)
    execution = deployment.execution(arn)
    is_running = bool(execution and execution.is_running)
    if is_running and watching:
        raise SystemExit(follow(deployment, arn, console, as_json=as_json).exit_status)
    if behind:
        say(console, f"{run_id}: waits for {awaited(behind)}")
        if as_json:
            opens_at = iso(behind.opens_at) if behind.opens_at else ""
            waiting = {"status": "WAITING", "waits_for": behind.run_id, "opens_at": opens_at}
            print_json({"run_id": run_id, **waiting})
        return
    end: Ended | None = None
    if execution is None:
        if run is None:
            raise no_run(run_id)
        end = ended(deployment, run.run_id)
    elif not is_running:
        end = reported(deployment, execution) if run else ended_by(deployment, execution)
    if end:
        raise SystemExit(print_end(end, deployment, console=console, as_json=as_json))
    standing = str(execution.status) if execution else _NO_REPORT
    if run:
        _print_standing(deployment, run, standing, console=console, as_json=as_json)
        return
    say(console, f"{run_id}: {standing}, and has not opened a run")
    if as_json:
        print_json({"run_id": run_id, "status": standing})


def _print_standing(
    deployment: Deployment, run: RunRow, standing: str, *, console: Console, as_json: bool
) -> None:
    outcomes = _outcomes(deployment, run.run_id) if run.mode is Mode.APPLY else {}
    planned = deployment.bucket.read_plan(run.run_id)
    said = f"{run.run_id}: {standing}, {run.mode} of {shown(run.source)}, to {to_do(run.action)}"
    say(console, said)
    if planned:
        done = sum(outcomes.values())
        say(
            console,
            f"{done} of {len(planned.users)} users done, {counted(run.renewals, 'token renewal')}",
        )
    for name, number in outcomes.items():
        console.print(f"{number:>7}  {name}")
    if run.stop:
        say(console, shown(f"Stopped by {run.stop.by}: {run.stop.reason}"))
    if as_json:
        print_json(
            {
                "run_id": run.run_id,
                "status": standing,
                "mode": run.mode,
                "action": run.action,
                "source": run.source,
                "users": len(planned.users) if planned else None,
                "outcomes": outcomes,
                "renewals": run.renewals,
                "stopped": {"by": run.stop.by, "reason": run.stop.reason} if run.stop else None,
            }
        )


@click.command()
@click.argument("run_id")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Where to copy the files.",
)
@as_json_option
@click.pass_obj
def report(stack_name: str, run_id: str, out: Path, as_json: bool) -> None:
    """Copy a run's report (HTML, JSON, CSV), and say how it ended."""
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    end = ended(deployment, run_id)
    if end is None:
        is_known = deployment.ledger.runs.read(deployment.ledger.runs.id_of(run_id))
        if not is_known and not deployment.execution(deployment.execution_arn(run_id)):
            raise no_run(run_id)
        raise Refusal(f"{run_id} has no report. See its state: bulk-user-deletion status {run_id}")
    print_end(end, deployment, console=console, as_json=as_json, out=out)


_STANDINGS = [*RunStatus, "RUNNING", "ABORTED", "TIMED_OUT"]


@click.command()
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_LISTED,
    show_default=True,
    help="How many runs to list.",
)
@click.option(
    "--status",
    "statuses",
    multiple=True,
    type=click.Choice(_STANDINGS, case_sensitive=False),
    help="Only runs with this status; repeatable.",
)
@as_json_option
@click.pass_obj
def runs(stack_name: str, limit: int, statuses: tuple[str, ...], as_json: bool) -> None:
    """List the latest runs, the newest first.

    In a pipe each run is one line, with cells separated by tabs.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    lines: list[dict[str, str]] = []
    for line in _runs(deployment):
        if statuses and line["status"] not in statuses:
            continue
        lines.append(line)
        if len(lines) == limit:
            break
    if as_json:
        print_json({"runs": lines})
        return
    if not lines:
        of = f" that is {' or '.join(statuses)}" if statuses else ""
        say(make_console(as_json=True), f"There is no run{of}.")
    elif console.is_terminal:
        for line in lines:  # in two lines: execution names of EventBridge are long
            console.print(f"[bold]{shown(line['run_id'])}[/bold]", soft_wrap=True)
            said = (
                f"  {moment(line['started_at'])} UTC  {line['status']}  {line['mode']}, "
                f"{verb(Action(line['action']))}  {line['trigger']}  {line['source']}"
            )
            say(console, shown(said), indent=4)
    else:
        names = ("run", "started_at", "status", "mode", "action", "trigger", "source")
        rows = [(line["run_id"], *(line[name] for name in names[1:])) for line in lines]
        print_rows(console, names, rows)


def _runs(deployment: Deployment) -> Iterator[dict[str, str]]:
    """Yield the runs, the newest first."""
    for arn in deployment.executions():
        name = arn.rpartition(":")[2]
        run = deployment.ledger.runs.read(name)
        if run is None:  # an order, a refused request, a resuming execution
            continue
        execution = deployment.execution(run.execution_arn)  # perhaps one that resumes it
        is_running = bool(execution and execution.is_running)
        end = None if is_running else ended(deployment, name)
        standing = end.status if end else execution.status if execution else _NO_REPORT
        yield {
            "run_id": name,
            "started_at": iso(run.started_at),
            "status": str(standing),
            "mode": str(run.mode),
            "action": str(run.action),
            "trigger": run.trigger,
            "source": run.source,
        }


def _outcomes(deployment: Deployment, run_id: str) -> dict[str, int]:
    outcomes: dict[str, int] = {}
    for row in deployment.ledger.users.read_all(run_id):
        if row.state is UserState.DONE and row.outcome:
            outcomes[row.outcome.value] = outcomes.get(row.outcome.value, 0) + 1
    return outcomes

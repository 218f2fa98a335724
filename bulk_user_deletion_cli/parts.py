"""What the commands share: options, tables, waiting for executions, confirmations."""

import getpass
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click
from rich.console import Console
from rich.table import Table

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion_cli.deployment import Deployment, Execution
from bulk_user_deletion_cli.runs import REFUSED, SUCCEEDED, Ended, ended_by, print_end, shown, watch
from bulk_user_deletion_cli.wording import to_do, verb, yes_option

_Command = TypeVar("_Command", bound=Callable[..., Any])

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON line last.")


def who_and_why(command: _Command) -> _Command:
    """Add --reason and --requested-by."""
    by = click.option(
        "--requested-by",
        default=getpass.getuser,
        show_default="your user name",
        help="Who wants it; stands in the report of what is planned.",
    )
    why = click.option("--reason", default="", help="Why, such as a ticket; stands there too.")
    return why(by(command))


def yes_options(*actions: Action) -> Callable[[_Command], _Command]:
    """Add an option for each action that stands for typing the number of users.

    They are told apart so that no script ever does to its users what it was not written for.
    """

    def add(command: _Command) -> _Command:
        for action in reversed(actions):
            option = click.option(
                yes_option(action),
                type=click.IntRange(min=1),
                metavar="N",
                help=f"For scripts: how many users the plan has to {to_do(action)}.",
            )
            command = option(command)
        return command

    return add


def make_console(*, as_json: bool) -> Console:
    """Return the console for people: standard error where a script reads standard output."""
    return Console(stderr=as_json, highlight=False)


def make_table(*names: str, whole: int = 1) -> Table:
    """Return a table whose first columns are never cut, because other commands take them as input.

    `whole` is how many these are.
    """
    table = Table(box=None)
    for number, name in enumerate(names):
        table.add_column(name, no_wrap=number < whole, overflow="fold")
    return table


def follow(deployment: Deployment, arn: str, console: Console, *, as_json: bool) -> Ended:
    """Watch a run until it ends, and print how it ended."""
    end = ended_by(deployment, watch(deployment, arn, console))
    print_end(end, deployment, console=console, as_json=as_json)
    return end


def print_next_steps(end: Ended, console: Console) -> None:
    """Print what to do with a preview that succeeded: read its plan, apply it."""
    if end.exit_status != SUCCEEDED:
        return
    action = Action(end.report.get("action", Action.DELETE))
    what = to_do(action, end.report.get("grace_days", 0))
    console.print(f"See who: bulk-user-deletion plan {end.run_id}", soft_wrap=True)
    if end.report.get("counts", {}).get(action.would):
        said = f"To {what}, apply it: bulk-user-deletion apply {end.run_id}"
        console.print(said, soft_wrap=True)


def wait(deployment: Deployment, arn: str) -> Execution:
    """Wait for an execution to end, without printing anything."""
    return watch(deployment, arn, Console(quiet=True))


def give_order(deployment: Deployment, order: dict[str, Any], *, kind: str) -> None:
    """Send an order and print what was done; exit if it was refused."""
    execution = wait(deployment, deployment.start(order, kind=kind))
    if not execution.succeeded:
        refuse(execution.cause.partition(" Report: ")[0])
    make_console(as_json=False).print(shown(execution.nothing_because), soft_wrap=True)


def run_of(deployment: Deployment, name: str) -> RunRow:
    """Return the row of a run, or of the run that an execution of this name resumed."""
    run = deployment.ledger.runs.read(deployment.ledger.runs.id_of(name))
    if run is None:
        raise click.ClickException(f"There is no run {name}. List them: bulk-user-deletion runs")
    return run


def sealed_plan(deployment: Deployment, run_id: str) -> tuple[Plan, str, RunRow]:
    """Return a run's plan, the plan's sha256, and the run's row."""
    run = run_of(deployment, run_id)
    sealed = deployment.bucket.read_sealed(run.run_id)
    if sealed is None:
        raise click.ClickException(
            f"Run {run_id} has no plan. See why: bulk-user-deletion status {run_id}"
        )
    return (*sealed, run)


def confirm(users: int, action: Action, grace_days: int, given: dict[str, int | None]) -> None:
    """Continue only if the number of users was typed, or given with the action's own option.

    `given` are the values of `yes_options`, by parameter name.
    """
    what, option = to_do(action, grace_days), yes_option(action)
    if not users:
        refuse(f"Nobody is left to {verb(action)}.")
    own = option.removeprefix("--").replace("-", "_")
    if others := [name for name, number in given.items() if number is not None and name != own]:
        wrong = others[0].replace("_", "-")
        refuse(
            f"--{wrong} is not for this plan, which has {_count(users)} to {what}. Nothing was"
            f" started. In scripts: {option} {users}"
        )
    typed = given.get(own)
    if typed is None:
        try:
            typed = click.prompt(f"Type the number of users to {what}", type=int, err=True)
        except click.Abort:
            refuse(f"\nThe number was not typed: nothing was started. In scripts: {option} {users}")
    if typed != users:
        refuse(f"That is not the number: there are {_count(users)} to {what}. Nothing was started.")


def refuse(why: str) -> NoReturn:
    """Say why nothing is done, and exit."""
    click.echo(why, err=True)
    raise SystemExit(REFUSED)


def _count(users: int) -> str:
    return "1 user" if users == 1 else f"{users} users"

"""What the commands share: options, waiting for executions, confirmations."""

import getpass
from collections.abc import Callable
from typing import Any, TypeVar

import click
from rich.console import Console

from bulk_user_deletion.errors import OrderRefused, RequestRefused
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.runs import RunRow
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion_cli.deployment import Deployment, Execution
from bulk_user_deletion_cli.exits import SUCCEEDED, EndedOtherwise, Refusal, refuse
from bulk_user_deletion_cli.runs import (
    Ended,
    about_plan,
    ended_by,
    print_end,
    show_doubts,
    show_rows,
    watch,
)
from bulk_user_deletion_cli.terminal import make_console, say, shown
from bulk_user_deletion_cli.today import Today
from bulk_user_deletion_cli.wording import to_do, undone_by, verb, yes_option

_Command = TypeVar("_Command", bound=Callable[..., Any])

as_json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON document on standard output, errors too; everything else on standard"
    " error.",
)


def who_and_why(command: _Command) -> _Command:
    """Add --reason and --requested-by."""
    by = click.option(
        "--requested-by",
        default=getpass.getuser,
        show_default="your user name",
        help="Who wants it; the report names them.",
    )
    why = click.option("--reason", default="", help="Why, such as a ticket; the report gives it.")
    return why(by(command))


def yes_options(*actions: Action) -> Callable[[_Command], _Command]:
    """Add an option for each action that replaces typing the number of users.

    They are separate so that no script ever does to its users what it was not written for.
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
    say(console, f"See who: bulk-user-deletion plan {end.run_id}")
    if end.report.get("counts", {}).get(action.would):
        say(console, f"To {what}, apply it: bulk-user-deletion apply {end.run_id}")


def wait(deployment: Deployment, arn: str) -> Execution:
    """Wait for an execution that is not a run to end, without printing anything."""
    return watch(deployment, arn, Console(quiet=True), is_run=False)


def give_order(
    deployment: Deployment, order: dict[str, Any], *, kind: str, as_json: bool
) -> dict[str, Any]:
    """Send an order and print what was done; return it for scripts.

    Raises:
        Refusal: it was refused, and nothing was changed.
        EndedOtherwise: this is not known; the message says how to look.
    """
    execution = wait(deployment, deployment.start(order, kind=kind))
    if execution.succeeded:
        say(make_console(as_json=as_json), shown(execution.nothing_because))
        return {"said": execution.nothing_because, "execution": execution.name}
    said = execution.cause.partition(" Report: ")[0]
    if execution.error in {RequestRefused.__name__, OrderRefused.__name__}:
        raise Refusal(said)
    raise EndedOtherwise(
        f"{execution.name} ended {execution.status}. {said} It is not known whether it was"
        " carried out: send it again.",
        execution=execution.name,
    )


def run_of(deployment: Deployment, name: str) -> RunRow:
    """Return the row of a run, or of the run that an execution of this name resumed.

    Raises:
        Refusal: there is none.
    """
    run = deployment.ledger.runs.read(deployment.ledger.runs.id_of(name))
    if run is None:
        raise no_run(name)
    return run


def no_run(name: str) -> Refusal:
    """Return the error about an unknown run."""
    return Refusal(f"There is no run {name}. List them: bulk-user-deletion runs")


def sealed_plan(deployment: Deployment, run_id: str) -> tuple[Plan, str, RunRow]:
    """Return a run's plan, the plan's sha256, and the run's row."""
    run = run_of(deployment, run_id)
    sealed = deployment.bucket.read_sealed(run.run_id)
    if sealed is None:
        raise Refusal(f"Run {run_id} has no plan. See why: bulk-user-deletion status {run_id}")
    return (*sealed, run)


def show_today(today: Today, console: Console) -> None:
    """Print what a person needs to decide: what the plan is, and what it would do today."""
    show_rows(about_plan(today.plan), console)
    show_doubts(today.plan, console)
    console.print()
    show_rows(today.rows(), console)


def confirm(
    users: int,
    action: Action,
    grace_days: int,
    given: dict[str, int | None],
    *,
    last_words: str = "",
) -> None:
    """Continue only if the number of users was typed, or given with the action's own option.

    `given` are the values of `yes_options`, by parameter name. `last_words` are printed right above
    the prompt, by default whether it can be undone.

    Raises:
        Refusal: another number was typed or given, or none.
    """
    what, option = to_do(action, grace_days), yes_option(action)
    if not users:
        refuse(f"Nobody is left to {verb(action)}.")
    own = option.removeprefix("--").replace("-", "_")
    if others := [name for name, number in given.items() if number is not None and name != own]:
        wrong = others[0].replace("_", "-")
        refuse(
            f"--{wrong} is not for this plan, which has {counted(users, 'user')} to {what}. Nothing"
            f" was started. In scripts: {option} {users}"
        )
    typed = given.get(own)
    if typed is None:
        say(make_console(as_json=True), f"\n{last_words or undone_by(action)}")
        try:
            typed = click.prompt(f"Type the number of users to {what}", type=int, err=True)
        except click.Abort:
            click.echo(err=True)  # the prompt is on an unfinished line
            refuse(f"The number was not typed: nothing was started. In scripts: {option} {users}")
    if typed != users:
        refuse(
            f"That is not the number: there are {counted(users, 'user')} to {what}. Nothing was"
            " started."
        )

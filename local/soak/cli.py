"""`python -m local soak`: the real template under every fault at once, held to the rules."""

import click
from rich.console import Console

from local.soak.direct import soak
from local.soak.leavers import soak_leavers


@click.command("soak")
@click.option("--users", default=1000, show_default=True, help="How many users to delete.")
@click.option("--seed", default=0, show_default=True, help="Another seed has other bad luck.")
@click.option("--minutes", default=20.0, show_default=True, help="When to give up.")
@click.option(
    "--lifecycle", is_flag=True, help="Disable them first, and delete them when they are due."
)
def soak_command(users: int, seed: int, minutes: float, *, lifecycle: bool) -> None:
    """Delete many users under every fault at once.

    Faults of the portal, functions killed at random, executions aborted and resumed. Exit status 1
    if any user was lost, deleted outside the plan, or sent a DELETE after being seen gone.

    With --lifecycle the users are disabled, some are withdrawn, hired again, renamed or deleted by
    hand, days pass, and daily runs delete the others. Exit status 1 also if anybody was deleted
    before they were due, or after a withdrawal or a rehire that a look saw.
    """
    console = Console(highlight=False)
    how = soak_leavers if lifecycle else soak
    findings = how(users=users, seed=seed, minutes=minutes, console=console)
    console.print(findings.table())
    if any(findings.zeros().values()):
        raise SystemExit(1)

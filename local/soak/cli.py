"""`python -m local soak`: the real template under every fault at once, held to the rules."""

import click
from rich.console import Console

from local.soak.direct import soak
from local.soak.leavers import soak_leavers
from local.soak.year import soak_year


@click.command("soak")
@click.option(
    "--users", type=int, help="How many users to delete [1000]; with --year the portal's [5000]."
)
@click.option("--seed", default=0, show_default=True, help="Another seed has other bad luck.")
@click.option("--minutes", type=float, help="When to give up [20; with --year 60].")
@click.option(
    "--lifecycle", is_flag=True, help="Disable them first, and delete them when they are due."
)
@click.option("--year", is_flag=True, help="Let a year pass, with two updates of the stack.")
@click.option(
    "--from-commit",
    "commits",
    metavar="COMMIT",
    multiple=True,
    help="With --year: what is deployed before an update; may be given twice.",
)
def soak_command(
    users: int | None,
    seed: int,
    minutes: float | None,
    *,
    lifecycle: bool,
    year: bool,
    commits: tuple[str, ...],
) -> None:
    """Delete many users under every fault at once.

    Faults of the portal, functions killed at random, executions aborted and resumed. Exit status 1
    if any user was lost, deleted outside the plan, or sent a DELETE after being seen gone.

    With --lifecycle the users are disabled, some are withdrawn, hired again, renamed or deleted by
    hand, days pass, and daily runs delete the others. Exit status 1 also if anybody was deleted
    before they were due, or after a withdrawal or a rehire that a look saw.

    With --year there are no faults, but everything that time brings: weekly drops, monthly rosters,
    daily runs, people who come back, a changed key, change windows, two updates of the stack while
    runs are in progress, and what is kept no longer than it should be. Exit status 1 also if
    anybody's fate is another one than was ordered, or if more is kept than its bound allows.
    """
    if lifecycle and year:
        raise click.UsageError("--lifecycle and --year exclude each other.")
    if commits and not year:
        raise click.UsageError("--from-commit goes with --year.")
    if len(commits) > 2:
        raise click.UsageError("There are two updates: give --from-commit twice at most.")
    console = Console(highlight=False)
    if year:
        found = soak_year(
            users=users or 5000,
            seed=seed,
            minutes=minutes or 60,
            console=console,
            commits=commits,
        )
        for table in (found.table(), found.bounds(), found.ending()):
            console.print(table)
        raise SystemExit(any(found.zeros().values()))
    how = soak_leavers if lifecycle else soak
    findings = how(users=users or 1000, seed=seed, minutes=minutes or 20, console=console)
    console.print(findings.table())
    if any(findings.zeros().values()):
        raise SystemExit(1)

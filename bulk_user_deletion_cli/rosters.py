"""The command about rosters, the lists of everybody who stays."""

from pathlib import Path
from typing import Any

import click

from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.parts import (
    as_json_option,
    follow,
    print_next_steps,
    who_and_why,
)
from bulk_user_deletion_cli.terminal import make_console


@click.command()
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--dataset", type=click.IntRange(min=1), metavar="ID", help="A dataset as roster.")
@click.option(
    "--rows",
    type=click.IntRange(min=1),
    metavar="N",
    help="How many rows the roster has; another number is refused.",
)
@who_and_why
@as_json_option
@click.pass_obj
def roster(
    stack_name: str,
    file: Path | None,
    dataset: int | None,
    rows: int | None,
    reason: str,
    requested_by: str,
    as_json: bool,
) -> None:
    """Say who has left: users whom an earlier roster named and this one does not.

    Nobody is touched.

    FILE is a list of everybody who stays, in any format that may be dropped under roster/. The
    first one is the baseline. Applying the plan disables those who have left.
    """
    if bool(file) == bool(dataset):
        raise click.UsageError("Name exactly one of FILE and --dataset.")
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    source: dict[str, Any] = deployment.upload(file) if file else {"dataset_id": dataset}
    if rows:
        source["rows"] = rows
    request = {
        "mode": "preview",
        "source": {"roster": source},
        "reason": reason,
        "requested_by": requested_by,
    }
    end = follow(deployment, deployment.start(request), console, as_json=as_json)
    print_next_steps(end, console)
    raise SystemExit(end.exit_status)

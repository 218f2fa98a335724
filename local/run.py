"""`python -m local run`: the main job, end to end, on this machine."""

import json
import time
from pathlib import Path
from typing import TextIO

import click
from rich.console import Console

from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.runs import ended_by, print_end, watch
from local.deployed import PortalAccess, deployed, parameters_option, wait_scale_option

# How long a dropped file may take to start a run, and how often to check for it.
_START_SECONDS = 60
_POLL_SECONDS = 0.3


@click.command("run")
@click.option("--portal-url", metavar="URL", help="A portal to use; the simulator by default.")
@click.option(
    "--credentials",
    type=click.File(encoding="utf-8"),
    help="JSON with application_id, application_key and user; - reads it from standard input.",
)
@click.option(
    "--event",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Start by hand with this request.",
)
@click.option(
    "--drop",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Drop this file into the inbox.",
)
@parameters_option
@wait_scale_option
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Where to copy reports.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line last.")
def run_command(
    portal_url: str | None,
    credentials: TextIO | None,
    event: Path | None,
    drop: Path | None,
    parameters: dict[str, str],
    wait_scale: float,
    out: Path,
    as_json: bool,
) -> None:
    """Run the whole application on this machine.

    The real template is deployed on emulated AWS. With no arguments, about 25 of 400 users of a
    simulated portal are deleted.

    Exit status: 0 the run succeeded; 1 it ended otherwise; 2 it was refused before anything was
    deleted.
    """
    console = Console(stderr=as_json, highlight=False)
    if event and drop:
        raise click.UsageError("--event and --drop exclude each other.")
    if bool(portal_url) is not bool(credentials):
        raise click.UsageError("--portal-url and --credentials go together.")
    if portal_url and not (event or drop):
        raise click.UsageError("With --portal-url, say whom to delete: --event or --drop.")

    portal = None
    if portal_url and credentials:
        portal = _access(portal_url, credentials)
        console.print(f"Portal: {portal.url}. Waits are scaled by {wait_scale:g}.")
    with deployed(portal, parameters, wait_scale=wait_scale, console=console) as (
        _,
        deployment,
        demonstration,
    ):
        if drop:
            arn = _drop(deployment, drop)
        else:
            request = json.loads(event.read_text(encoding="utf-8")) if event else demonstration
            arn = deployment.start(request)
        end = ended_by(deployment, watch(deployment, arn, console))
        raise SystemExit(print_end(end, deployment, console=console, as_json=as_json, out=out))


def _access(url: str, credentials: TextIO) -> PortalAccess:
    """Read the same document as the credentials secret has."""
    try:
        given = json.load(credentials)
        return PortalAccess(url, given["application_id"], given["application_key"], given["user"])
    except (ValueError, KeyError, TypeError) as error:
        raise click.UsageError(
            "--credentials must be a JSON object with application_id, application_key and user."
        ) from error


def _drop(deployment: Deployment, file: Path) -> str:
    """Drop a file into the inbox; return the ARN of the execution that it starts."""
    before = set(deployment.executions())
    deployment.drop(file)
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline:
        for arn in deployment.executions():
            if arn not in before:
                return arn
        time.sleep(_POLL_SECONDS)
    raise click.ClickException("The dropped file started no execution.")

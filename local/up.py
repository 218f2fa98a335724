"""`python -m local up`: emulated AWS and a simulated portal to try the operator's commands on."""

import signal
import threading
from pathlib import Path

import click
from rich.console import Console

from bulk_user_deletion_cli.deployment import Deployment
from local.deployed import deployed, parameters_option, wait_scale_option
from local.jump import announced


@click.command("up")
@parameters_option
@wait_scale_option
def up_command(parameters: dict[str, str], wait_scale: float) -> None:
    """Keep the application and a simulated portal running, to try bulk-user-deletion on."""
    console = Console(highlight=False)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with (
        deployed(None, parameters, wait_scale=wait_scale, console=console) as (
            aws,
            deployment,
            request,
        ),
        announced(aws),
    ):
        dataset_id = request["source"]["dataset_id"]
        console.print(_hints(deployment, dataset_id, aws.operators_clock()), soft_wrap=True)
        ended.wait()


def _hints(deployment: Deployment, dataset_id: int, clock: Path) -> str:
    return f"""
In another terminal, in this folder:

  export AWS_ENDPOINT_URL={deployment.endpoint}
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local AWS_DEFAULT_REGION=us-east-1
  alias bulk-user-deletion='PYTHONPATH={clock} .venv/bin/bulk-user-deletion'
  bulk-user-deletion doctor
  bulk-user-deletion preview --dataset {dataset_id}

Let 30 days pass at once, for AWS, the portal and the commands above:

  .venv/bin/python -m local jump --days 30

Interrupt to end it."""

"""`python -m local portal`: only the simulated portal."""

import signal
import threading
from pathlib import Path
from typing import get_args

import click

from local.portal.knobs import DeleteMode, Knobs
from local.portal.simulator import PortalSimulator


@click.command("portal")
@click.option("--port", default=8765, show_default=True, help="Port on the loopback address.")
@click.option("--users", default=400, show_default=True, help="How many users it has.")
@click.option("--token-life", default=900.0, show_default=True, help="Seconds a token lasts.")
@click.option(
    "--seconds-per-delete", default=60.0, show_default=True, help="Seconds a DELETE takes."
)
@click.option(
    "--delete-mode",
    type=click.Choice(get_args(DeleteMode)),
    default="synchronous",
    show_default=True,
    help="When a DELETE is answered, and whether it does anything.",
)
@click.option("--seed", default=0, show_default=True, help="Another seed makes different users.")
@click.option(
    "--log",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Append every request to this file, as JSON lines.",
)
def portal_command(
    port: int,
    users: int,
    token_life: float,
    seconds_per_delete: float,
    delete_mode: DeleteMode,
    seed: int,
    log: Path | None,
) -> None:
    """Serve a simulated Metric Insights portal until interrupted."""
    knobs = Knobs(
        token_life_seconds=token_life,
        seconds_per_delete=seconds_per_delete,
        delete_mode=delete_mode,
    )
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    with PortalSimulator(users=users, knobs=knobs, seed=seed, port=port, log_file=log) as portal:
        dataset = portal.add_dataset(
            "SELECT user_id FROM user WHERE username IN ('user0118', 'user0119', 'user0120')"
        )
        credentials = (
            f'{{"application_id": "{portal.application_id}",'
            f' "application_key": "{portal.application_key}", "user": "{portal.api_user}"}}'
        )
        click.echo(f"Simulated portal: {portal.url}, {users} users. Interrupt to end it.")
        click.echo(f"Dataset {dataset} names user0118, user0119 and user0120.")
        click.echo("\nA token:")
        click.echo(f"  echo '{credentials}' | curl -s {portal.url}/api/get_token -d @-")
        click.echo("\nDelete three of its users, in another terminal:")
        click.echo(
            f"  echo '{credentials}' | python -m local run --portal-url {portal.url}"
            " --credentials - --event events/apply_list.json"
        )
        stopped.wait()

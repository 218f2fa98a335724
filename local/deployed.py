"""The whole application, temporarily on this machine: emulated AWS, the real template, a portal."""

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click
from rich.console import Console

from bulk_user_deletion.models.runs import Pace
from bulk_user_deletion_cli.deployment import Deployment
from local.demo import demo_portal
from local.engine import DeployError, Engine, Stack
from local.portal import PortalSimulator

PROJECT = Path(__file__).resolve().parent.parent
STACK_NAME = "bulk-user-deletion"


@dataclass(frozen=True)
class PortalAccess:
    """The address of the portal, and the credentials for a token."""

    url: str
    application_id: str
    application_key: str
    user: str

    @classmethod
    def to(cls, simulator: PortalSimulator) -> Self:
        """Return the access to a simulated portal."""
        return cls(
            simulator.url,
            simulator.application_id,
            simulator.application_key,
            simulator.api_user,
        )


def _parameters(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    parameters = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"'{value}' is not of the form Parameter=value")
        parameters[name] = text
    return parameters


parameters_option = click.option(
    "--set",
    "parameters",
    metavar="Parameter=value",
    multiple=True,
    callback=_parameters,
    help="A stack parameter; may be given several times.",
)
wait_scale_option = click.option(
    "--wait-scale",
    type=click.FloatRange(min=0, max=1),
    default=0.01,
    show_default=True,
    help="Factor on every Wait; the simulator's own times follow it.",
)


@contextmanager
def deployed(
    portal: PortalAccess | None,
    parameters: Mapping[str, str],
    *,
    wait_scale: float,
    console: Console,
) -> Iterator[tuple[Engine, Deployment, dict[str, Any]]]:
    """Deploy the stack for a portal (by default the simulated one), with its credentials filled in.

    Yields emulated AWS, whose time the simulated portal has, the deployment, and the request that
    deletes the simulated portal's leavers.
    """
    with ExitStack() as resources:
        request: dict[str, Any] = {}
        simulator = None
        if portal is None:
            simulator, request = resources.enter_context(demo_portal(wait_scale))
            portal = PortalAccess.to(simulator)
            console.print(
                f"Simulated portal: {portal.url}, {len(simulator.user_ids())} users. A DELETE"
                f" takes {simulator.knobs.seconds_per_delete:g} s, a token lasts"
                f" {simulator.knobs.token_life_seconds:g} s.",
                soft_wrap=True,
            )
        started = time.monotonic()
        aws = resources.enter_context(Engine(wait_scale=wait_scale))
        if simulator:
            simulator.clock = aws.now
        if simulator:
            parameters = {"WaitSeconds": scaled_seconds(wait_scale), **parameters}
        try:
            stack = aws.deploy(PROJECT, STACK_NAME, {"PortalUrl": portal.url, **parameters})
        except DeployError as error:
            raise click.UsageError(f"The stack could not be deployed: {error}") from None
        took = time.monotonic() - started
        console.print(f"Emulated AWS: {aws.endpoint}, template.yaml deployed in {took:.1f} s.")

        deployment = connect(aws, stack, portal)
        if simulator:
            seconds = simulator.knobs.seconds_per_delete
            deployment.ledger.portal.record_pace(Pace(seconds_per_delete=seconds), before=Pace())
        yield aws, deployment, request


def scaled_seconds(wait_scale: float) -> str:
    """Return the simulated portal's WaitSeconds, whose times are all scaled.

    With this and the pace of the simulator, a plan is estimated on the same time scale as its
    tokens: otherwise it warns about renewals that are only too many on the scaled clock.
    """
    return str(max(1, round(60 * wait_scale)))


def connect(aws: Engine, stack: Stack, portal: PortalAccess) -> Deployment:
    """Fill a stack's credentials, as a person does before the first run; return the deployment."""
    credentials = {
        "application_id": portal.application_id,
        "application_key": portal.application_key,
        "user": portal.user,
    }
    aws.client("secretsmanager").put_secret_value(
        SecretId=stack.outputs["CredentialsSecretArn"], SecretString=json.dumps(credentials)
    )
    # The operator's commands find the emulator this way.
    os.environ.pop("AWS_PROFILE", None)
    os.environ.update(aws.environment)
    return Deployment(stack.name)

"""`python -m local run`: the main job, end to end, on this machine."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
from rich.console import Console

from bulk_user_deletion.bucket import Bucket, report_key
from bulk_user_deletion.ledger import Ledger
from bulk_user_deletion.models import RunStatus
from local.demo import demo_portal
from local.engine import DeployError, Engine, Stack
from local.progress import Progress

PROJECT = Path(__file__).resolve().parent.parent
STACK_NAME = "bulk-user-deletion"

# How often a run is looked at, and how long a dropped file may take to start one.
_POLL_SECONDS = 0.3
_START_SECONDS = 60

_EXIT_SUCCEEDED, _EXIT_ENDED_OTHERWISE, _EXIT_REFUSED = 0, 1, 2


@dataclass(frozen=True)
class PortalAccess:
    """Where the portal is, and what it wants for a token."""

    url: str
    application_id: str
    application_key: str
    user: str


def _parameters(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    parameters = {}
    for value in values:
        name, equals, text = value.partition("=")
        if not equals or not name:
            raise click.BadParameter(f"'{value}' is not of the form Parameter=value")
        parameters[name] = text
    return parameters


@click.command("run")
@click.option("--portal-url", metavar="URL", help="A portal to use; the simulator if absent.")
@click.option("--application-id", metavar="ID", help="Its External Application.")
@click.option("--application-key", metavar="KEY", help="The application's key.")
@click.option("--user", metavar="NAME", help="The username the token shall act as.")
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
@click.option(
    "--set",
    "parameters",
    metavar="Parameter=value",
    multiple=True,
    callback=_parameters,
    help="A stack parameter; may be given several times.",
)
@click.option(
    "--wait-scale",
    type=click.FloatRange(min=0, max=1),
    default=0.01,
    show_default=True,
    help="Factor on every Wait; the simulator's own times follow it.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("out"),
    show_default=True,
    help="Where reports are copied.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON line last.")
def run_command(
    portal_url: str | None,
    application_id: str | None,
    application_key: str | None,
    user: str | None,
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
    access = [portal_url, application_id, application_key, user]
    if any(access) and not all(access):
        raise click.UsageError(
            "--portal-url, --application-id, --application-key and --user go together."
        )
    if portal_url and not (event or drop):
        raise click.UsageError("With --portal-url, say whom to delete: --event or --drop.")

    with ExitStack() as resources:
        if portal_url and application_id and application_key and user:
            portal = PortalAccess(portal_url, application_id, application_key, user)
            request: dict[str, Any] = {}
            console.print(f"Portal: {portal.url}. Waits take {wait_scale:g} of their time.")
        else:
            simulator, request = resources.enter_context(demo_portal(wait_scale))
            portal = PortalAccess(
                simulator.url,
                simulator.application_id,
                simulator.application_key,
                simulator.api_user,
            )
            console.print(
                f"Simulated portal: {portal.url}, {len(simulator.user_ids())} users. A DELETE"
                f" takes {simulator.knobs.seconds_per_delete:g} s, a token lives"
                f" {simulator.knobs.token_life_seconds:g} s."
            )
        if event:
            request = json.loads(event.read_text(encoding="utf-8"))

        started = time.monotonic()
        aws = resources.enter_context(Engine(wait_scale=wait_scale))
        try:
            stack = aws.deploy(PROJECT, STACK_NAME, {"PortalUrl": portal.url, **parameters})
        except DeployError as error:
            raise click.UsageError(f"The stack could not be deployed: {error}") from None
        took = time.monotonic() - started
        console.print(f"Emulated AWS: {aws.endpoint}, template.yaml deployed in {took:.1f} s.")

        run = Run(aws, stack)
        run.fill_credentials(portal)
        arn = run.drop(drop) if drop else run.start(request)
        execution = run.watch(arn, console)
        _finish(run, execution, out=out, console=console, as_json=as_json)


class Run:
    """One run on the emulator."""

    def __init__(self, aws: Engine, stack: Stack) -> None:
        self._sfn = aws.client("stepfunctions")
        self._s3 = aws.client("s3")
        self._secrets = aws.client("secretsmanager")
        self._outputs = stack.outputs
        # The application's own readers of the ledger and the bucket find the emulator this way.
        os.environ.pop("AWS_PROFILE", None)
        os.environ.update(aws.environment)
        self.ledger = Ledger(self._outputs["LedgerTableName"])
        self.bucket = Bucket(self._outputs["DataBucketName"])

    def fill_credentials(self, portal: PortalAccess) -> None:
        """Write the credentials secret, as a person does before the first run."""
        document = {
            "application_id": portal.application_id,
            "application_key": portal.application_key,
            "user": portal.user,
        }
        self._secrets.put_secret_value(
            SecretId=self._outputs["CredentialsSecretArn"], SecretString=json.dumps(document)
        )

    def start(self, request: dict[str, Any]) -> str:
        """Start an execution by hand, as from the console; return its ARN."""
        return self._sfn.start_execution(
            stateMachineArn=self._outputs["StateMachineArn"],
            name=f"run-{time.strftime('%Y%m%dT%H%M%S')}-{uuid4().hex[:6]}",
            input=json.dumps(request),
        )["executionArn"]

    def drop(self, file: Path) -> str:
        """Drop a file into the inbox; return the ARN of the execution that it starts."""
        before = set(self._executions())
        self._s3.put_object(
            Bucket=self._outputs["DataBucketName"],
            Key=f"inbox/{file.name}",
            Body=file.read_bytes(),
        )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            for arn in self._executions():
                if arn not in before:
                    return arn
            time.sleep(_POLL_SECONDS)
        raise click.ClickException("The dropped file started no execution.")

    def watch(self, arn: str, console: Console) -> dict[str, Any]:
        """Show the run's progress until its execution ends; return the ended execution."""
        run_id = arn.rpartition(":")[2]
        with Progress(run_id, self.ledger, self.bucket, console) as progress:
            while True:
                execution = self._sfn.describe_execution(executionArn=arn)
                progress.update()
                if execution["status"] != "RUNNING":
                    return dict(execution)
                time.sleep(_POLL_SECONDS)

    def status(self, arn: str) -> str:
        """Return an execution's status."""
        return self._sfn.describe_execution(executionArn=arn)["status"]

    def abort(self, arn: str) -> None:
        """Stop an execution, as somebody does in the console who does not know the stop button."""
        self._sfn.stop_execution(executionArn=arn)

    def read_report(self, run_id: str, suffix: str) -> bytes:
        """Return a run's report, empty when there is none."""
        try:
            return self._s3.get_object(
                Bucket=self._outputs["DataBucketName"], Key=report_key(run_id, suffix)
            )["Body"].read()
        except self._s3.exceptions.NoSuchKey:
            return b""

    def _executions(self) -> Iterator[str]:
        machine = self._outputs["StateMachineArn"]
        for execution in self._sfn.list_executions(stateMachineArn=machine)["executions"]:
            yield execution["executionArn"]


def _finish(
    run: Run, execution: dict[str, Any], *, out: Path, console: Console, as_json: bool
) -> None:
    run_id = execution["name"]
    paths = {}
    for suffix in ("json", "csv"):
        if content := run.read_report(run_id, suffix):
            path = out / run_id / f"report.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths[suffix] = str(path)
    report = json.loads(Path(paths["json"]).read_bytes()) if "json" in paths else {}
    status = report.get("status", execution["status"])
    counts: dict[str, int] = report.get("counts", {})

    console.print(f"\n[bold]{status}[/bold]: {report.get('sentence', execution.get('cause', ''))}")
    for name, number in counts.items():
        console.print(f"{number:>7}  {name}")
    if report:
        console.print(f"{report['requested']:>7}  requested, {report['renewals']} token renewals")
    for path in paths.values():
        console.print(f"Report: {path}", soft_wrap=True)
    if as_json:
        line = {"run_id": run_id, "status": status, "outcomes": counts, "reports": paths}
        click.echo(json.dumps(line))
    if execution["status"] == "SUCCEEDED":
        raise SystemExit(_EXIT_SUCCEEDED)
    refused = status == RunStatus.REFUSED
    raise SystemExit(_EXIT_REFUSED if refused else _EXIT_ENDED_OTHERWISE)

"""`python -m local rehearse`: what `sam build` made, from its first deployment to its removal."""

import json
from pathlib import Path

import click
from botocore.exceptions import ClientError
from rich.console import Console

from local.demo import demo_portal
from local.engine import Engine, Stack
from local.run import STACK_NAME, PortalAccess, Run

_WAIT_SCALE = 0.002


@click.command("rehearse")
@click.argument(
    "build", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".aws-sam/build"
)
def rehearse_command(build: Path) -> None:
    """Deploy BUILD on emulated AWS, run, update one parameter, run again, remove the stack."""
    console = Console(highlight=False)
    with demo_portal(_WAIT_SCALE) as (portal, request), Engine(wait_scale=_WAIT_SCALE) as aws:
        access = PortalAccess(
            portal.url, portal.application_id, portal.application_key, portal.api_user
        )
        stack = aws.deploy(build, STACK_NAME, {"PortalUrl": portal.url})
        console.print(f"Deployed {build}: {len(stack.resources)} resources.", soft_wrap=True)
        run = Run(aws, stack)
        run.fill_credentials(access)
        before = len(portal.user_ids())
        _expect(run, {**request, "mode": "preview"}, "PREVIEWED", console)
        _expect(run, request, "SUCCEEDED", console)
        console.print(
            f"Users of the portal: {before} before, {len(portal.user_ids())} now.", soft_wrap=True
        )

        aws.deploy(build, STACK_NAME, {"PortalUrl": portal.url, "MaxUsers": "0"})
        console.print("Updated: MaxUsers=0.", soft_wrap=True)
        _expect(run, request, "REFUSED", console)

        outputs = stack.outputs
        stack.delete()
        console.print("Removed the stack.", soft_wrap=True)
        _say_what_stays(aws, stack, outputs, console)


def _expect(run: Run, request: dict[str, object], status: str, console: Console) -> None:
    run_id = run.watch(run.start(request), Console(quiet=True))["name"]
    report = json.loads(run.read_report(run_id, "json"))
    console.print(f"{report['status']}: {report['sentence']}", soft_wrap=True)
    if report["status"] != status:
        raise click.ClickException(f"This run should have ended {status}.")


def _say_what_stays(aws: Engine, stack: Stack, outputs: dict[str, str], console: Console) -> None:
    """Check that what proves the deletions is still there, and nothing that could go on."""
    aws.client("s3").head_bucket(Bucket=outputs["DataBucketName"])
    aws.client("dynamodb").describe_table(TableName=outputs["LedgerTableName"])
    try:
        aws.client("stepfunctions").describe_state_machine(
            stateMachineArn=outputs["StateMachineArn"]
        )
    except ClientError:
        console.print("The bucket and the table stay; the machine is gone.", soft_wrap=True)
    else:
        raise click.ClickException(f"The machine of {stack.name} is still there.")

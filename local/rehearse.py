"""`python -m local rehearse`: the output of `sam build`, from first deployment to removal."""

from pathlib import Path

import click
from botocore.exceptions import ClientError
from rich.console import Console

from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.runs import ended_by, watch
from local.demo import demo_portal
from local.deployed import STACK_NAME, PortalAccess, connect
from local.engine import Engine, Stack

_WAIT_SCALE = 0.002


@click.command("rehearse")
@click.argument(
    "build", type=click.Path(exists=True, file_okay=False, path_type=Path), default=".aws-sam/build"
)
def rehearse_command(build: Path) -> None:
    """Deploy BUILD on emulated AWS, run, update one parameter, run again, remove the stack."""
    console = Console(highlight=False)
    with demo_portal(_WAIT_SCALE) as (portal, request), Engine(wait_scale=_WAIT_SCALE) as aws:
        stack = aws.deploy(build, STACK_NAME, {"PortalUrl": portal.url})
        console.print(f"Deployed {build}: {len(stack.resources)} resources.", soft_wrap=True)
        deployment = connect(aws, stack, PortalAccess.to(portal))
        before = len(portal.user_ids())
        _expect(deployment, {**request, "mode": "preview"}, "PREVIEWED", console)
        _expect(deployment, request, "SUCCEEDED", console)
        console.print(
            f"Users of the portal: {before} before, {len(portal.user_ids())} now.", soft_wrap=True
        )

        aws.deploy(build, STACK_NAME, {"PortalUrl": portal.url, "MaxUsers": "0"})
        console.print("Updated: MaxUsers=0.", soft_wrap=True)
        _expect(deployment, request, "REFUSED", console)

        outputs = stack.outputs
        stack.delete()
        console.print("Removed the stack.", soft_wrap=True)
        _check_what_stays(aws, stack, outputs, console)


def _expect(
    deployment: Deployment, request: dict[str, object], status: str, console: Console
) -> None:
    arn = deployment.start(request)
    end = ended_by(deployment, watch(deployment, arn, Console(quiet=True)))
    console.print(f"{end.status}: {end.sentence}", soft_wrap=True)
    if end.status != status:
        raise click.ClickException(f"This run should have ended {status}.")


def _check_what_stays(aws: Engine, stack: Stack, outputs: dict[str, str], console: Console) -> None:
    """Check that the records of the deletions still exist, and nothing that could still run."""
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

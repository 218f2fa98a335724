"""The orders: stop, end a quiet time, accept what the guard keeps."""

import getpass

import click

from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.parts import as_json_option, give_order
from bulk_user_deletion_cli.terminal import print_json


@click.command()
@click.argument("run_id", required=False, default="")
@click.option("--portal", is_flag=True, help="Every run on the portal, until it is lifted.")
@click.option("--lift", is_flag=True, help="Take the stop back, of RUN_ID or of the portal.")
@click.option("--reason", required=True, help="Why. The report of a stopped run says it.")
@click.option(
    "--by",
    default=getpass.getuser,
    show_default="your user name",
    help="Who; the report says that too.",
)
@as_json_option
@click.pass_obj
def stop(
    stack_name: str, run_id: str, portal: bool, lift: bool, reason: str, by: str, as_json: bool
) -> None:
    """Stop a run before its next user, or every run on the portal.

    A run that has ended is stopped only if it left users open for whom a resume is waiting.
    """
    if bool(run_id) == portal and not (lift and not run_id):
        raise click.UsageError("Name a run, or --portal.")
    deployment = Deployment(stack_name)
    order = {"reason": reason, "by": by}
    if run_id:
        order["run_id"] = deployment.ledger.runs.id_of(run_id)
    done = give_order(deployment, {"lift" if lift else "stop": order}, kind="stop", as_json=as_json)
    if as_json:
        print_json(done)


@click.command("end-quiet")
@click.option("--reason", required=True, help="Why; kept with the order's execution.")
@click.option(
    "--by", default=getpass.getuser, show_default="your user name", help="Who; kept there too."
)
@as_json_option
@click.pass_obj
def end_quiet(stack_name: str, reason: str, by: str, as_json: bool) -> None:
    """Call the portal again before the time that it asked to be left alone is over."""
    order = {"end_quiet": {"reason": reason, "by": by}}
    done = give_order(Deployment(stack_name), order, kind="end-quiet", as_json=as_json)
    if as_json:
        print_json(done)


@click.command("accept-guard")
@click.argument("users", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why; the ledger keeps it.")
@click.option(
    "--by", default=getpass.getuser, show_default="your user name", help="Who; it keeps that too."
)
@as_json_option
@click.pass_obj
def accept_guard(stack_name: str, users: int, reason: str, by: str, as_json: bool) -> None:
    """Accept that the guard keeps only USERS users now.

    USERS is the number in the refusal: first check that these really are all.
    """
    order = {"accept_guard": {"users": users, "reason": reason, "by": by}}
    done = give_order(Deployment(stack_name), order, kind="accept-guard", as_json=as_json)
    if as_json:
        print_json(done)

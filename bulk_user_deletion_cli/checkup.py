"""The command `doctor`: prints what `doctor.py` finds, and tries disabling if asked to."""

import click

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.rules.identity import is_user_id
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.doctor import Finding, State, findings
from bulk_user_deletion_cli.exits import ENDED_OTHERWISE, SUCCEEDED
from bulk_user_deletion_cli.parts import as_json_option, confirm, wait
from bulk_user_deletion_cli.target import current_target, told
from bulk_user_deletion_cli.terminal import make_console, print_json, say, shown
from bulk_user_deletion_cli.trial import Trial


@click.command()
@click.option(
    "--try-disabling",
    "test_account",
    metavar="USER-ID",
    help="Disable this user, and enable them again: an enabled TEST ACCOUNT of the portal that"
    " nobody uses. Shows whether the portal's PUT does what we assume.",
)
@click.option(
    "--yes-disable",
    type=click.IntRange(min=1),
    metavar="N",
    help="For scripts, with --try-disabling: 1, the number of users to disable.",
)
@as_json_option
@click.pass_obj
def doctor(
    stack_name: str, test_account: str | None, yes_disable: int | None, as_json: bool
) -> None:
    """Say what works, what does not, and how to fix it.

    Nobody is touched, unless you name a test account to try disabling on.
    """
    if test_account and not is_user_id(test_account):
        raise click.UsageError("--try-disabling takes a user id: a name may be another user's.")
    console = make_console(as_json=as_json)
    found: list[Finding] = []
    marks = {State.WELL: "[green]✓[/green]", State.WRONG: "[red]✗[/red]", State.UNKNOWN: "?"}

    def show(finding: Finding) -> None:
        found.append(finding)
        say(
            console, f" {marks[finding.state]} {finding.what:<22}  {shown(finding.said)}", indent=27
        )
        if finding.state is State.WRONG and finding.fix:
            say(console, f"   {'':<22}  → {shown(finding.fix)}", indent=29)

    for finding in findings(current_target(), wait):
        show(finding)
    if test_account and _is_wrong(found):
        said = "\nNobody was disabled: fix what is wrong first, then try disabling."
        console.print(said)
    elif test_account:
        warning = f"User {test_account} will be disabled, and enabled again: a test account only."
        confirm(1, Action.DISABLE, 0, {"yes_disable": yes_disable}, last_words=warning)
        deployment = Deployment(stack_name)
        for finding in Trial(
            deployment, test_account, lambda arn: wait(deployment, arn)
        ).findings():
            show(finding)
    wrong = _is_wrong(found)
    say(console, f"\nWrong: {', '.join(wrong)}." if wrong else "\nNothing is wrong.")
    if as_json:
        print_json({"findings": [_finding_as_json(finding) for finding in found], "wrong": wrong})
    raise SystemExit(ENDED_OTHERWISE if wrong else SUCCEEDED)


def _is_wrong(found: list[Finding]) -> list[str]:
    """Return what is wrong."""
    return [finding.what for finding in found if finding.state is State.WRONG]


def _finding_as_json(finding: Finding) -> dict[str, str]:
    return {
        "what": finding.what,
        "state": finding.state,
        "said": finding.said,
        "fix": told(finding.fix) if finding.state is State.WRONG else "",
    }

"""The command `verify`: whether report, plan, ledger and execution of a run agree."""

import time
from hashlib import sha256

import click

from bulk_user_deletion.bucket_keys import file_name, files_before_report, report_key
from bulk_user_deletion.errors import PlanEdited
from bulk_user_deletion.rules.identity import user_keys
from bulk_user_deletion_cli.deployment import Deployment
from bulk_user_deletion_cli.evidence import Kept, Verdict, compare
from bulk_user_deletion_cli.exits import ENDED_OTHERWISE, SUCCEEDED, Refusal
from bulk_user_deletion_cli.parts import as_json_option
from bulk_user_deletion_cli.terminal import make_console, print_json, say, shown

_MARKS = {
    Verdict.AGREES: "[green]✓[/green]",
    Verdict.EXPIRED: "[yellow]-[/yellow]",
    Verdict.UNSEALED: "[yellow]-[/yellow]",
    Verdict.MISSING: "[red]✗[/red]",
    Verdict.DIFFERS: "[red]✗[/red]",
}


@click.command()
@click.argument("run_id")
@as_json_option
@click.pass_obj
def verify(stack_name: str, run_id: str, as_json: bool) -> None:
    """Check a run's report, plan, ledger and execution against each other.

    It distinguishes what has expired from what is missing. Nothing is changed.
    """
    console, deployment = make_console(as_json=as_json), Deployment(stack_name)
    run_id = deployment.ledger.runs.id_of(run_id)
    found = list(compare(gather(deployment, run_id)))
    for finding in found:
        said = f" {_MARKS[finding.verdict]} {finding.what:<10} {finding.verdict}: "
        say(console, said + shown(finding.said), indent=14)
    bad = sorted({finding.what for finding in found if finding.verdict.is_bad})
    gone = sorted({finding.what for finding in found if finding.verdict is Verdict.EXPIRED})
    if bad:
        say(
            console,
            f"\nDoes not agree: {', '.join(bad)}. Find out who changed it: CloudTrail names them."
            " The bucket keeps what was overwritten for 30 days, or as long as it is locked.",
        )
    else:
        expired = f"; expired: {', '.join(gone)}" if gone else ""
        say(console, f"\nWhat is kept of {run_id} agrees{expired}.")
    if as_json:
        lines = [
            {"what": finding.what, "verdict": finding.verdict, "said": finding.said}
            for finding in found
        ]
        print_json({"run_id": run_id, "agrees": not bad, "findings": lines})
    raise SystemExit(ENDED_OTHERWISE if bad else SUCCEEDED)


def gather(deployment: Deployment, run_id: str) -> Kept:
    """Read everything that is kept of a run.

    Raises:
        Refusal: there is nothing to compare, or not yet.
    """
    ledger, bucket = deployment.ledger, deployment.bucket
    run = ledger.runs.read(run_id)
    body = bucket.read_report(run_id, "json")
    if run is None and not body:
        raise Refusal(
            f"Nothing is kept of run {run_id}: it never existed, or it is older than RetentionDays"
            f" ({deployment.days('RetentionDays')} days)."
        )
    if run and run.is_open:
        raise Refusal(
            f"Run {run_id} is not over: see its state with bulk-user-deletion status {run_id}"
        )
    if run and not body and not run.plan_sha256 and not run.report_sha256:
        raise Refusal(f"Run {run_id} had nothing to do, and has no report.")
    rounds = run.round_number if run else 1
    keys = [
        *files_before_report(run_id, rounds),
        *(report_key(run_id, suffix) for suffix in ("csv", "html")),
    ]
    files = {file_name(key): digest for key in keys if (digest := bucket.digest(key))}
    try:
        plan = bucket.read_plan(run_id)
    except (ValueError, KeyError, TypeError, AttributeError):
        plan = None  # edited: its hash says so
    rows = {row.user_id: row for row in ledger.users.read_all(run_id)}
    users = plan.users if plan else []
    batches: dict[str, frozenset[str] | None] = {}
    for key in bucket.batch_keys(run_id):
        try:
            batches[file_name(key)] = frozenset(bucket.read_batch(key))
        except PlanEdited:
            batches[file_name(key)] = None
    return Kept(
        run=run,
        report=body,
        report_sha256=sha256(body).hexdigest(),
        plan=plan,
        files=files,
        rows=rows,
        departures=ledger.users.deletions(
            {key for user in users for key in user_keys(user)},
            portal_url=plan.portal_url if plan else "",
        ),
        intents=frozenset(ledger.users.intents_of(run_id, run.action, since=run.started_at))
        if run
        else frozenset(),
        leavers=frozenset(
            leaver.user_id for leaver in deployment.leavers() if run_id in leaver.runs
        ),
        batches=batches,
        execution=deployment.execution(run.execution_arn) if run else None,
        retention_days=deployment.days("RetentionDays"),
        now=time.time(),
    )

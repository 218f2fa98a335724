"""Runs on the terminal: watches them until they end, and prints how they ended."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Plan
from bulk_user_deletion.models.runs import Pace, RunStatus
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import showable
from bulk_user_deletion_cli.deployment import Deployment, Execution
from bulk_user_deletion_cli.display import Display
from bulk_user_deletion_cli.wording import days

SUCCEEDED, ENDED_OTHERWISE, REFUSED = 0, 1, 2

# Short runs are polled often; long ones less often, which saves calls to AWS.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.3, 10.0


def shown(text: str) -> str:
    """Return text from outside in a form that the console prints unchanged."""
    return escape(showable(text))


def watch(deployment: Deployment, arn: str, console: Console) -> Execution:
    """Show a run's progress until its execution ends; return the ended execution."""
    name = arn.rpartition(":")[2]
    poll = _FIRST_POLL_SECONDS
    try:
        with Display(name, deployment.ledger, deployment.bucket, console) as display:
            while True:
                execution = deployment.execution(arn)
                display.update()
                if execution is None:
                    raise click.ClickException(f"Step Functions has no record of {arn}.")
                if not execution.is_running:
                    return execution
                time.sleep(poll)
                poll = min(poll * 1.1, _LONGEST_POLL_SECONDS)
    except KeyboardInterrupt:
        console.print(
            f"The run goes on without this terminal. Watch it again: bulk-user-deletion status"
            f" {name} --watch. Stop it: bulk-user-deletion stop {name} --reason WHY",
            soft_wrap=True,
        )
        raise SystemExit(ENDED_OTHERWISE) from None


@dataclass(frozen=True)
class Ended:
    """How a run ended: its report, or what the execution said when there is none."""

    run_id: str
    status: str
    sentence: str
    report: Mapping[str, Any]

    @property
    def exit_status(self) -> int:
        """0 when the run succeeded, 2 when it was refused before anybody was touched, else 1."""
        if self.status == RunStatus.REFUSED:
            return REFUSED
        # The status may also be that of an execution, such as ABORTED.
        is_success = any(self.status == status for status in RunStatus if status.is_success)
        return SUCCEEDED if is_success else ENDED_OTHERWISE


def ended(deployment: Deployment, name: str) -> Ended | None:
    """Return how the run of this name ended, or None if it has no report."""
    run_id = deployment.ledger.runs.id_of(name)
    report = json.loads(deployment.bucket.read_report(run_id, "json") or b"{}")
    return Ended(run_id, report["status"], report["sentence"], report) if report else None


def reported(deployment: Deployment, execution: Execution) -> Ended | None:
    """Return how the run of an ended execution ended, or None if no report says so.

    A resumed run has the report of its earlier end until it is reported again.
    """
    end = ended(deployment, execution.name)
    started_at = execution.started_at.replace(microsecond=0)
    if end and datetime.fromisoformat(end.report["ended_at"]) >= started_at:
        return end
    return None


def ended_by(deployment: Deployment, execution: Execution) -> Ended:
    """Return how the run of an ended execution ended: by its report, or else by the execution."""
    said = execution.cause or execution.nothing_because or "No report was written."
    without = Ended(execution.name, execution.status, said, {})
    return reported(deployment, execution) or without


def print_end(
    end: Ended, deployment: Deployment, *, console: Console, as_json: bool, out: Path | None = None
) -> int:
    """Print how a run ended, copy its reports to `out` if there is one; return the exit status."""
    paths = copy_reports(deployment, end.run_id, out) if out else {}
    report = end.report
    counts: dict[str, int] = dict(report.get("counts", {}))
    console.print(f"\n[bold]{end.status}[/bold]: {shown(end.sentence)}", soft_wrap=True)
    for name, number in counts.items():
        console.print(f"{number:>7}  {name}")
    if report:
        console.print(f"{report['requested']:>7}  requested, {report['renewals']} token renewals")
    for warning in report.get("warnings", []):
        console.print(f"[yellow]Note:[/yellow] {shown(warning)}", soft_wrap=True)
    for path in paths.values():
        console.print(f"Report: {path}", soft_wrap=True)
    if report and not paths:
        console.print(f"Report: bulk-user-deletion report {end.run_id}", soft_wrap=True)
    if as_json:
        line = {
            "run_id": end.run_id,
            "status": end.status,
            "outcomes": counts,
            **({"reports": paths} if out else {}),
        }
        click.echo(json.dumps(line))
    return end.exit_status


def quiet_sentence(pace: Pace, *, now: float) -> str:
    """Return until when the portal asked not to be called, or an empty string."""
    if pace.quiet_until <= now:
        return ""
    return f"The portal asked to be left alone until {iso(pace.quiet_until)}."


def copy_reports(deployment: Deployment, run_id: str, out: Path) -> dict[str, str]:
    """Copy a run's reports to a folder; return their paths by suffix."""
    paths = {}
    for suffix in ("html", "json", "csv"):
        if content := deployment.bucket.read_report(run_id, suffix):
            path = out / run_id / f"report.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            paths[suffix] = str(path)
    return paths


def show_plan(plan: Plan, *, console: Console, users: int) -> None:
    """Print a plan's figures; `users` is how many users would be changed now."""
    limits, estimate = plan.limits, plan.estimate
    of, kind = plan.portal_users, "users"
    if not plan.action.deletes:
        of, kind = plan.enabled_users, "enabled users"
    share = 100 * users / of if of else 0
    rows = {
        "Plan of run": plan.run_id,
        "Source": plan.source,
        "Reason": plan.reason or "not said",
        "Requested by": plan.requested_by or "not said",
        "Entries": f"{len(plan.entries)}, {plan.distinct} of them different",
        f"To be {plan.action.done}": f"{users} users, {share:.1f} % of the portal's {of} {kind}",
        "Limits": f"{limits.max_users} users and {limits.max_percent:g} % per run,"
        f" {limits.max_users_per_day} and {limits.max_percent_per_day:g} % per day"
        f" ({plan.last_day} in the last 24 hours)",
        "Pace": f"{limits.canary_users} first, one by one; {limits.wait_seconds} s after each",
        "Estimate": f"{estimate.seconds / 60:.0f} min, {estimate.usd:.2f} USD (modelled)",
    }
    if plan.action is Action.DISABLE_THEN_DELETE:
        rows["Later"] = (
            f"deleted {days(plan.grace_days)} after they were seen disabled, unless withdrawn:"
            " applying this plan approves both"
        )
    for name, value in rows.items():
        console.print(f"{name:>14}  {shown(value)}", soft_wrap=True)
    for warning in plan.warnings:
        console.print(f"[yellow]Note:[/yellow] {shown(warning)}", soft_wrap=True)
    if plan.refusal:
        console.print(f"[red]Refused:[/red] {shown(plan.refusal)}", soft_wrap=True)

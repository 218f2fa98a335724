"""Runs on the terminal: watches them until they end, and prints how they ended."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console

from bulk_user_deletion.errors import BulkUserDeletionError
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.plans import Estimate, Plan
from bulk_user_deletion.models.runs import Limits, Pace, RunStatus
from bulk_user_deletion.rules.reporting import iso
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion.rules.windows import Windows
from bulk_user_deletion_cli.deployment import Deployment, Execution
from bulk_user_deletion_cli.display import Display
from bulk_user_deletion_cli.exits import (
    ENDED_OTHERWISE,
    REFUSED,
    SUCCEEDED,
    Failure,
    Interrupted,
    sentence_of,
)
from bulk_user_deletion_cli.terminal import print_json, say, shown
from bulk_user_deletion_cli.wording import moment

# Short runs are polled often; long ones less often, which saves calls to AWS.
_FIRST_POLL_SECONDS, _LONGEST_POLL_SECONDS = 0.3, 10.0


def watch(deployment: Deployment, arn: str, console: Console, *, is_run: bool = True) -> Execution:
    """Show the progress of an execution until it ends; return it then.

    Raises:
        Failure, Interrupted: we can no longer see it; it continues, and the message says so.
    """
    name = arn.rpartition(":")[2]
    poll = _FIRST_POLL_SECONDS
    try:
        ledger, bucket = deployment.ledger, deployment.bucket

        def windows_for(action: Action) -> Windows:
            return deployment.settings.windows_for(action)

        with Display(name, ledger, bucket, console, windows_for) as display:
            while True:
                execution = deployment.execution(arn)
                display.update()
                if execution is None:
                    raise Failure(f"Step Functions has no record of {arn}.", run_id=name)
                if not execution.is_running:
                    return execution
                time.sleep(poll)
                poll = min(poll * 1.1, _LONGEST_POLL_SECONDS)
    except KeyboardInterrupt:
        raise Interrupted(f"Interrupted. {_goes_on(name, is_run=is_run)}", run_id=name) from None
    except (BotoCoreError, BulkUserDeletionError, ClientError, OSError) as error:
        raise Failure(
            f"{sentence_of(error)}\n{_goes_on(name, is_run=is_run)}", run_id=name
        ) from None


def _goes_on(name: str, *, is_run: bool) -> str:
    if not is_run:
        return (
            f"{name} is carried out without this terminal. See its result:"
            f" bulk-user-deletion status {name}"
        )
    return (
        f"The run continues without this terminal. Watch it again: bulk-user-deletion status {name}"
        f" --watch. Stop it: bulk-user-deletion stop {name} --reason WHY"
    )


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

    def as_json(self) -> dict[str, Any]:
        """Return what scripts get; the rows are in report.json."""
        return {
            "run_id": self.run_id,
            "status": self.status,
            "sentence": self.sentence,
            "action": self.report.get("action", ""),
            "requested": self.report.get("requested", 0),
            "outcomes": dict(self.report.get("counts", {})),
            "warnings": list(self.report.get("warnings", [])),
            "exit_status": self.exit_status,
        }


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
    say(console, f"\n[bold]{end.status}[/bold]: {shown(end.sentence)}")
    for name, number in counts.items():
        console.print(f"{number:>7}  {name}")
    if report.get("requested"):
        console.print(
            f"{report['requested']:>7}  requested, {counted(report['renewals'], 'token renewal')}"
        )
    for warning in report.get("warnings", []):
        say(console, f"[yellow]Note:[/yellow] {shown(warning)}", indent=6)
    for path in paths.values():
        console.print(f"Report: {shown(path)}", soft_wrap=True)
    if report and not paths:
        say(console, f"Report: bulk-user-deletion report {end.run_id}")
    if as_json:
        print_json(end.as_json() | ({"reports": paths} if out else {}))
    return end.exit_status


def quiet_sentence(pace: Pace, *, now: float) -> str:
    """Return until when the portal asked not to be called, or an empty string."""
    if pace.quiet_until <= now:
        return ""
    return f"The portal asked to be left alone until {iso(pace.quiet_until)}."


def copy_reports(deployment: Deployment, run_id: str, out: Path) -> dict[str, str]:
    """Copy a run's reports to a folder, each wholly or not at all; return their paths by suffix.

    Raises:
        OSError: the folder cannot be written to, or the disk is full.
    """
    paths = {}
    for suffix in ("html", "json", "csv"):
        if content := deployment.bucket.read_report(run_id, suffix):
            path = out / run_id / f"report.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(f".{suffix}.part")
            try:
                part.write_bytes(content)
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
            paths[suffix] = str(path)
    return paths


def show_plan(plan: Plan, *, console: Console) -> None:
    """Print a plan's figures, as they were when it was made."""
    users, limits = len(plan.users), plan.limits
    of, kind = plan.portal_users, "users"
    if not plan.action.deletes:
        of, kind = plan.enabled_users, "enabled users"
    share = 100 * users / of if of else 0
    show_rows(
        {
            **about_plan(plan),
            f"To be {plan.action.done}": f"{counted(users, 'user')}, {share:.1f} % of the portal's"
            f" {of} {kind}",
            "Limits": f"{counted(limits.max_users, 'user')} and {limits.max_percent:g} % per run,"
            f" {limits.max_users_per_day} and {limits.max_percent_per_day:g} % per day"
            f" ({plan.last_day} in the 24 hours before)",
            "Pace": pace_of(limits),
            "Estimate": estimate_of(plan.estimate),
        },
        console,
    )
    show_doubts(plan, console)


def about_plan(plan: Plan) -> dict[str, str]:
    """Return what a plan is about, in words."""
    later = {}
    if plan.action is Action.DISABLE_THEN_DELETE:
        later["Later"] = (
            f"deleted {counted(plan.grace_days, 'day')} after they were seen disabled, unless"
            " withdrawn: applying this plan approves both"
        )
    return {
        "Plan of run": plan.run_id,
        "Made": f"{moment(iso(plan.created_at))} UTC",
        "Portal": plan.portal_url,
        "Source": plan.source,
        "Reason": plan.reason or "not given",
        "Requested by": plan.requested_by or "not given",
        "Entries": f"{len(plan.entries)}, {plan.distinct} of them different",
        **later,
    }


def pace_of(limits: Limits) -> str:
    """Return how carefully a run proceeds, in words."""
    return f"{limits.canary_users} first, one by one; {limits.wait_seconds} s after each"


def estimate_of(estimate: Estimate) -> str:
    """Return what a plan will take, in words."""
    ends = f"; ends about {iso(estimate.ends_at)} if it starts now" if estimate.ends_at else ""
    return f"{-(-estimate.seconds // 60)} min, {estimate.usd:.2f} USD (modelled){ends}"


def show_doubts(plan: Plan, console: Console) -> None:
    """Print a plan's warnings, and why it was refused."""
    for warning in plan.warnings:
        say(console, f"[yellow]Note:[/yellow] {shown(warning)}", indent=6)
    if plan.refusal:
        say(console, f"[red]Refused:[/red] {shown(plan.refusal)}", indent=9)


def show_rows(rows: Mapping[str, str], console: Console) -> None:
    """Print figures with their names."""
    for name, value in rows.items():
        say(console, f"{name:>14}  {shown(value)}", indent=16)

"""`doctor --try-disabling`: whether the portal's PUT does what we assume, shown on a test account.

It is a real run that disables one user, then a real one that enables the user again: each the plan
of a preview, with its ledger, its checks and its report.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import click
from botocore.exceptions import BotoCoreError, ClientError

from bulk_user_deletion.bucket_keys import record_key
from bulk_user_deletion.errors import BulkUserDeletionError
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.models.plans import PlannedEntry
from bulk_user_deletion.models.runs import RunStatus
from bulk_user_deletion.models.users import ReasonKind
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion_cli.deployment import Deployment, Execution
from bulk_user_deletion_cli.doctor import Finding, State
from bulk_user_deletion_cli.runs import Ended, ended_by
from bulk_user_deletion_cli.terminal import make_console, say

_REASON = "a test of what the portal's PUT does, on a test account"

_ACCOUNT = "Test account"
_PUT = {Action.DISABLE: "Disabling PUT", Action.ENABLE: "Enabling PUT"}
_FIELDS = {Action.DISABLE: "Fields after disabling", Action.ENABLE: "Fields after enabling"}

_UNDECIDED = {LeaverState.WAITING, LeaverState.DELETING, LeaverState.HELD}


@dataclass
class Trial:
    """One trial, on the user `user_id`. `watch` waits for an execution to end."""

    deployment: Deployment
    user_id: str
    watch: Callable[[str], Execution]
    is_disabled: bool = field(default=False, init=False)  # as far as we know: it may be

    def findings(self) -> Iterator[Finding]:
        """Disable the user and enable them again; say for each assumption whether it holds.

        Whatever interrupts it, the state of the user is said.
        """
        try:
            yield from self._findings()
        except (
            *(BotoCoreError, BulkUserDeletionError, ClientError, OSError),
            *(click.ClickException, SystemExit, KeyboardInterrupt),
        ):
            if self.is_disabled:
                say(
                    make_console(as_json=True),
                    f"\nThe test was interrupted: user {self.user_id} may be disabled. See when its"
                    f" run has ended: bulk-user-deletion runs\nThen: bulk-user-deletion enable"
                    f" {self.user_id}",
                )
            raise

    def _findings(self) -> Iterator[Finding]:
        if problem := account_problem(self._leaver()):
            yield self._unfit(problem)
            return
        preview = self._preview(Action.DISABLE)
        entry = self._planned(preview)
        if preview.status != RunStatus.PREVIEWED or entry is None:
            yield self._unfit(preview.sentence)
            return
        if entry.user is None or entry.outcome is not Action.DISABLE.would:
            yield self._unfit(entry.reason)
            return
        if not entry.user.is_enabled:
            yield self._unfit("is not enabled")
            return
        self.is_disabled = True
        disabled = self._apply(preview)
        yield from put_findings(Action.DISABLE, disabled, self._record(disabled))
        if _row(disabled).get("outcome") == Action.DISABLE.done:
            preview = self._preview(Action.ENABLE)
            enabled = self._apply(preview) if _would(preview, Action.ENABLE) else preview
            yield from put_findings(Action.ENABLE, enabled, self._record(enabled))
            if _row(enabled).get("outcome") == Action.ENABLE.done:
                self.is_disabled = False
                yield Finding(_ACCOUNT, State.WELL, f"user {self.user_id} is enabled, as before")
                return
        yield self._state_now()

    def _unfit(self, why: str) -> Finding:
        return Finding(
            _ACCOUNT,
            State.WRONG,
            f"user {self.user_id}: {why.rstrip('.')}. Nobody was touched.",
            "Name an enabled account of the portal that is only for tests.",
        )

    def _state_now(self) -> Finding:
        """Return a finding about a user whom no run has enabled again, as the portal lists them."""
        entry = self._planned(self._preview(Action.DISABLE))
        user = entry.user if entry else None
        if user and user.is_enabled:
            self.is_disabled = False
            return Finding(_ACCOUNT, State.WELL, f"user {self.user_id} is enabled, as before")
        state = "is DISABLED now" if user and user.is_disabled else "is in an unknown state"
        return Finding(
            _ACCOUNT,
            State.WRONG,
            f"user {self.user_id} {state}",
            f"Look user {self.user_id} up in the portal, and enable the account there.",
        )

    def _leaver(self) -> Leaver | None:
        portal_url = self.deployment.parameters["PortalUrl"]
        return self.deployment.ledger.leavers.read(portal_url, self.user_id)

    def _preview(self, action: Action) -> Ended:
        return self._run(
            {"mode": "preview", "action": action, "source": {"users": [self.user_id]}},
        )

    def _apply(self, preview: Ended) -> Ended:
        plan = {"run_id": preview.run_id, "sha256": preview.report["plan_sha256"]}
        return self._run({"mode": "apply", "plan": plan})

    def _run(self, request: dict[str, Any]) -> Ended:
        arn = self.deployment.start({**request, "reason": _REASON, "requested_by": "doctor"})
        return ended_by(self.deployment, self.watch(arn))

    def _planned(self, preview: Ended) -> PlannedEntry | None:
        plan = self.deployment.bucket.read_plan(preview.run_id)
        return plan.entries[0] if plan and plan.entries else None

    def _record(self, end: Ended) -> str:
        return f"s3://{self.deployment.bucket.name}/{record_key(end.run_id, 1, self.user_id)}"


def account_problem(leaver: Leaver | None) -> str:
    """Return why a user is not a test account, by their row in the ledger, or an empty string.

    An account on which this was tried before has a row too: enabling has withdrawn it.
    """
    if leaver is None:
        return ""
    if leaver.state in _UNDECIDED or (leaver.state is LeaverState.WITHDRAWN and leaver.by_our_put):
        return f"is a leaver, {leaver.state}, not a test account"
    return ""


def put_findings(action: Action, end: Ended, record: str) -> Iterator[Finding]:
    """Yield what a run of one user shows about a PUT. `record` is where the previous record is."""
    row = _row(end)
    what, rest = _PUT[action], _FIELDS[action]
    reason = row.get("reason") or end.sentence
    is_changed = row.get("reason_kind") == ReasonKind.RECORD_CHANGED
    if row.get("outcome") == action.done and row["attempts"]:
        puts = counted(row["attempts"], "PUT")
        yield Finding(what, State.WELL, f"a look after {puts} found the user {action.done}")
        yield Finding(rest, State.WELL, "as they were before the PUT")
    elif is_changed:
        yield Finding(what, State.UNKNOWN, "not decided: more than `enabled` has changed")
        yield Finding(
            rest,
            State.WRONG,
            reason,
            f"Restore the previous record, which is {record}, and do not disable users of this"
            " portal with a PUT: leave LeaverAction at delete.",
        )
    else:
        fix = f"See the report: bulk-user-deletion report {end.run_id}"
        yield Finding(what, State.WRONG, reason, fix)
        yield Finding(rest, State.UNKNOWN, "not shown")


def _row(end: Ended) -> Mapping[str, Any]:
    """Return the only row of a run's report, empty if there is none."""
    rows = end.report.get("rows") or [{}]
    return dict(rows[0])


def _would(preview: Ended, action: Action) -> bool:
    return _row(preview).get("outcome") == action.would

"""`doctor`: what works, what does not, and how to fix it."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import BotoCoreError, ClientError, ProfileNotFound

from bulk_user_deletion.bucket_keys import INBOX
from bulk_user_deletion.errors import (
    CredentialsRefused,
    PortalAnswerUnusable,
    PortalUnavailable,
    RequestRefused,
    StoreUnavailable,
    UserManagementDenied,
)
from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.leavers import Leaver, LeaverState
from bulk_user_deletion.rules.due import overdue_days
from bulk_user_deletion.rules.evidence import lock_problem
from bulk_user_deletion.rules.leavers import Grace, grace_problem, is_due
from bulk_user_deletion.rules.text import counted
from bulk_user_deletion.store import error_code
from bulk_user_deletion_cli.deployment import Deployment, Execution, NoStackError, caller
from bulk_user_deletion_cli.runs import quiet_sentence
from bulk_user_deletion_cli.stack_name import refusal
from bulk_user_deletion_cli.target import Target

_CLOCK_SECONDS = 60

# The daily run deletes leavers who are due; the alarm DueBacklog goes off after this many days.
_OVERDUE_DAYS = 3

_FORBIDDEN = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}


class State(StrEnum):
    """The result of a check."""

    WELL = "well"
    WRONG = "wrong"
    UNKNOWN = "unknown"  # we are not allowed to look, or an earlier check failed


@dataclass(frozen=True)
class Finding:
    """One thing that was checked; `fix` says what to do if it is wrong."""

    what: str
    state: State
    said: str
    fix: str = ""


Watch = Callable[[Deployment, str], Execution]


def findings(target: Target, watch: Watch) -> Iterator[Finding]:
    """Check everything that a run needs, one thing after another.

    `watch` waits for an execution to end. Nothing is changed, no user is deleted, and no secret is
    read here: the stack itself calls the portal, with its own permissions.
    """
    if wrong := _signed_in(target):
        yield wrong
        return
    stack_name = target.stack_name
    try:
        us = caller()
    except (BotoCoreError, ClientError) as error:
        yield Finding(
            "AWS credentials",
            State.WRONG,
            _said(error),
            "Sign in to AWS (aws sso login, or aws configure), and name the profile with --profile"
            " or AWS_PROFILE.",
        )
        return
    deployment = Deployment(stack_name)
    try:
        where = f"{stack_name}, {deployment.stack['StackStatus']}"
        _ = deployment.outputs
    except NoStackError as error:
        yield Finding("AWS credentials", State.WELL, us.arn)
        yield Finding("Stack", State.WRONG, str(error))
        return
    except (BotoCoreError, ClientError) as error:
        yield Finding("AWS credentials", State.WELL, us.arn)
        yield Finding(
            "Stack",
            State.WRONG,
            _said(error),
            "Check --region and --profile. The permissions that an operator needs are listed"
            " in docs/commands.md.",
        )
        return
    yield Finding("AWS credentials", State.WELL, us.arn)
    yield _stack("Stack", stack_name, where)
    yield _clock("Clock of this machine", us.clock_behind_seconds)
    for what, look in (
        ("Credentials secret", _credentials_secret),
        ("Token secret", _token_secret),
        ("File drops", _file_drops),
        ("Closing of ended runs", _closing),
        ("Schedule", _schedule),
        ("Grace time", _grace_time),
        ("Schedule of deletions", _due_schedule),
        ("Schedule of the watch", _watch_schedule),
        ("Leavers", _leavers),
        ("Object lock", _object_lock),
        ("Other stacks", _other_stacks),
        ("Stop button", _stop_button),
        ("Quiet time", _quiet_time),
    ):
        yield _looked(what, look, deployment)
    yield from _portal(deployment, watch)


def _signed_in(target: Target) -> Finding | None:
    """Return what prevents all calls to AWS, or None."""
    try:
        target.sign_in()
        region = boto3.Session(target.profile).region_name or target.region
    except ProfileNotFound as error:
        return Finding(
            "AWS profile",
            State.WRONG,
            _said(error),
            "See which there are: aws configure list-profiles",
        )
    if region:
        return None
    return Finding(
        "AWS region",
        State.WRONG,
        "none is set",
        "Name the region of the stack with --region REGION, or for this shell:"
        " export AWS_DEFAULT_REGION=REGION",
    )


def _looked(
    what: str, look: Callable[[str, Deployment], Finding], deployment: Deployment
) -> Finding:
    try:
        return look(what, deployment)
    except ClientError as error:
        if error_code(error) in _FORBIDDEN:
            action = error.operation_name
            return Finding(what, State.UNKNOWN, f"not looked at: you may not {action}")
        return Finding(what, State.WRONG, _said(error))
    except (BotoCoreError, StoreUnavailable) as error:
        return Finding(what, State.WRONG, _said(error))


def _stack(what: str, name: str, where: str) -> Finding:
    if said := refusal(name):
        fix = "Deploy it with a shorter name: with this one its rules cannot start anything."
        return Finding(what, State.WRONG, said, fix)
    return Finding(what, State.WELL, where)


def _clock(what: str, seconds: float | None) -> Finding:
    if seconds is None:
        return Finding(what, State.UNKNOWN, "not known")
    if abs(seconds) > _CLOCK_SECONDS:
        which = "behind" if seconds > 0 else "ahead"
        return Finding(
            what,
            State.WRONG,
            f"{abs(seconds):.0f} s {which} of AWS",
            "Let the machine set its clock from the network (NTP).",
        )
    return Finding(what, State.WELL, f"within {_CLOCK_SECONDS} s of AWS")


def _credentials_secret(what: str, deployment: Deployment) -> Finding:
    secret = deployment.secret("CredentialsSecret")
    fill = (
        "Fill it: aws secretsmanager put-secret-value --secret-id"
        f" {deployment.outputs['CredentialsSecretArn']} --secret-string file:///dev/stdin\n"
        'Then type {"application_id": "…", "application_key": "…", "user": "…"}, Enter, Ctrl-D.'
    )
    if secret.get("DeletedDate"):
        return Finding(
            what,
            State.WRONG,
            "it is scheduled for deletion",
            "aws secretsmanager restore-secret --secret-id"
            f" {deployment.outputs['CredentialsSecretArn']}",
        )
    if not secret.get("VersionIdsToStages"):
        return Finding(what, State.WRONG, "it is empty", fill)
    return Finding(what, State.WELL, "filled")


def _token_secret(what: str, deployment: Deployment) -> Finding:
    secret = deployment.secret("TokenSecret")
    if secret.get("DeletedDate"):
        return Finding(
            what,
            State.WRONG,
            "it is scheduled for deletion: no function can read it",
            f"aws secretsmanager restore-secret --secret-id {secret['ARN']}",
        )
    filled = "filled" if secret.get("VersionIdsToStages") else "empty: the first run fills it"
    return Finding(what, State.WELL, filled)


def _file_drops(what: str, deployment: Deployment) -> Finding:
    mode = deployment.parameters.get("FileDropMode", "preview")
    if deployment.rule_state("FileDrop") != "ENABLED":
        return Finding(
            what,
            State.WRONG,
            "the rule is disabled: a dropped file starts nothing",
            "Enable the rule FileDrop in EventBridge, then drop the file again.",
        )
    if not deployment.bucket_sends_events():
        return Finding(
            what,
            State.WRONG,
            "the bucket sends nothing to EventBridge: a dropped file starts nothing",
            "Switch on 'Amazon EventBridge' in the bucket's properties, or deploy the stack again.",
        )
    return Finding(what, State.WELL, f"on: a file under {INBOX} starts a run of mode {mode}")


def _closing(what: str, deployment: Deployment) -> Finding:
    if deployment.rule_state("ExecutionEnded") != "ENABLED":
        return Finding(
            what,
            State.WRONG,
            "the rule is disabled: a run that is aborted gets no report",
            "Enable the rule ExecutionEnded in EventBridge.",
        )
    if deployment.rule_state("Unreported") != "ENABLED":
        return Finding(
            what,
            State.WRONG,
            "the rule is disabled: an execution that ends without a report raises no alarm",
            "Enable the rule Unreported in EventBridge.",
        )
    return Finding(what, State.WELL, "on")


def _schedule(what: str, deployment: Deployment) -> Finding:
    if not deployment.parameters.get("ScheduleExpression"):
        return Finding(what, State.WELL, "none is set")
    return _schedule_state(what, deployment.schedule("Schedule"))


def _schedule_state(what: str, schedule: dict[str, Any]) -> Finding:
    when = f"{schedule['ScheduleExpression']} ({schedule.get('ScheduleExpressionTimezone', 'UTC')})"
    if schedule["State"] != "ENABLED":
        return Finding(
            what,
            State.WRONG,
            f"{when} is off",
            "Enable the schedule in EventBridge Scheduler, or deploy the stack again.",
        )
    return Finding(what, State.WELL, when)


def _grace_time(what: str, deployment: Deployment) -> Finding:
    action = deployment.leaver_action
    if problem := grace_problem(
        action,
        grace_days=deployment.grace.days,
        retention_days=deployment.days("RetentionDays"),
    ):
        fix = "Deploy the stack with more RetentionDays or fewer GraceDays."
        return Finding(what, State.WRONG, problem, fix)
    said = f"LeaverAction is {action}"
    if action is Action.DISABLE_THEN_DELETE:
        grace = counted(deployment.grace.days, "day")
        said = f"{said}: deleted {grace} after a look saw them disabled"
    return Finding(what, State.WELL, said)


def _due_schedule(what: str, deployment: Deployment) -> Finding:
    if "DueSchedule" not in deployment.resources:
        fix = "Deploy the stack again, from this version."
        return Finding(what, State.WRONG, "there is none: nobody who is due is deleted", fix)
    return _schedule_state(what, deployment.schedule("DueSchedule"))


def _watch_schedule(what: str, deployment: Deployment) -> Finding:
    if not deployment.parameters.get("WatchScheduleExpression"):
        return Finding(what, State.WELL, "none is set: bulk-user-deletion watch says who is back")
    return _schedule_state(what, deployment.schedule("WatchSchedule"))


def _leavers(what: str, deployment: Deployment) -> Finding:
    return leavers_finding(what, deployment.leavers(), grace=deployment.grace, now=int(time.time()))


def leavers_finding(what: str, leavers: Sequence[Leaver], *, grace: Grace, now: int) -> Finding:
    """Return how many leavers are waiting or held, and since when the oldest has been due."""
    overdue = [leaver for leaver in leavers if is_due(leaver, now=now, grace=grace)]
    late = overdue_days(overdue, now=now, grace=grace)
    held = sum(leaver.state is LeaverState.HELD for leaver in leavers)
    waiting = sum(leaver.state is LeaverState.WAITING for leaver in leavers)
    said = f"{waiting} waiting, {held} held"
    if overdue:
        said = f"{said}; the oldest has been due for {counted(late, 'day')}"
    fixes = []
    if late >= _OVERDUE_DAYS:
        fixes.append(
            "See why the daily runs do not delete them: bulk-user-deletion runs. Raise the caps if"
            " they leave too many for the next day."
        )
    if held:
        fixes.append(
            "Decide about those who are held: bulk-user-deletion due --state held. Withdraw those"
            " who stay, and preview by id those who have left."
        )
    return Finding(what, State.WRONG if fixes else State.WELL, said, " ".join(fixes))


def _object_lock(what: str, deployment: Deployment) -> Finding:
    lock_days = deployment.days("ObjectLockDays")
    if not lock_days:
        return Finding(what, State.WELL, "off: ObjectLockDays is 0")
    if problem := lock_problem(
        lock_days=lock_days, retention_days=deployment.days("RetentionDays")
    ):
        fix = "Deploy the stack with more RetentionDays or fewer ObjectLockDays."
        return Finding(what, State.WRONG, problem, fix)
    if not deployment.bucket_locks_objects():
        return Finding(
            what,
            State.WRONG,
            "the bucket locks no objects: no run can write its plan",
            "Enable Object Lock in the bucket's properties, or deploy the stack again.",
        )
    said = f"plans, snapshots and reports are locked for {counted(lock_days, 'day')}"
    return Finding(what, State.WELL, said)


def _other_stacks(what: str, deployment: Deployment) -> Finding:
    return other_stacks_finding(
        what,
        deployment.stacks_of_this_application(),
        ours=deployment.stack_name,
        portal_url=deployment.parameters["PortalUrl"],
    )


def other_stacks_finding(
    what: str, stacks: Iterable[tuple[str, str]], *, ours: str, portal_url: str
) -> Finding:
    """Return which other stacks, given by name and address, work on the same portal."""
    portal = _portal_of(portal_url)
    others = sorted(name for name, url in stacks if name != ours and _portal_of(url) == portal)
    if not others:
        return Finding(what, State.WELL, "none here works on this portal")
    return Finding(
        what,
        State.WRONG,
        f"{', '.join(others)} on this portal too: each has caps, a turn and a ledger of its own",
        "Keep one stack for this portal, and delete the others: their buckets and tables stay."
        " Until then press the stop button of all but one: bulk-user-deletion --stack-name NAME"
        " stop --portal --reason WHY",
    )


def _portal_of(url: str) -> tuple[str, int | None, str]:
    """Return what identifies a portal in its address: host, port and path."""
    parts = urlsplit(url)
    port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
    return (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")


def _stop_button(what: str, deployment: Deployment) -> Finding:
    if stop := deployment.ledger.portal.stop():
        return Finding(
            what,
            State.WRONG,
            f"pressed for the whole portal by {stop.by}: {stop.reason}",
            "When that is resolved: bulk-user-deletion stop --lift --reason WHY",
        )
    return Finding(what, State.WELL, "not pressed")


def _quiet_time(what: str, deployment: Deployment) -> Finding:
    if said := quiet_sentence(deployment.ledger.portal.pace(), now=time.time()):
        return Finding(
            what,
            State.WRONG,
            f"{said} Runs wait for that.",
            "Wait until then or, if the portal is well: bulk-user-deletion end-quiet --reason WHY",
        )
    return Finding(what, State.WELL, "the portal may be called")


# The portal, as seen by the stack

_PORTAL = ("Portal", "Token", "User management", "Answers of the portal")


def _portal(deployment: Deployment, watch: Watch) -> Iterator[Finding]:
    try:
        execution = watch(deployment, deployment.start({"check": "portal"}, kind="check"))
    except ClientError as error:
        yield Finding("Portal", State.UNKNOWN, f"not asked: {_said(error)}")
        return
    if not execution.succeeded:
        yield from portal_findings(execution.error, execution.cause)
        return
    found = deployment.bucket.read_check(execution.name)
    yield Finding("Portal", State.WELL, f"{deployment.parameters.get('PortalUrl')} answers")
    yield Finding("Token", State.WELL, "issued for the credentials secret")
    if found.is_administrator:
        yield Finding("User management", State.WELL, f"all {found.portal_users} users listed")
    else:
        yield Finding(
            "User management",
            State.WRONG,
            "the user that the token acts as is no administrator",
            "Name an administrator as user in the credentials secret.",
        )
    yield Finding("Answers of the portal", State.WELL, "all that the checks before a DELETE need")
    ahead = found.clock_ahead_seconds
    yield _clock("Clock of the portal", None if ahead is None else -ahead)


# Which finding about the portal each error affects, and how to fix it if its message does not say.
_ABOUT = {
    PortalUnavailable.__name__: (
        "Portal",
        "Check that it is up, and that the stack's functions can reach it.",
    ),
    CredentialsRefused.__name__: ("Token", ""),
    UserManagementDenied.__name__: ("User management", ""),
    PortalAnswerUnusable.__name__: ("Answers of the portal", ""),
}
_OF_THE_STACK = {
    StoreUnavailable.__name__: "Stores of the stack",
    RequestRefused.__name__: "Protected list",
}


def portal_findings(error: str, cause: str) -> Iterator[Finding]:
    """Yield the findings of a failed check: everything before its error is fine."""
    said = cause.partition(" Report: ")[0]
    if error not in _ABOUT:
        fix = "Check that what is named exists, and that the functions' roles may use it."
        what = _OF_THE_STACK.get(error, "Check of the portal")
        yield Finding(what, State.WRONG, said or error, fix if error in _OF_THE_STACK else "")
        return
    wrong, fix = _ABOUT[error]
    for what in _PORTAL:
        if what == wrong:
            yield Finding(what, State.WRONG, said, fix)
            return
        yield Finding(what, State.WELL, "no complaint")


def _said(error: Exception) -> str:
    if isinstance(error, ClientError):
        return f"{error_code(error)} on {error.operation_name}"
    return str(error)

"""Runs: what they may do, how they ended, and the state that all runs on a portal share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bulk_user_deletion.models.actions import Action


class Mode(StrEnum):
    """What a run may do: `preview` plans and reports, `apply` also deletes."""

    PREVIEW = "preview"
    APPLY = "apply"


class Pacing(StrEnum):
    """The pause after each DELETE: always the same, or adapted to the portal's answers."""

    FIXED = "fixed"
    ADAPTIVE = "adaptive"


class RunStatus(StrEnum):
    """How a run ended, as its report, notification and execution state it."""

    SUCCEEDED = "SUCCEEDED"
    NOBODY_DELETED = "NOBODY_DELETED"  # nothing is left open, and there was no one to delete
    NOBODY_DISABLED = "NOBODY_DISABLED"
    NOBODY_ENABLED = "NOBODY_ENABLED"
    PREVIEWED = "PREVIEWED"
    PAUSED = "PAUSED"  # the change window ended; the run is resumed when the next one opens
    REFUSED = "REFUSED"  # no one was deleted, because a check failed
    STOPPED = "STOPPED"  # the stop flag was set during the run
    INCOMPLETE = "INCOMPLETE"  # some users are failed, unknown or not attempted
    FAILED = "FAILED"  # a step failed unexpectedly

    @property
    def is_success(self) -> bool:
        """True if the execution ends SUCCEEDED."""
        return self in _SUCCESSES


_SUCCESSES = {
    RunStatus.SUCCEEDED,
    RunStatus.NOBODY_DELETED,
    RunStatus.NOBODY_DISABLED,
    RunStatus.NOBODY_ENABLED,
    RunStatus.PREVIEWED,
}


@dataclass(frozen=True, slots=True)
class Control:
    """What this portal's looks are judged by, from the control looks of a run's round.

    `self_ids` are the ids of the user that our own token acts as; a look at the first must show it.
    `gone` is how the portal says that nobody has an id: one of `rules.looking`'s shapes.
    """

    self_ids: tuple[str, ...] = ()
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How careful a run is: the stack's parameters, made stricter by the request's options.

    `max_users` and `max_percent` (of the portal's users) are the most that may be requested; 0
    means none. The two `…_per_day` apply to any 24 hours, regardless of the number of runs.
    `wait_seconds` is the minimum pause after each DELETE, `canary_users` how many go first, one by
    one, `max_not_found_percent` how much of an unattended list may be unknown to the portal.
    """

    max_users: int
    max_percent: float
    max_users_per_day: int
    max_percent_per_day: float
    wait_seconds: int
    canary_users: int
    max_not_found_percent: float


@dataclass(frozen=True, slots=True)
class DropRow:
    """The last drop under a key, in the ledger: the sha256 of its content, and its run."""

    digest: str
    run_id: str


class Stopper(StrEnum):
    """What set a stop flag. It decides what may be done about the users who are left."""

    PERSON = "person"
    PORTAL = "portal"  # a person, for every run on the portal
    RUN = "run"  # one of its own checks, or its execution's early end
    ROSTER = "roster"  # a newer one, which replaces the run's plan for good
    WITHDRAWAL = "withdrawal"  # of everybody in the run


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run stops before the next user, and who stopped it.

    A flag from before there were stoppers counts as a person's, which is the most careful choice.
    """

    reason: str
    by: str
    at: int
    stopper: Stopper = Stopper.PERSON


@dataclass(frozen=True, slots=True)
class RoundEnd:
    """How a round of a run ended: when, with which status and counts, and under which stop.

    The stop may be one of every run on the portal.
    """

    at: int
    status: RunStatus
    counts: Mapping[str, int] = field(default_factory=dict)
    stop: Stop | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """What the ledger remembers about a round of a run: who asked for it and why, and how it ended.

    `execution` is the name of the execution. Without an `end`, the round is in progress, or ended
    before it could report.
    """

    number: int
    execution: str
    at: int
    by: str
    reason: str
    end: RoundEnd | None = None


class MilestoneKind(StrEnum):
    """What happened to a run."""

    PLANNED = "planned"
    APPROVED = "approved"
    STARTED = "started"
    STOPPED = "stopped"
    RESUMED = "resumed"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Milestone:
    """Something that happened to a run: when, who did it and why.

    `run_id` is the preview of a plan, or the execution that resumed the run; `plan_sha256` is the
    hash of a plan that was approved; `status` and `counts` are those of an end.
    """

    at: str  # ISO 8601
    kind: MilestoneKind
    by: str = ""
    reason: str = ""
    run_id: str = ""
    plan_sha256: str = ""
    status: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pause:
    """A run was paused because its change window ended.

    The execution named `resumed_by` waits for the next window, which opens at `opens_at`, and
    resumes the run then.
    """

    at: int
    opens_at: int
    resumed_by: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the portal has been deleting, across runs.

    `seconds_per_delete` is smoothed over the last DELETEs, 0 before the first one. `wait_seconds`
    is the current pause of adaptive pacing, and `changed_at` when it last changed. `quiet_until` is
    when the portal may be called again after a `Retry-After`. `version` counts the writes of this
    row.
    """

    seconds_per_delete: float = 0.0
    wait_seconds: int = 0
    changed_at: int = 0
    quiet_until: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run's row in the ledger.

    `plan_sha256` seals its plan, once there is one. `round_number` counts the executions that
    handed out its users: 1, and one more for each that resumed it. `control` is what the round's
    looks are judged by. `losses` are the ids of users who left the portal during the run but not
    because of it, `checked_batch` is the batch after which they were last checked. `roster_run` is
    the run that read the roster which its plan comes from, empty for a list. `earlier` are the
    names of the executions that carried it out before this one, `report_sha256` seals report.json
    once the run is closed.
    """

    run_id: str
    execution_arn: str
    is_open: bool
    mode: Mode | None = None
    trigger: str = ""
    source: str = ""
    dropped_key: str = ""
    started_at: int = 0
    plan_sha256: str = ""
    wait_seconds: int = 0
    canary_users: int = 0
    round_number: int = 1
    renewals: int = 0
    stop: Stop | None = None
    stopped_at: float = 0.0
    pause: Pause | None = None
    pace: Pace = Pace()
    control: Control = Control()
    losses: tuple[str, ...] = ()
    checked_batch: int = 0
    action: Action = Action.DELETE
    grace_days: int = 0
    is_from_preview: bool = False
    withdrawal: Stop | None = None
    roster_run: str = ""
    earlier: tuple[str, ...] = ()
    report_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What an execution waits for: for a run to end, or for a change window that `opens_at`."""

    run_id: str = ""
    opens_at: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """The run that may delete from the portal, and the execution that carries it out."""

    run_id: str
    execution_arn: str

"""Runs: what they may do, how they ended, and what the portal has one of."""

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """What a run may do: `preview` plans and reports, `apply` also deletes."""

    PREVIEW = "preview"
    APPLY = "apply"


class Pacing(StrEnum):
    """The pause after each DELETE: always the same, or as the portal's answers suggest."""

    FIXED = "fixed"
    ADAPTIVE = "adaptive"


class RunStatus(StrEnum):
    """How a run ended, as its report, notification and execution say it."""

    SUCCEEDED = "SUCCEEDED"
    NOBODY_DELETED = "NOBODY_DELETED"  # nothing left open, and nothing was there to delete
    PREVIEWED = "PREVIEWED"
    REFUSED = "REFUSED"  # nobody was deleted, because a check said no
    STOPPED = "STOPPED"  # the stop flag was set on the way
    INCOMPLETE = "INCOMPLETE"  # some users are failed, unknown or not attempted
    FAILED = "FAILED"  # a step failed in a way nobody planned for

    @property
    def is_success(self) -> bool:
        """True when the execution ends SUCCEEDED."""
        return self in {RunStatus.SUCCEEDED, RunStatus.NOBODY_DELETED, RunStatus.PREVIEWED}


@dataclass(frozen=True, slots=True)
class Control:
    """What this portal's looks are measured against, from the control looks of a run's round.

    `self_ids` are the users that our own token acts as; looking at the first must show it. `gone`
    is how the portal says that nobody holds an id: one of `rules.looking`'s shapes.
    """

    self_ids: tuple[str, ...] = ()
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How careful a run is: the stack's parameters, made stricter by the request's options.

    `max_users` and `max_percent` (of the portal's users) are the most that may be asked for; 0
    means none; the two `…_per_day` hold for any 24 hours, whatever the number of runs.
    `wait_seconds` is the least pause after each DELETE, `canary_users` how many go first, one by
    one, `max_not_found_percent` how much of a file nobody is watching may be unknown to the portal.
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
    """What was dropped last under a key, in the ledger: the sha256 of its content, and its run."""

    digest: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a run stops before the next user, and who said so."""

    reason: str
    by: str
    at: int


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast the portal has been deleting, whatever the run.

    `seconds_per_delete` is smoothed over the last DELETEs, 0 before the first one. `wait_seconds`
    is the pause that adaptive pacing makes now, and `changed_at` when it last changed.
    `quiet_until` is when the portal, which sent `Retry-After`, may be called again. `version`
    counts the writes of this row.
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
    looks are measured against. `losses` are the ids of users who left the portal in the run through
    nothing that it did, `checked_batch` is the batch after which they were last looked for.
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
    pace: Pace = Pace()
    control: Control = Control()
    losses: tuple[str, ...] = ()
    checked_batch: int = 0


@dataclass(frozen=True, slots=True)
class Lock:
    """The run that may delete from the portal, and the execution that carries it out."""

    run_id: str
    execution_arn: str

"""Requests and orders: the validated input of an execution."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from bulk_user_deletion.models.actions import Action
from bulk_user_deletion.models.runs import Mode


class Trigger(StrEnum):
    """What started a run."""

    CONSOLE = "console"  # a person, who reads the report
    S3 = "s3"  # a dropped file
    SCHEDULE = "schedule"
    DUE = "due"  # the daily schedule that deletes leavers who are due


@dataclass(frozen=True, slots=True)
class Source:
    """Where the entries come from: exactly one of the first four is set.

    `due` are the leavers in the ledger whose grace time is over. A roster is a list of everybody
    who stays, of `rows` entries if its sender says so.
    """

    dataset_id: int | None = None
    s3: "S3Object | None" = None
    users: tuple[str, ...] | None = None
    due: bool = False
    is_roster: bool = False
    rows: int | None = None

    def describe(self) -> str:
        """Describe the source without naming anyone in it."""
        if self.due:
            return "leavers who are due"
        kind = "roster " if self.is_roster else ""
        if self.dataset_id is not None:
            return f"{kind}dataset {self.dataset_id}"
        if self.s3 is not None:
            return f"{kind}s3://{self.s3.bucket}/{self.s3.key}"
        return f"a list of {len(self.users or ())} users in the request"

    def version(self) -> str:
        """Return the S3 version of a file; empty for sources without one."""
        return (self.s3.version_id or self.s3.etag) if self.s3 else ""


@dataclass(frozen=True, slots=True)
class S3Object:
    """A file in S3; `version_id` or, without versioning, `etag` pins what was dropped.

    `written_by` is S3's name for the write: PutObject, CopyObject and so on; empty if unknown.
    """

    bucket: str
    key: str
    version_id: str = ""
    etag: str = ""
    written_by: str = ""


@dataclass(frozen=True, slots=True)
class SealedPlan:
    """A plan to apply, as its preview named it: the sha256 is of its exact bytes."""

    run_id: str
    sha256: str

    def describe(self) -> str:
        """Name the plan."""
        return f"the plan of run {self.run_id}"


@dataclass(frozen=True, slots=True)
class Resume:
    """What is open in a run's plan, for another execution to do.

    An execution that waits for a change window does only what was not attempted: another request
    for a user who is failed or unknown takes a person.
    """

    run_id: str
    only_not_attempted: bool = False

    def describe(self) -> str:
        """Name what is resumed."""
        return f"what run {self.run_id} left open"


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """An order to close a run whose execution ended without a report.

    `name` is that execution's name: the run's id, or that of an execution that resumed it.
    """

    name: str


class Check(StrEnum):
    """What is checked. Nobody is touched."""

    PORTAL = "portal"  # whether this stack can work with it
    POPULATION = "population"  # which users that a run deleted or disabled are back


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """An order to check something. `fingerprint` is set if a schedule may deliver it twice."""

    what: Check
    fingerprint: str = ""


@dataclass(frozen=True, slots=True)
class StopOrder:
    """An order to press or lift the stop button: for one run, or for all without a `run_id`."""

    reason: str
    by: str
    run_id: str = ""
    lift: bool = False


@dataclass(frozen=True, slots=True)
class WithdrawOrder:
    """An order not to delete leavers when they are due: these users, or all of a run."""

    reason: str
    by: str
    users: tuple[str, ...] = ()
    run_id: str = ""


@dataclass(frozen=True, slots=True)
class AcceptGuardOrder:
    """An order to accept that the guard keeps only so many users now."""

    users: int
    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class EndQuietOrder:
    """An order to call the portal again although its `Retry-After` has not passed."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Request:
    """A validated request. `fingerprint` is set for triggers that may deliver an event twice.

    Without an `action`, the stack's `LeaverAction` applies.
    """

    mode: Mode
    source: Source | SealedPlan | Resume
    trigger: Trigger
    options: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    requested_by: str = ""
    fingerprint: str = ""
    action: Action | None = None

    @property
    def is_attended(self) -> bool:
        """True if a person started the run and can read its report right away."""
        return self.trigger is Trigger.CONSOLE

    @property
    def dropped_key(self) -> str:
        """The key of the dropped file that this request is about, or nothing."""
        s3_object = self.source.s3 if isinstance(self.source, Source) else None
        return s3_object.key if self.trigger is Trigger.S3 and s3_object else ""

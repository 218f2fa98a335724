"""The words of this application, as types. Times are epoch seconds (UTC) unless named otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import groupby
from unicodedata import normalize


class Mode(StrEnum):
    """What a run may do: `preview` plans and reports, `apply` also deletes."""

    PREVIEW = "preview"
    APPLY = "apply"


class Pacing(StrEnum):
    """The pause after each DELETE: always the same, or as the portal's answers suggest."""

    FIXED = "fixed"
    ADAPTIVE = "adaptive"


class Outcome(StrEnum):
    """How a requested entry ended. Every entry ends in exactly one of these."""

    DELETED = "deleted"
    ALREADY_ABSENT = "already_absent"
    SKIPPED = "skipped"
    UNRESOLVED = "unresolved"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_ATTEMPTED = "not_attempted"
    WOULD_DELETE = "would_delete"

    @property
    def is_open(self) -> bool:
        """True when a resumed run may replace this outcome; the others are final."""
        return self in _OPEN


_OPEN = {Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_ATTEMPTED}


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


class ReasonKind(StrEnum):
    """Why an entry ended as it did, for whoever decides by it. The text beside it is for people."""

    NONE = ""
    # Kept by a rule
    PROTECTED = "protected"
    ADMINISTRATOR = "administrator"
    SELF = "self"
    CHANGED_SINCE_PLAN = "changed_since_plan"
    DUPLICATE = "duplicate"
    # Naming nobody, or not one user alone
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"
    COLUMNS_DISAGREE = "columns_disagree"
    CAME_BACK = "came_back"  # an earlier run deleted somebody of this name
    # Absent
    NOT_LISTED = "not_listed"  # an id that the list lacks; nobody has looked at it yet
    NOBODY_HOLDS_ID = "nobody_holds_id"
    DELETED_BEFORE = "deleted_before"
    # Not to be decided: a resumed run cannot do better
    RECORD_INCOMPLETE = "record_incomplete"
    LISTED_AGAIN = "listed_again"


@dataclass(frozen=True, slots=True)
class Why:
    """A reason: its kind, and the words for people."""

    kind: ReasonKind
    text: str


@dataclass(frozen=True, slots=True)
class PortalUser:
    """A user as the portal lists it. `user_id` is a decimal string without leading zeros.

    `lacks` names the fields that safety depends on and the portal's record does not have: such a
    user is never deleted, but still holds an id and the names that are there.
    """

    user_id: str
    username: str
    email: str
    type: str  # administrator, power or regular
    enabled: str = ""  # Y or N
    ldap: str = ""  # Y or N
    lacks: str = ""

    @property
    def is_administrator(self) -> bool:
        return fold(self.type) == "administrator"


@dataclass(frozen=True, slots=True)
class Entry:
    """One requested entry, as somebody wrote it.

    `line` is the line of a file, or the position in a list or dataset, from 1. `bare` is a value
    that may be an id, a username or an e-mail; the other three come from named columns.
    """

    line: int
    bare: str = ""
    user_id: str = ""
    username: str = ""
    email: str = ""

    @property
    def text(self) -> str:
        """What was asked for, as one cell of a report."""
        return " ".join(filter(None, (self.bare, self.user_id, self.username, self.email)))


@dataclass(frozen=True, slots=True)
class PlannedEntry:
    """An entry and what is to become of it: `would_delete`, or an outcome that is already final.

    `warning` is what somebody should know who reads the plan or the report.
    """

    entry: Entry
    outcome: Outcome
    reason: str = ""
    user: PortalUser | None = None
    warning: str = ""
    reason_kind: ReasonKind = ReasonKind.NONE


@dataclass(frozen=True, slots=True)
class Control:
    """What this portal's looks are measured against, from the control looks of a run's round.

    `self_ids` are the users that our own token acts as; looking at the first must show it. `gone`
    is how the portal says that nobody holds an id: one of `rules.looking`'s shapes.
    """

    self_ids: tuple[str, ...] = ()
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Estimate:
    """How long a plan will take, and what AWS will ask for it: modelled, not measured."""

    seconds: int
    usd: float


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
class Source:
    """Where the entries come from: exactly one of the three is set."""

    dataset_id: int | None = None
    s3: "S3Object | None" = None
    users: tuple[str, ...] | None = None

    def describe(self) -> str:
        """Name the source without naming anybody in it."""
        if self.dataset_id is not None:
            return f"dataset {self.dataset_id}"
        if self.s3 is not None:
            return f"s3://{self.s3.bucket}/{self.s3.key}"
        return f"a list of {len(self.users or ())} users in the request"

    def version(self) -> str:
        """Name the version of a file, as S3 does; empty for what has none."""
        return (self.s3.version_id or self.s3.etag) if self.s3 else ""


@dataclass(frozen=True, slots=True)
class S3Object:
    """A file in S3; `version_id` or, where S3 gave none, `etag` pins what was dropped.

    `written_by` is what S3 calls that: PutObject, CopyObject and so on; empty when it is not said.
    """

    bucket: str
    key: str
    version_id: str = ""
    etag: str = ""
    written_by: str = ""


@dataclass(frozen=True, slots=True)
class DropRow:
    """What was dropped last under a key, in the ledger: the sha256 of its content, and its run."""

    digest: str
    run_id: str


@dataclass(frozen=True, slots=True)
class SealedPlan:
    """A plan to be applied, as its preview named it: the sha256 is of the very bytes."""

    run_id: str
    sha256: str

    def describe(self) -> str:
        """Name the plan."""
        return f"the plan of run {self.run_id}"


@dataclass(frozen=True, slots=True)
class Resume:
    """What is open in a run's plan, to be done by another execution."""

    run_id: str

    def describe(self) -> str:
        """Name what is resumed."""
        return f"what run {self.run_id} left open"


@dataclass(frozen=True, slots=True)
class CloseOrder:
    """A run whose execution ended without a report is to be closed.

    `name` is that execution's: the run's id, or one that resumed it.
    """

    name: str


@dataclass(frozen=True, slots=True)
class CheckOrder:
    """The portal is to be asked whether this stack may do its work there. Nobody is touched."""


@dataclass(frozen=True, slots=True)
class StopOrder:
    """Somebody presses the stop button, or lifts it: for one run, or without a `run_id` for all."""

    reason: str
    by: str
    run_id: str = ""
    lift: bool = False


@dataclass(frozen=True, slots=True)
class EndQuietOrder:
    """The portal asked to be left alone, and somebody says that it may be called again."""

    reason: str
    by: str


@dataclass(frozen=True, slots=True)
class Request:
    """A validated request. `fingerprint` is set for triggers that may deliver twice."""

    mode: Mode
    source: Source | SealedPlan | Resume
    trigger: str  # console, s3 or schedule
    options: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    requested_by: str = ""
    fingerprint: str = ""

    @property
    def is_attended(self) -> bool:
        """True when a person started the run and can read its report right away."""
        return self.trigger == "console"

    @property
    def dropped_key(self) -> str:
        """The key of the dropped file that this request is about, or nothing."""
        s3_object = self.source.s3 if isinstance(self.source, Source) else None
        return s3_object.key if self.trigger == "s3" and s3_object else ""


@dataclass(frozen=True, slots=True)
class Plan:
    """Who is to be deleted, and what becomes of every other entry: sealed before the first DELETE.

    `portal_url` is the portal whose users these are: elsewhere the same ids are others, or people
    who are to stay. `distinct` counts the different entries asked for, before anything was trimmed,
    `portal_users` everybody in the portal at that moment, and `last_day` the DELETEs of the 24
    hours before: the caps compare these. `source_version` pins a file. `applies` is the hash of the
    sealed plan that this one carries out. `refusal` is why the plan may not be applied, or empty.
    `self_ids` are the users that our own token acts as.
    """

    run_id: str
    mode: Mode
    created_at: int
    portal_url: str
    source: str
    source_version: str
    reason: str
    requested_by: str
    limits: Limits
    portal_users: int
    distinct: int
    last_day: int
    estimate: Estimate
    entries: tuple[PlannedEntry, ...]
    warnings: tuple[str, ...] = ()
    refusal: str = ""
    applies: str = ""
    self_ids: tuple[str, ...] = ()

    @property
    def users(self) -> list[PortalUser]:
        """The users to delete, in the order they were asked for."""
        return [
            planned.user
            for planned in self.entries
            if planned.outcome is Outcome.WOULD_DELETE and planned.user
        ]


@dataclass(frozen=True, slots=True)
class Token:
    """A portal token and the version of the secret that holds it. `user` is whom it acts as."""

    version_id: str
    value: str = field(repr=False)
    issued_at: float
    expires_at: float
    user: str = field(repr=False)
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the portal wants for a token: an External Application and a username.

    `user_id` is that user's id, for a portal that does not list it; empty otherwise.
    """

    application_id: str
    application_key: str = field(repr=False)
    user: str = field(repr=False)
    user_id: str = ""


class UserState(StrEnum):
    """Where a user stands in the ledger, from the first intent on."""

    REOPENED = "reopened"  # left open by the execution before; another DELETE may be sent
    INTENT = "intent"  # a DELETE is about to be sent, or was sent and nothing is known of it
    REFUSED = "refused"  # the portal definitely did nothing; another DELETE may be sent
    SETTLING = "settling"  # a DELETE was sent; looking until the user is gone or time is up
    DECLINED = "declined"  # the portal says that it did not delete: the next look decides
    DONE = "done"


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """An outcome that was replaced, by a resumed run or because the portal contradicted it.

    `attempts` counts the DELETEs until then.
    """

    outcome: Outcome
    reason: str
    ended_at: int
    attempts: int


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user's row in the ledger. A user without a row was not attempted.

    `attempts` counts DELETEs, `waited` sums the seconds of settling, `delete_seconds` is how long
    the last DELETE took to answer, `answered_at` when it did, `refused_at` when the portal refused
    one for the moment. `history` holds the outcomes that were replaced since, the oldest first.
    `portal_message` is what the portal itself said last, in its own words.
    """

    user_id: str
    state: UserState
    outcome: Outcome | None = None
    reason: str = ""
    attempts: int = 0
    looks: int = 0
    waited: int = 0
    lease_until: int = 0
    lease_owner: str = ""
    delete_seconds: int = 0
    answered_at: int = 0
    refused_at: tuple[int, ...] = ()
    ended_at: int = 0
    history: tuple[PastOutcome, ...] = ()
    reason_kind: ReasonKind = ReasonKind.NONE
    portal_message: str = ""

    @property
    def attempts_this_round(self) -> int:
        """The DELETEs that were sent since a resume last opened this row again."""
        return self.attempts - (self.history[-1].attempts if self.history else 0)

    @property
    def is_final(self) -> bool:
        """True when nothing may change this row any more."""
        return self.state is UserState.DONE and bool(self.outcome and not self.outcome.is_open)


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
    `last_list_doubted` tells that the last list contradicted a look, and is read once more.
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
    last_list_doubted: bool = False


@dataclass(frozen=True, slots=True)
class Lock:
    """The run that may delete from the portal, and the execution that carries it out."""

    run_id: str
    execution_arn: str


@dataclass(frozen=True, slots=True)
class ReportRow:
    """One requested entry and its one outcome.

    `attempts` counts DELETEs; the last one was answered at `answered_at`, after `delete_seconds`.
    """

    line: int
    entry: str
    user_id: str
    username: str
    email: str
    outcome: Outcome
    reason_kind: ReasonKind
    reason: str
    portal_message: str  # the portal's own words, or empty
    warning: str
    attempts: int
    delete_seconds: int
    answered_at: str  # ISO 8601, or empty
    ended_at: str  # ISO 8601, or empty
    history: str  # the outcomes that were replaced, or empty

    @property
    def can_be_resumed(self) -> bool:
        """True when a resumed run may find another outcome: it is open, and was planned."""
        undecided = {ReasonKind.RECORD_INCOMPLETE, ReasonKind.NOT_LISTED}
        was_planned = self.user_id or self.reason_kind is not ReasonKind.LISTED_AGAIN
        return self.outcome.is_open and self.reason_kind not in undecided and bool(was_planned)


@dataclass(frozen=True, slots=True)
class Report:
    """What a run did. `counts` adds up to `requested`, or the run does not claim success.

    `unexplained_losses` are the ids of users that left the portal during the run, and that it
    neither deleted nor was asked to; None when the portal could not be asked, or listed only some
    of its users. `renewed_at` is when
    the token was renewed, `refused_at` when the portal refused a DELETE for the moment.
    """

    run_id: str
    execution_arn: str
    status: RunStatus
    sentence: str
    mode: str
    trigger: str
    source: str
    reason: str
    requested_by: str
    started_at: str
    ended_at: str
    requested: int
    counts: dict[str, int]
    renewals: int
    renewed_at: list[str]  # ISO 8601
    refused_at: list[str]
    portal_users: int
    plan_sha256: str
    estimate: Estimate | None
    unexplained_losses: list[str] | None
    warnings: list[str]
    rows: list[ReportRow]


def fold(text: str) -> str:
    """Trim and lower-case: what is equal under this names one user, and may be deleted by it.

    However a letter is put together: files from some systems write é as e and an accent. A letter
    whose small form is another letter's too (the Kelvin sign, İ) stays as it is.
    """
    text = text.strip()
    if text.isascii():
        return text.lower()
    runs = groupby(text, key=_stands_alone)
    return "".join(
        letters if alone else normalize("NFC", normalize("NFC", letters).lower())
        for alone, run in runs
        for letters in ("".join(run),)
    )


def fold_loosely(text: str) -> str:
    """Trim and case-fold fully: ß is ss, a ligature is its letters, the long s is s.

    What is equal under this alone protects, and finds deletions that were recorded before `fold`
    was as strict as it is. Nobody is deleted by it.
    """
    text = text.strip()
    if text.isascii():
        return text.lower()
    return normalize("NFC", normalize("NFC", text).casefold())


def _stands_alone(letter: str) -> bool:
    """Tell whether composing or lower-casing makes another letter of this one."""
    small = letter.lower()
    return normalize("NFC", letter) != letter or (small != letter and small.upper() != letter)

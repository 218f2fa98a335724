"""Users, in the portal and in the ledger. Times are epoch seconds (UTC)."""

from dataclasses import dataclass
from enum import StrEnum

from bulk_user_deletion.models.names import fold


class Outcome(StrEnum):
    """How a requested entry ended. Every entry ends in exactly one of these."""

    DELETED = "deleted"
    DISABLED = "disabled"
    ENABLED = "enabled"
    ALREADY_ABSENT = "already_absent"
    SKIPPED = "skipped"
    UNRESOLVED = "unresolved"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_ATTEMPTED = "not_attempted"
    WOULD_DELETE = "would_delete"
    WOULD_DISABLE = "would_disable"
    WOULD_ENABLE = "would_enable"

    @property
    def is_open(self) -> bool:
        """True if a resumed run may replace this outcome; the others are final."""
        return self in _OPEN

    @property
    def is_planned(self) -> bool:
        """True if this is what a plan says about users who are to be changed."""
        return self in {Outcome.WOULD_DELETE, Outcome.WOULD_DISABLE, Outcome.WOULD_ENABLE}


_OPEN = {Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_ATTEMPTED}


class ReasonKind(StrEnum):
    """Why an entry ended as it did, for code to decide by. The text next to it is for people."""

    NONE = ""
    # Kept by a rule
    PROTECTED = "protected"
    ADMINISTRATOR = "administrator"
    SELF = "self"
    CHANGED_SINCE_PLAN = "changed_since_plan"
    DUPLICATE = "duplicate"
    ENABLED_AGAIN = "enabled_again"  # since one of our runs disabled the user
    WITHDRAWN = "withdrawn"  # a person decided that the user is not deleted
    HELD = "held"  # a person must decide
    NAMED_BY_ROSTER = "named_by_roster"  # a leaver who stays after all
    NOT_DUE = "not_due"
    GUARDED = "guarded"  # the guard says that something still needs the account
    NOT_DISABLED_BY_US = "not_disabled_by_us"
    # Entries that do not name exactly one user
    NOT_FOUND = "not_found"
    AMBIGUOUS = "ambiguous"
    COLUMNS_DISAGREE = "columns_disagree"
    CAME_BACK = "came_back"  # an earlier run deleted a user with this name
    # Absent
    NOT_LISTED = "not_listed"  # an id that the list lacks, and that has not been looked at yet
    NOBODY_HOLDS_ID = "nobody_holds_id"
    DELETED_BEFORE = "deleted_before"
    # Undecidable: a resumed run would not help
    RECORD_INCOMPLETE = "record_incomplete"
    LISTED_AGAIN = "listed_again"
    # After a PUT
    STILL_ENABLED = "still_enabled"
    STILL_DISABLED = "still_disabled"
    RECORD_CHANGED = "record_changed"  # it changed more than it was asked to


@dataclass(frozen=True, slots=True)
class Why:
    """A reason: its kind, and the words for people."""

    kind: ReasonKind
    text: str


@dataclass(frozen=True, slots=True)
class PortalUser:
    """A user as the portal lists it. `user_id` is a decimal string without leading zeros.

    `lacks` names the fields that safety depends on and that the portal's record lacks. Such a user
    is never deleted, but still occupies its id and the names that the record has.
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

    @property
    def is_enabled(self) -> bool:
        return fold(self.enabled) == "y"

    @property
    def is_disabled(self) -> bool:
        """True if the portal says so. Without a known value, a user is neither enabled nor not."""
        return fold(self.enabled) == "n"

    @property
    def is_from_ldap(self) -> bool:
        return fold(self.ldap) == "y"


class UserState(StrEnum):
    """The state of a user in the ledger, from the first intent onwards."""

    REOPENED = "reopened"  # left open by the previous execution; another request may be sent
    INTENT = "intent"  # a request is about to be sent, or was sent with an unknown result
    REFUSED = "refused"  # the portal definitely did nothing; another request may be sent
    SETTLING = "settling"  # a request was sent; looking until its effect shows or the time is up
    DECLINED = "declined"  # the portal says that it did nothing: the next look decides
    DONE = "done"


_IN_FLIGHT = {UserState.INTENT, UserState.SETTLING, UserState.DECLINED}


@dataclass(frozen=True, slots=True)
class PastOutcome:
    """An outcome that was replaced, by a resumed run or because the portal contradicted it.

    `attempts` counts the requests up to then.
    """

    outcome: Outcome
    reason: str
    ended_at: int
    attempts: int


@dataclass(frozen=True, slots=True)
class Spent:
    """What the invocations for one user have taken, as they recorded it in the user's row.

    `writes` and `reads` are DynamoDB's units, `secrets` requests to Secrets Manager.
    """

    invocations: int = 0
    ms: int = 0
    portal_ms: int = 0
    writes: int = 0
    reads: int = 0
    secrets: int = 0


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user's row in the ledger. A user without a row was not attempted.

    A request is a DELETE or a PUT, by the run's action. `attempts` counts them, `waited` sums the
    seconds of settling, `delete_seconds` is how long the last one took, `answered_at` when it was
    answered, `refused_at` when the portal temporarily refused one. `history` holds the outcomes
    that were replaced, oldest first. `portal_message` is the portal's last message, in its own
    words. `spent` is what the invocations for this user have taken.
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
    spent: Spent = Spent()

    @property
    def attempts_this_round(self) -> int:
        """The requests that were sent since a resume last reopened this row."""
        return self.attempts - (self.history[-1].attempts if self.history else 0)

    @property
    def is_in_flight(self) -> bool:
        """True if one of our requests may have taken effect, or still may."""
        return self.state in _IN_FLIGHT

    @property
    def is_final(self) -> bool:
        """True if this row may no longer change."""
        return self.state is UserState.DONE and bool(self.outcome and not self.outcome.is_open)

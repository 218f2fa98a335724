"""Users who are back: a run deleted or disabled them, and the portal has them again."""

from dataclasses import dataclass
from enum import StrEnum


class Part(StrEnum):
    """A part of somebody's identity; also the beginning of the key that records its deletion."""

    ID = "id"
    USERNAME = "username"
    EMAIL = "email"


class Was(StrEnum):
    """What a run did to somebody."""

    DELETED = "deleted"
    DISABLED = "disabled"


class What(StrEnum):
    """How sure it is that a user is back."""

    BACK = "back"  # the same id or username as somebody whom a run deleted or disabled
    ENABLED_AGAIN = "enabled_again"  # the very user whom a run disabled
    POSSIBLY = "possibly"  # only the same e-mail, which people share and pass on


@dataclass(frozen=True, slots=True)
class Departure:
    """What the ledger remembers about somebody whom a run deleted or disabled.

    Records of earlier versions lack `user_id` and `at` (epoch seconds): then it is not known
    whether an id, a username and an e-mail on record belong to the same person.
    """

    was: Was
    run_id: str
    user_id: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """A part of a user's identity that is on record; not exact if it is only loosely equal."""

    part: Part
    departure: Departure
    is_exact: bool = True


@dataclass(frozen=True, slots=True)
class Return:
    """How a user is back: how sure that is, and the parts that show it, all of one departure."""

    what: What
    by: tuple[Part, ...]
    departure: Departure


@dataclass(frozen=True, slots=True)
class FirstSeen:
    """When a watch first saw a user who is still back, and in which way; `by` is its run."""

    user_id: str
    what: What
    at: int
    by: str


@dataclass(frozen=True, slots=True)
class Returned:
    """A user who is back, as a look saw it. `is_enabled` is None if the portal does not say."""

    user_id: str
    is_enabled: bool | None
    how: Return
    first_seen_at: int
    is_new: bool


@dataclass(frozen=True, slots=True)
class Population:
    """The ids that a watch saw listed, at a time."""

    at: int
    user_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """Who left the portal since an earlier watch, and was not deleted by this stack, and who came.

    `before` is how many users there were at that time, `since`.
    """

    since: int
    before: int
    left: tuple[str, ...]
    joined: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watch:
    """What a watch found; users by id.

    `held` are leavers who would have become due and were seen enabled. `kept` are back, but
    protected, or the user that our token acts as. `undecided` seem to be back, but only by the
    list. `change` is None if there is nothing to compare with. A list is short if it lacks a user
    whom a look shows.
    """

    run_id: str
    portal_url: str
    at: int
    portal_users: int
    back: tuple[Returned, ...]
    held: tuple[str, ...]
    kept: tuple[str, ...]
    undecided: tuple[str, ...]
    change: Change | None
    list_is_short: bool
